"""The tables and the figure of RESULTS.md that show the records in docs/results."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console

from experiments.method_comparison import MethodComparison
from experiments.method_table import verdicts_by_task
from experiments.plan import METHOD
from experiments.tables import print_comparison
from mtl_keras.analysis import POSITIVE_IS_BETTER, Affinity, Interval
from mtl_keras.weightings import WEIGHTINGS

Record = Mapping[str, Any]

GRADIENT_METRICS = {
    "conflict_rate": "conflict rate",
    "gradient_cosine": "cosine",
    "gradient_norm_ratio": "norm ratio",
}
"""Metric of a run with `--monitor_gradients` -> its name in the tables."""

# From the published results of the reproduced experiments.
_SOURCE_TOTALS = {  # preset -> totals in training and validation
    "cifar10_1": (0.2414, 2.3439),
    "cifar10_2": (0.2515, 1.5522),
    "cifar10_3": (0.2395, 0.4353),
    "cifar10_4": (0.4399, 0.6924),
    "cifar10_5": (0.2746, 0.5267),
}
_SOURCE_WEIGHTS = {"class": 0.5, "animal": 0.1, "reconstruction": 1.0}
_SOURCE_BEST = (("class", "accuracy", 0.7418), ("animal", "accuracy", 0.9477), ("reconstruction", "mse", 0.012))


def comparison_tables(record: Record) -> list[str]:
    """Returns the tables of a method against each baseline."""
    outcomes, parts = record["outcomes"], []
    if "plan" not in record:
        seeds = ", ".join(map(str, outcomes[0]["seeds"][1:]))
        parts.append(f"The same with `--seed` {seeds}; then `evaluate.py --compare` with these runs first.")
    if outcomes[0]["tasks"] != list(record["config"]["tasks"] or outcomes[0]["tasks"]):
        parts.append(f"Compared: {', '.join(outcomes[0]['tasks'])}.")
    for outcome in outcomes:
        text = io.StringIO()
        print_comparison(MethodComparison.from_json(outcome), Console(file=text, width=400), markdown=True)
        parts.append(re.sub(r"\n{3,}", "\n\n", re.sub(r" +$", "", text.getvalue(), flags=re.MULTILINE)).strip())
    return parts


def group_tables(record: Record) -> list[str]:
    """Returns the affinities and the groups that were proposed from them, and each task with every method."""
    parts = []
    for name, proposal in record["groups"].items():
        if "affinity" in proposal:
            affinity = Affinity.from_json(proposal["affinity"])
            pairs = zip(affinity.tasks, affinity.mean, affinity.error)
            rows = [[task, *map(_with_error, means, errors)] for task, means, errors in pairs]
            parts.append(_markdown(["a step on", *(f"on {task}" for task in affinity.tasks)], rows))
        groups = "; ".join("+".join(group) for group in proposal["groups"])
        parts.append(f"`{name}`: {groups}.")
    comparisons = [MethodComparison.from_json(outcome) for outcome in record["outcomes"]]
    names = dict.fromkeys(name for each in comparisons for name in (each.method, each.baseline))
    header, *rows = verdicts_by_task(comparisons, list(names), list(record["groups"]))
    return [*parts, _markdown(header, rows)]


def _with_error(mean: float, error: float) -> str:
    return f"{mean:+.2g} ± {error:.1g}"


def methods_table(record: Record) -> list[str]:
    """Returns a table with a row for each method: metrics, delta_m = delta_p, training time and gradient conflicts.

    Values of delta_m whose interval excludes 0 are bold. If the methods' networks differ, their sizes are shown.
    """
    methods, own = record["methods"], _name_of_first(record)
    first = methods[0]["against"]
    gradients = [name for name in GRADIENT_METRICS if name in methods[0]]
    sizes = len({method["parameters"] for method in methods}) > 1
    header = [
        "method",
        *["parameters"] * sizes,
        *(f"{task['task']} {task['metric']}" for task in first[METHOD]["tasks"]),
    ]
    header += [
        f"delta_m, {'single-task' if name == 'single_task' else own} (%, {POSITIVE_IS_BETTER})" for name in first
    ]
    header += ["least training time (s)", *(GRADIENT_METRICS[name] for name in gradients)]
    rows = []
    if "single_task" in first:
        metrics = [_spread(task["baseline"]) for task in first["single_task"]["tasks"]]
        rows.append(["single-task networks", *[""] * sizes, *metrics])
        rows[0] += [""] * (len(header) - len(rows[0]))
    for method in methods:
        name = own if method is methods[0] else f"`{method['method']}`"
        row = [name, *[f"{method['parameters']:,}"] * sizes]
        row += [_spread(task["method"]) for task in method["against"][METHOD]["tasks"]]
        for baseline, comparison in method["against"].items():
            itself = method is methods[0] and baseline == METHOD
            row.append("" if itself else _emphasised(Interval(**comparison["delta_m"])))
        rows.append([*row, f"{method['seconds']:.0f}", *(_number(method[name], 2) for name in gradients)])
    return [_markdown(header, rows)]


def _name_of_first(record: Record) -> str:
    """Returns the name of a comparison's own method: its network if it is compared with others, or its weights."""
    weightings = any(name in WEIGHTINGS for name in record["plan"]["baselines"])
    return "equal weights" if weightings else f"`{record['config']['model']}`"


def _emphasised(delta_m: Interval) -> str:
    return f"**{delta_m:+.2f}**" if delta_m.excludes_zero else f"{delta_m:+.2f}"


def run_tables(record: Record) -> list[str]:
    """Returns all metrics on the test split, those of the best constant prediction in brackets, and the means."""
    tasks, overall = record["metrics"]["tasks"], record["metrics"].get("overall")
    metrics = list(dict.fromkeys(metric for entries in tasks.values() for metric in entries))
    rows = []
    for task, entries in tasks.items():
        cells = [entries.get(metric) for metric in metrics]
        rows.append([task, *(f"{_number(c['value'])} ({_number(c['baseline'])})" if c else "" for c in cells)])
    tables = [_markdown(["task", *metrics], rows)]
    if overall:
        row = ["value", *(_number(entry["value"]) for entry in overall.values())]
        tables.append(_markdown(["all binary tasks", *overall], [row]))
    return tables


def source_table(records: Mapping[str, Record]) -> str:
    """Returns the last totals of each CIFAR-10 preset next to those of the source."""
    rows = []
    for name, record in records.items():
        history, tasks = record["history"], record["metrics"]["tasks"]
        row = [name, str(len(history["loss"]))]
        for train, validation in ((history["loss"][-1], history["val_loss"][-1]), _SOURCE_TOTALS[name]):
            row += [f"{_number(train)} / {_number(validation)}", _number(validation / train, 2)]
        row += [_number(tasks[task]["accuracy"]["value"]) for task in ("class", "animal")]
        rows.append([*row, _number(history["val_reconstruction_loss"][-1])])
    header = ["preset", "epochs", "train / validation total", "ratio", "same in the source", "ratio"]
    header += ["class accuracy (test)", "animal accuracy (test)", "reconstruction MSE (validation)"]
    return _markdown(header, rows)


def target_table(record: Record) -> list[str]:
    """Returns the results of the best epoch, on the validation and the test split, next to the best of the source."""
    history, best, tasks = record["history"], record["metrics"]["best_epoch"], record["metrics"]["tasks"]
    total = sum(weight * history[f"val_{task}_loss"][best] for task, weight in _SOURCE_WEIGHTS.items())
    on_test = sum(weight * tasks[task]["loss"]["value"] for task, weight in _SOURCE_WEIGHTS.items())
    rows = [["total (0.5, 0.1, 1)", f"<= {_SOURCE_TOTALS['cifar10_3'][1]}", _number(total), _number(on_test)]]
    for task, metric, target in _SOURCE_BEST:
        key, sign = ("loss", "<=") if metric == "mse" else (metric, ">=")
        validation, test = history[f"val_{task}_{key}"][best], tasks[task][key]["value"]
        rows.append([f"{task} {metric}", f"{sign} {target}", _number(validation), _number(test)])
    return [_markdown(["", "target", f"validation, epoch {best + 1}", "test"], rows)]


def draw_totals(records: Mapping[str, Record], target: Path) -> None:
    """Draws the weighted totals of the losses, in training and validation, into a PNG file: one panel per record."""
    size = (1.5 + 2.5 * len(records), 3)
    figure, panels = plt.subplots(1, len(records), figsize=size, sharey=True, layout="constrained", squeeze=False)
    for axes, (name, record) in zip(panels.flat, records.items()):
        history = record["history"]
        epochs = range(1, len(history["loss"]) + 1)
        axes.plot(epochs, history["loss"], "-", color="tab:blue", label="training")
        axes.plot(epochs, history["val_loss"], "--", color="tab:orange", label="validation")
        axes.set_title(name, fontsize=9)
        axes.set(xlabel="epoch", yscale="log")
        axes.grid(alpha=0.3, which="both")
    panels.flat[0].set_ylabel("weighted total of the losses")
    panels.flat[0].legend(fontsize=8)
    figure.savefig(target, dpi=100)
    plt.close(figure)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table; all columns but the first are right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _spread(estimate: Record) -> str:
    return f"{estimate['mean']:.4f} ± {estimate['std']:.4f}"
