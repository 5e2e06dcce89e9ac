"""Compares folders of finished runs: the effect of a method on each task, and its cost."""

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
"""A split and a metric; "primary" is the primary metric of each task."""
MEASURES: tuple[Measure, ...] = (("test", "primary"), ("train", "primary"), ("test", "loss"), ("train", "loss"))


@dataclass(frozen=True)
class Outcome:
    """The comparison of a method with a baseline.

    Args:
        method: name of the method.
        baseline: name of the baseline.
        tasks: the compared tasks.
        measures: measure -> comparison; the first measure is the primary metric on the test split.
        cost: the method's cost and the baseline's; single-task networks are summed over the tasks.
        left_out: tasks without a result on both sides, and seeds without a result for every task on both sides.
    """

    method: str
    baseline: str
    tasks: tuple[str, ...]
    measures: dict[Measure, Comparison]
    cost: CostComparison
    left_out: tuple[tuple[str, ...], tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """Returns the outcome as JSON values."""
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
        folders: one for each method, with its finished runs (one per seed; for single-task networks, one per task and
            seed). Or the folder of one comparison, to use its methods.
        tasks: which tasks to compare; by default all that both have.

    Raises:
        ValueError: if there is no baseline, a task is unknown, or two runs of a method have the same task and seed.
    """
    method, *baselines = [(folder, read_records(folder)) for folder in _methods(folders)]
    return [_compare(method, baseline, tasks) for baseline in baselines]


def _methods(folders: Sequence[Path]) -> Sequence[Path]:
    """Returns the folder of each method, from these folders or from that of one comparison."""
    if len(folders) == 1 and Plan.is_in(folders[0]):
        return [folders[0] / name for name in (METHOD, *Plan.load(folders[0]).baselines)]
    if len(folders) < 2:
        raise ValueError(
            "Give the folder of a comparison, or two folders of runs and more. "
            f"Received: {', '.join(map(str, folders)) or 'none'}"
        )
    return folders


def report(folders: Sequence[Path], tasks: Sequence[str] | None = None, *, quiet: bool = False) -> None:
    """Prints the comparisons of `compare_folders`, and writes them into the first folder as JSON and HTML.

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
    method: tuple[Path, list[Record]], baseline: tuple[Path, list[Record]], chosen: Sequence[str] | None
) -> Outcome:
    (path, method_records), (other_path, baseline_records) = method, baseline
    shared = [task for task in _tasks(method_records) if task in _tasks(baseline_records)]
    known = list(dict.fromkeys((*_tasks(method_records), *_tasks(baseline_records))))
    for task in chosen or ():
        if task not in known:
            raise unknown_value("task", task, known)
    tasks = [task for task in shared if chosen is None or task in chosen]
    if not tasks:
        raise ValueError(f"The runs in {str(path)!r} and {str(other_path)!r} have no task in common.")
    primary = {task: entry for record in method_records for task, entry in record.primary.items()}
    measures = {}
    for split, metric in MEASURES:
        if all(split in record.tables for record in (*method_records, *baseline_records)):
            results = []
            for task in tasks:
                name = primary[task]["metric"] if metric == "primary" else metric
                better = metric == "primary" and primary[task]["higher_is_better"]
                sides = [by_seed(side, split, task, name) for side in (method_records, baseline_records)]
                results.append(TaskResults(task, name, better, *sides))
            measures[split, metric] = compare(results)
    seeds = next(iter(measures.values())).seeds
    cost = compare_costs(*(_costs(side, seeds) for side in (method_records, baseline_records)))
    all_seeds = {
        int(record.config["seed"]) for record in (*method_records, *baseline_records) if set(record.tasks) & set(tasks)
    }
    name, other_name = path.resolve().name, other_path.resolve().name
    if name == other_name:
        name, other_name = str(path), str(other_path)
    left_out = tuple(task for task in chosen or known if task not in tasks)
    return Outcome(name, other_name, tuple(tasks), measures, cost, (left_out, tuple(sorted(all_seeds - set(seeds)))))


def _tasks(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(task for record in records for task in record.tasks))


def _costs(records: Sequence[Record], seeds: Sequence[int]) -> dict[str, list[Cost]]:
    """Returns the costs of the runs with these seeds by network, including networks of tasks that are not compared."""
    costs: dict[str, list[Cost]] = {}
    for record in records:
        if record.config["seed"] in seeds:
            costs.setdefault(",".join(record.tasks), []).append(record.cost)
    return costs
