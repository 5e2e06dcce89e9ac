"""Fills the tables of RESULTS.md from the records in docs/results: `python docs/results.py`.

`python docs/results.py runs/fashion_mnist runs/cifar10_1` first adds the records of finished runs and comparisons
(settings, versions, histories and metrics as JSON), each under the name of its folder.

The text of RESULTS.md is written by hand. A block that starts with `<!-- KIND: RECORD ... -->` and ends with
`<!-- end -->` is replaced; `KIND` is one of `BLOCKS`.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from docs.results_tables import (
    GRADIENT_METRICS,
    Record,
    comparison_tables,
    draw_totals,
    group_tables,
    methods_table,
    run_tables,
    source_table,
    target_table,
)
from experiments import presets
from experiments.config import RunConfig
from experiments.files import read_history, read_json, write_json
from experiments.judging import DEFAULT_RULE
from experiments.method_comparison import MethodComparison, compare_methods
from experiments.plan import METHOD, Plan, folder_name, is_comparison
from experiments.run_directory import PROVENANCE, RunDirectory
from experiments.run_results import read_methods

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "docs" / "results"
PAGE = ROOT / "RESULTS.md"
FIGURES = {
    "cifar10_totals.png": [f"cifar10_{number}" for number in range(1, 6)],
    "cifar10_wide_totals.png": ["cifar10_wide"],
}
BLOCK = re.compile(r"(<!-- (\w+): ([\w ]+) -->).*?(<!-- end -->)", re.DOTALL)
_STORED_AS_JPEG = ("celeb_a",)  # originally
_NOT_SHOWN = (
    "experiment",
    "data_dir",
    "export",
    "seed",
    "verbose",
)  # settings that change no result, or are shown apart
_SINGLE = "single_task"
_MOST_TABLES = 3  # a comparison with more baselines has one table, with a row for each method


def main(folders: Sequence[str]) -> None:
    """Adds the records of runs, then writes the page and its figures."""
    for folder in map(Path, folders):
        write_json(RECORDS / f"{folder.resolve().name}.json", record_of(folder))
    for figure, names in FIGURES.items():
        draw_totals({name: load_record(name) for name in names}, ROOT / "docs" / "images" / figure)
    PAGE.write_text(fill(PAGE.read_text("utf-8")), "utf-8")


def load_record(name: str) -> dict[str, Any]:
    """Returns a record."""
    return read_json(RECORDS / f"{name}.json")


def fill(page: str) -> str:
    """Returns a page whose blocks show the records."""

    def block(match: re.Match[str]) -> str:
        start, kind, names, end = match.groups()
        return "\n\n".join([start, *BLOCKS[kind]({name: load_record(name) for name in names.split()}), end])

    return BLOCK.sub(block, page)


def source(record: Record) -> str:
    """Returns the command, the data and the versions of a record."""
    about, data = record["provenance"], record["data"]
    lossy = data["images"] == "jpeg" and data["name"] not in _STORED_AS_JPEG
    kind = "synthetic" if data["synthetic"] else "real, JPEG copy" if lossy else "real"
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    cores = f"{about['cores']} CPU core{'s' * (about['cores'] > 1)}"
    return f"`{command(record)}`: {about['date']}, {data['name']} {data['version']} ({kind}), {cores}, {versions}."


def command(record: Record) -> str:
    """Returns the command line of a record: the experiment, and the settings that differ from its preset."""
    config = RunConfig.from_json(record["config"])
    usual = presets.get(config.experiment).config if config.experiment else RunConfig()
    words = ["python", "train.py"]
    if config.experiment:
        words += ["--experiment", config.experiment]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in _NOT_SHOWN and value != getattr(usual, field.name):
            words += _flag(field.name, value)
    if "plan" in record:
        words += ["--compare", ",".join(record["plan"]["baselines"])]
        words += ["--seeds", ",".join(map(str, record["plan"]["seeds"]))]
        judge_at = record["plan"].get("judge_at", "best_mean")  # the only rule of versions that did not write it
        if judge_at != DEFAULT_RULE:
            words += ["--judge_at", judge_at]
    elif "outcomes" in record:
        words += ["--seed", str(record["outcomes"][0]["seeds"][0])]
    elif config.seed:
        words += ["--seed", str(config.seed)]
    return shlex.join(words)


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no{name}"]
    if isinstance(value, Mapping):
        value = ",".join(f"{task}={weight:g}" for task, weight in value.items())
    return [f"--{name}", ",".join(value) if isinstance(value, tuple) else str(value)]


def _per_record(tables: Callable[[Record], Sequence[str]]) -> Callable[[Mapping[str, Record]], list[str]]:
    """Returns a block with the source and the tables of each record."""
    return lambda records: [text for record in records.values() for text in (source(record), *tables(record))]


BLOCKS: dict[str, Callable[[Mapping[str, Record]], list[str]]] = {
    "comparisons": _per_record(comparison_tables),
    "groups": _per_record(group_tables),
    "methods": _per_record(methods_table),
    "runs": _per_record(run_tables),
    "target": _per_record(target_table),
    "presets": lambda records: [*map(source, records.values()), source_table(records)],
}


def record_of(folder: Path) -> Record:
    """Returns the record of a run, of a comparison, or of a method (a run per seed) that was compared with others."""
    config = read_json(min(folder.rglob("config.json")))
    record = {"data": config["data"], "provenance": {name: config[name] for name in PROVENANCE}}
    if is_comparison(folder):
        plan = Plan.load(folder)
        config = plan.config.to_json()
        record["plan"] = {"baselines": list(plan.baselines), "seeds": list(plan.seeds), "judge_at": plan.judge_at}
        if len(plan.baselines) > _MOST_TABLES:
            record["methods"] = _compare_all(folder, plan)
        proposals = {name: folder / folder_name(name) / "groups.json" for name in plan.baselines}
        groups = {name: read_json(file) for name, file in proposals.items() if file.exists()}
        record |= {"groups": groups} if groups else {}
    if "methods" not in record:
        comparisons = sorted(folder.glob("comparison*.json"), key=lambda file: file.stat().st_mtime)
        record |= {"outcomes": read_json(comparisons[-1])} if comparisons else _run(folder)
    usual = RunConfig().to_json()  # settings that are newer than the run had what is now their default
    settings = {name: config.get(name, usual[name]) for name in usual}
    return {"config": {**settings, "data_dir": None}, **record}


def _run(folder: Path) -> dict[str, Any]:
    directory = RunDirectory(folder)
    history = read_history(directory.history_file)
    return {
        "metrics": read_json(directory.metrics_file),
        "history": {name: [round(value, 6) for value in values] for name, values in history.items()},
    }


def _compare_all(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """Returns each method of a comparison against the plan's own and, if they were trained, single-task networks."""
    tasks = [task for task in plan.config.tasks or () if task != "random"] or None  # random labels cannot be learnt
    first, *others = read_methods([folder / folder_name(name) for name in (METHOD, *plan.baselines)])
    single = next((method for method in others if method.name == _SINGLE), None)
    methods = [first, *(method for method in others if method is not single)]
    rows = []
    for method in methods:
        baselines = ({_SINGLE: single} if single else {}) | {METHOD: first}  # of itself too: for its metrics
        compared = compare_methods([method, *baselines.values()], tasks)
        row = {
            "method": method.name,
            "parameters": compared[-1].cost.method.parameters,
            "seconds": min(run.cost.seconds for run in method.runs),  # other work of the machine makes it longer
            "against": {name: _short(comparison) for name, comparison in zip(baselines, compared)},
        }
        for metric in GRADIENT_METRICS:
            if all(metric in run.history for run in method.runs):
                row[metric] = fmean(value for run in method.runs for value in run.history[metric])
        rows.append(row)
    return rows


def _short(comparison: MethodComparison) -> dict[str, Any]:
    values = comparison.to_json()
    kept = ("task", "metric", "method", "baseline", "difference", "verdict")
    tasks = [{key: task[key] for key in kept} for task in values["measures"][0]["tasks"]]
    return {**{key: values[key] for key in ("seeds", "seeds_left_out", "delta_m")}, "tasks": tasks}


if __name__ == "__main__":
    main(sys.argv[1:])
