"""Comparing runs: from folders of finished runs to what a method does to each task, and what it costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.comparison_report import comparison_report
from experiments.comparison_table import print_comparison
from experiments.files import write_json
from experiments.plan import METHOD, Plan
from experiments.records import Record, by_seed, read_records
from mtl_keras.analysis import Comparison, Cost, CostComparison, TaskResults, compare, compare_costs
from mtl_keras.serialization import unknown_value

Measure = tuple[str, str]
"""A split and a metric; the metric "primary" is each task's own."""
MEASURES: tuple[Measure, ...] = (("test", "primary"), ("train", "primary"), ("test", "loss"), ("train", "loss"))


@dataclass(frozen=True)
class Outcome:
    """A method against a baseline.

    Args:
        method: name of the method.
        baseline: name of the baseline.
        tasks: what was compared.
        measures: by what, the first of which is the primary metric on the test split.
        cost: the method's cost against the baseline's; of single-task networks, that of one for each task.
        left_out: tasks and seeds that one of them, or one of the tasks, has no result for.
    """

    method: str
    baseline: str
    tasks: tuple[str, ...]
    measures: dict[Measure, Comparison]
    cost: CostComparison
    left_out: tuple[tuple[str, ...], tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """Returns the outcome as values that JSON can hold."""
        first = next(iter(self.measures.values()))
        return {
            "method": self.method,
            "baseline": self.baseline,
            "tasks": list(self.tasks),
            "seeds": list(first.seeds),
            "tasks_left_out": list(self.left_out[0]),
            "seeds_left_out": list(self.left_out[1]),
            "delta_m": dataclasses.asdict(first.delta_m),
            "delta_m_convention": first.convention,
            "negative_transfer": first.negative_transfer,
            "measures": [
                {"split": split, "metric": metric, **comparison.to_json()}
                for (split, metric), comparison in self.measures.items()
            ],
            "cost": self.cost.to_json(),
        }


def compare_folders(folders: Sequence[Path], tasks: Sequence[str] | None = None) -> list[Outcome]:
    """Compares the first of several methods with each of the others.

    Args:
        folders: one for each method, with its finished runs (one a seed; of single-task networks, one a task and
            seed) in it. Or the folder of one comparison, whose methods are then taken.
        tasks: which tasks to compare; by default all that both have.

    Raises:
        ValueError: if there is nothing to compare with, a task is unknown, or two runs of a method have the same
            task and seed.
    """
    method, *baselines = [(folder, read_records(folder)) for folder in _methods(folders)]
    return [_compare(method, baseline, tasks) for baseline in baselines]


def _methods(folders: Sequence[Path]) -> Sequence[Path]:
    """The folder of each method, where that of one comparison may be given for all of them."""
    if len(folders) == 1 and Plan.is_in(folders[0]):
        return [folders[0] / name for name in (METHOD, *Plan.load(folders[0]).baselines)]
    if len(folders) < 2:
        raise ValueError(
            "Give the folder of a comparison, or two folders of runs and more. "
            f"Received: {', '.join(map(str, folders)) or 'none'}"
        )
    return folders


def report(folders: Sequence[Path], tasks: Sequence[str] | None = None, *, quiet: bool = False) -> None:
    """Prints the comparisons of `compare_folders`, and writes them into the first folder as JSON and as a page.

    The files are `comparison.json` and `comparison.html`, or `comparison-<tasks>` if only some tasks are compared.
    With `quiet`, nothing is printed.
    """
    outcomes = [outcome.to_json() for outcome in compare_folders(folders, tasks)]
    name = "-".join(["comparison", *(tasks or ())])
    target, page = (folders[0] / f"{name}{suffix}" for suffix in (".json", ".html"))
    write_json(target, outcomes)
    comparison_report(_methods(folders), outcomes, page)
    if quiet:
        return
    for outcome in outcomes:
        print_comparison(outcome)
    print(f"Written to {target}")
    print(f"Report: {page}")


def _compare(
    method: tuple[Path, list[Record]], baseline: tuple[Path, list[Record]], asked: Sequence[str] | None
) -> Outcome:
    (path, ours), (other_path, theirs) = method, baseline
    shared = [task for task in _tasks(ours) if task in _tasks(theirs)]
    known = list(dict.fromkeys((*_tasks(ours), *_tasks(theirs))))
    for task in asked or ():
        if task not in known:
            raise unknown_value("task", task, known)
    tasks = [task for task in shared if asked is None or task in asked]
    if not tasks:
        raise ValueError(f"The runs in {str(path)!r} and {str(other_path)!r} have no task in common.")
    primary = {task: entry for record in ours for task, entry in record.primary.items()}
    measures = {}
    for split, metric in MEASURES:
        if all(split in record.tables for record in (*ours, *theirs)):
            results = []
            for task in tasks:
                name = primary[task]["metric"] if metric == "primary" else metric
                better = metric == "primary" and primary[task]["higher_is_better"]
                sides = [by_seed(side, split, task, name) for side in (ours, theirs)]
                results.append(TaskResults(task, name, better, *sides))
            measures[split, metric] = compare(results)
    seeds = next(iter(measures.values())).seeds
    cost = compare_costs(*(_costs(side, seeds) for side in (ours, theirs)))
    every = {int(record.config["seed"]) for record in (*ours, *theirs) if set(record.tasks) & set(tasks)}
    name, other_name = path.resolve().name, other_path.resolve().name
    if name == other_name:
        name, other_name = str(path), str(other_path)
    left_out = tuple(task for task in asked or known if task not in tasks)
    return Outcome(name, other_name, tuple(tasks), measures, cost, (left_out, tuple(sorted(every - set(seeds)))))


def _tasks(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(task for record in records for task in record.tasks))


def _costs(records: Sequence[Record], seeds: Sequence[int]) -> dict[str, list[Cost]]:
    """The costs of each network's runs with these seeds; of all networks, whichever tasks are compared."""
    costs: dict[str, list[Cost]] = {}
    for record in records:
        if record.config["seed"] in seeds:
            costs.setdefault(",".join(record.tasks), []).append(record.cost)
    return costs
