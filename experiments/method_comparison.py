"""Compares finished runs: the effect of a method on each task, and its cost."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from experiments.judging import RULES, check_rule
from experiments.plan import METHOD, Plan, folder_name, is_comparison
from experiments.run_results import Method
from mtl_keras.analysis import Comparison, CostComparison, Interval, TaskResults, compare, compare_costs
from mtl_keras.analysis.comparison import TaskMetric
from mtl_keras.checks import unknown_value


class Measure(NamedTuple):
    """What is compared.

    Args:
        split: `"test"` or `"train"`.
        metric: name of a metric; `"primary"` is the primary metric of each task, `"all"` are all metrics of each task
            that it was trained with and whose direction is known.
    """

    split: str
    metric: str


PRIMARY, ALL = "primary", "all"
MEASURES = (
    Measure("test", PRIMARY),
    Measure("test", ALL),
    Measure("train", PRIMARY),
    Measure("test", "loss"),
    Measure("train", "loss"),
)


@dataclass(frozen=True)
class MethodComparison:
    """The comparison of a method with a baseline.

    Args:
        judge_at: the rule by which both were judged, one of `experiments.judging.RULES`.
        measures: measure -> comparison; the first measure is the primary metric on the test split. All metrics are
            among them if a task has several.
        cost: the method's cost and the baseline's; single-task networks are summed over the tasks.
        tasks_left_out: tasks without a result on both sides.
        seeds_left_out: seeds without a result for every task on both sides.
    """

    judge_at: str
    measures: Mapping[Measure, Comparison]
    cost: CostComparison
    tasks_left_out: tuple[str, ...] = ()
    seeds_left_out: tuple[int, ...] = ()

    @property
    def first(self) -> Comparison:
        """The comparison of the primary metrics on the test split."""
        return next(iter(self.measures.values()))

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.first.method

    @property
    def baseline(self) -> str:
        """Name of the baseline."""
        return self.first.baseline

    @property
    def tasks(self) -> tuple[str, ...]:
        """The compared tasks."""
        return tuple(entry.task for entry in self.first.tasks)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The compared seeds."""
        return self.first.seeds

    @property
    def delta_m(self) -> Interval:
        """The mean relative gain of the tasks' primary metrics on the test split, in percent."""
        return self.first.delta_m

    @property
    def all_metrics(self) -> Comparison:
        """The comparison of all metrics on the test split; the first one if every task has one metric."""
        return self.measures.get(Measure("test", ALL), self.first)

    @property
    def negative_transfer(self) -> list[str]:
        """The tasks whose primary metric is clearly worse on the test split."""
        return self.first.negative_transfer

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values."""
        return {
            "method": self.method,
            "baseline": self.baseline,
            "judge_at": self.judge_at,
            "tasks": list(self.tasks),
            "seeds": list(self.seeds),
            "tasks_left_out": list(self.tasks_left_out),
            "seeds_left_out": list(self.seeds_left_out),
            "delta_m": dataclasses.asdict(self.delta_m),
            "delta_m_convention": self.first.convention,
            "negative_transfer": self.negative_transfer,
            "measures": [measure._asdict() | found.to_json() for measure, found in self.measures.items()],
            "cost": self.cost.to_json(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> MethodComparison:
        """Returns the comparison from the result of `to_json`."""
        names = {side: values[side] for side in ("method", "baseline")}
        measures = {
            Measure(measure["split"], measure["metric"]): Comparison.from_json({**measure, **names})
            for measure in values["measures"]
        }
        left_out = (tuple(values[name]) for name in ("tasks_left_out", "seeds_left_out"))
        # The only rule of versions that did not write it.
        judge_at = values.get("judge_at", "best_mean")
        return cls(judge_at, measures, CostComparison.from_json(values["cost"]), *left_out)


def method_folders(folders: Sequence[Path]) -> Sequence[Path]:
    """Returns the folder of each method.

    Args:
        folders: one for each method, with its finished runs (one per seed; for single-task networks, one per task and
            seed). Or the folder of one comparison, to use its methods.

    Raises:
        ValueError: if there is no baseline.
    """
    if len(folders) == 1 and is_comparison(folders[0]):
        return [folders[0] / folder_name(name) for name in (METHOD, *Plan.load(folders[0]).baselines)]
    if len(folders) < 2:
        raise ValueError(
            "Give the folder of a comparison, or at least two folders of runs. "
            f"Received: {', '.join(map(str, folders)) or 'none'}"
        )
    return folders


def compare_methods(
    methods: Sequence[Method], tasks: Sequence[str] | None = None, judge_at: str | None = None
) -> list[MethodComparison]:
    """Compares the first of several methods with each of the others.

    Args:
        methods: the method, then the baselines.
        tasks: which tasks to compare; by default all that both have.
        judge_at: the rule by which to judge; by default the first of `RULES` by which all runs were evaluated.

    Raises:
        ValueError: if a task is unknown or there is none in common, two runs of a method have the same task and seed,
            or a run was not evaluated by the rule.
    """
    rule = _rule(methods, judge_at)
    return [_compare(methods[0], baseline, tasks, rule) for baseline in methods[1:]]


def compare_groups(
    methods: Sequence[Method], tasks: Sequence[str] | None = None, judge_at: str | None = None
) -> list[MethodComparison]:
    """Compares each baseline that has groups with the baselines that have none; arguments as for `compare_methods`."""
    rule = _rule(methods, judge_at)
    baselines = methods[1:]
    pairs = itertools.product(
        (each for each in baselines if each.groups), (each for each in baselines if not each.groups)
    )
    return [_compare(method, baseline, tasks, rule) for method, baseline in pairs]


def task_metrics(methods: Sequence[Method], tasks: Sequence[str], judge_at: str) -> list[TaskMetric]:
    """Returns the metrics of each task, with a known direction, that all runs with this task have."""
    found = []
    for task in tasks:
        of_runs = [run.directions(task, judge_at) for method in methods for run in method.runs if task in run.tasks]
        found += [
            TaskMetric(task, metric, better)
            for metric, better in of_runs[0].items()
            if all(metric in each for each in of_runs)
        ]
    return found


def _rule(methods: Sequence[Method], requested: str | None) -> str:
    """Returns the requested rule, or the first by which all runs were evaluated."""
    if requested is None:
        runs = [run for method in methods for run in method.runs]
        return next(rule for rule in RULES if all((rule, "test") in run.evaluations for run in runs))
    check_rule(requested)
    for method in methods:
        for run in method.runs:
            if (requested, "test") not in run.evaluations:
                known = ", ".join(rule for rule in RULES if (rule, "test") in run.evaluations)
                raise ValueError(
                    f"{run.folder} was not evaluated by this rule. Choices: {known}. Received: {requested!r}"
                )
    return requested


def _compare(method: Method, baseline: Method, chosen: Sequence[str] | None, judge_at: str) -> MethodComparison:
    known = list(dict.fromkeys((*method.tasks, *baseline.tasks)))
    for task in chosen or ():
        if task not in known:
            raise unknown_value("task in tasks", task, known)
    tasks = [task for task in method.tasks if task in baseline.tasks and (chosen is None or task in chosen)]
    if not tasks:
        raise ValueError(f"The runs in {str(method.folder)!r} and {str(baseline.folder)!r} have no task in common.")
    runs = (*method.runs, *baseline.runs)
    primary = {task: metric for run in method.runs for task, metric in run.primary_metrics.items()}
    metrics = {
        PRIMARY: [TaskMetric(task, *primary[task]) for task in tasks],
        ALL: task_metrics((method, baseline), tasks, judge_at),
        "loss": [TaskMetric(task, "loss", False) for task in tasks],
    }
    measures = {}
    for measure in MEASURES:
        chosen_metrics = metrics[measure.metric]
        if measure.metric == ALL and len(chosen_metrics) == len(tasks):
            continue  # the primary metrics
        if all((judge_at, measure.split) in run.evaluations for run in runs):
            results = []
            for task, metric, better in map(dataclasses.astuple, chosen_metrics):
                sides = [side.by_seed(task, metric, judge_at, measure.split) for side in (method, baseline)]
                results.append(TaskResults(task, metric, better, *sides))
            measures[measure] = compare(results, names=(method.name, baseline.name))
    seeds = next(iter(measures.values())).seeds
    all_seeds = {run.seed for run in runs if set(run.tasks) & set(tasks)}
    return MethodComparison(
        judge_at,
        measures,
        compare_costs(method.costs(seeds), baseline.costs(seeds)),
        tuple(task for task in chosen or known if task not in tasks),
        tuple(sorted(all_seeds - set(seeds))),
    )
