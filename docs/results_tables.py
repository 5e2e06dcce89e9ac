"""The tables of RESULTS.md that show single runs, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_SOURCE_TOTALS = {
    "cifar10_1": (0.2414, 2.3439),
    "cifar10_2": (0.2515, 1.5522),
    "cifar10_3": (0.2395, 0.4353),
    "cifar10_4": (0.4399, 0.6924),
    "cifar10_5": (0.2746, 0.5267),
}
_TARGET_WEIGHTS = {"class": 0.5, "animal": 0.1, "reconstruction": 1.0}
_TARGET_TOTAL = 0.4353
_TARGETS = (("class", "accuracy", 0.7418), ("animal", "accuracy", 0.9477), ("reconstruction", "mse", 0.012))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table whose columns, but the first, are flush right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number, "-" if it is not known."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def task_table(record: Mapping[str, Any]) -> str:
    """Returns every metric of every task on the test split, with that of the best constant prediction in brackets."""
    tasks = record["metrics"]["tasks"]
    metrics = list(dict.fromkeys(metric for entries in tasks.values() for metric in entries))
    rows = []
    for task, entries in tasks.items():
        cells = [entries.get(metric) for metric in metrics]
        rows.append([task, *(f"{number(c['value'])} ({number(c['baseline'])})" if c else "" for c in cells)])
    return markdown(["task", *metrics], rows)


def overall_table(record: Mapping[str, Any]) -> str:
    """Returns the scores of the binary tasks together; nothing if there are none."""
    overall = record["metrics"].get("overall")
    if not overall:
        return ""
    return markdown(["binary tasks together", *overall], [["value", *(number(e["value"]) for e in overall.values())]])


def cifar10_sources(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the last totals of each preset beside those of the source."""
    rows = []
    for name, record in records.items():
        history, tasks = record["history"], record["metrics"]["tasks"]
        train, validation = history["loss"][-1], history["val_loss"][-1]
        source = _SOURCE_TOTALS[name]
        accuracies = [number(tasks[task]["accuracy"]["value"]) for task in ("class", "animal")]
        rows.append(
            [
                name,
                str(len(history["loss"])),
                f"{number(train)} / {number(validation)}",
                number(validation / train, 2),
                f"{source[0]:.4f} / {source[1]:.4f}",
                number(source[1] / source[0], 2),
                *accuracies,
                number(history["val_reconstruction_loss"][-1]),
            ]
        )
    header = ["preset", "epochs", "train / validation total", "ratio", "source's", "ratio"]
    header += ["class accuracy (test)", "animal accuracy (test)", "reconstruction MSE (validation)"]
    return markdown(header, rows)


def target_table(record: Mapping[str, Any]) -> str:
    """Returns what was reached at the best epoch, on the validation and the test split, beside what was asked."""
    history, best, tasks = record["history"], record["metrics"]["best_epoch"], record["metrics"]["tasks"]
    total = sum(weight * history[f"val_{task}_loss"][best] for task, weight in _TARGET_WEIGHTS.items())
    on_test = sum(weight * tasks[task]["loss"]["value"] for task, weight in _TARGET_WEIGHTS.items())
    rows = [["total (0.5, 0.1, 1)", f"<= {_TARGET_TOTAL}", number(total), number(on_test)]]
    for task, metric, asked in _TARGETS:
        key = "loss" if metric == "mse" else metric
        sign = "<=" if metric == "mse" else ">="
        validation, test = history[f"val_{task}_{key}"][best], tasks[task][key]["value"]
        rows.append([f"{task} {metric}", f"{sign} {asked}", number(validation), number(test)])
    return markdown(["", "asked", f"validation, epoch {best + 1}", "test"], rows)
