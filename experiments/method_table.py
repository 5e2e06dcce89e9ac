"""All compared methods in one table, as in papers: every metric of every task, the two gains, and the mean rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from experiments.method_comparison import MethodComparison, task_metrics
from experiments.proposals import described_groups
from experiments.run_results import Method
from mtl_keras.analysis import POSITIVE_IS_BETTER, TIES, delta_m, delta_p, mean_ranks, pareto_front
from mtl_keras.analysis.comparison import BETTER, WORSE, TaskMetric
from mtl_keras.reports.filters import arrow, decimal

Results = Mapping[str, Mapping[str, float]]
"""Task -> metric -> mean over the seeds."""
Directions = Mapping[str, Mapping[str, bool]]
_OPPOSITE = {BETTER: WORSE, WORSE: BETTER}
_TIE_RULES = dict(zip(TIES, ("average of their ranks", "lowest of their ranks", "highest of their ranks"), strict=True))


@dataclass(frozen=True)
class MethodTable:
    """A row for each method, and a column for each metric of each task.

    Gains, ranks and dominance are computed from the means over the seeds, as in the tables of papers.

    Args:
        metrics: the columns.
        values: method -> the mean of each metric over the seeds, on the test split; NaN if it is not known.
        seeds: the seeds that all methods have.
        reference: the method that gains are relative to: the single-task networks, else the first baseline.
        delta_m: method -> mean gain over metrics in percent; NaN if it is not known.
        delta_p: method -> mean over the tasks of the mean gain of a task's metrics.
        convention: meaning of a positive gain.
        mean_rank: method -> mean rank over the metrics; NaN for a method with an unknown value.
        ties: the tie rule of the ranks.
        not_dominated: the methods that no other method equals in all metrics and beats in at least one.
    """

    metrics: tuple[TaskMetric, ...]
    values: Mapping[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    reference: str
    delta_m: Mapping[str, float]
    delta_p: Mapping[str, float]
    convention: str
    mean_rank: Mapping[str, float]
    ties: str
    not_dominated: tuple[str, ...]

    def rows(self, *, with_metrics: bool = True) -> list[list[str]]:
        """Returns the cells of the table: the titles, then a row for each method.

        Args:
            with_metrics: whether to include the metrics, or the gains and ranks only.
        """
        columns = [f"{each.task} {each.metric}{arrow(each.higher_is_better)}" for each in self.metrics]
        rows = [["method", *columns * with_metrics, "delta_m (%)", "delta_p (%)", "mean rank"]]
        for name, values in self.values.items():
            gains = (decimal(gain[name], 2, sign=True) for gain in (self.delta_m, self.delta_p))
            rows.append([name, *map(decimal, values * with_metrics), *gains, decimal(self.mean_rank[name], 2)])
        return rows

    @property
    def notes(self) -> list[str]:
        """Sentences on how the numbers are computed, and the methods that are not dominated."""
        if len(self.metrics) == len({metric.task for metric in self.metrics}):
            meaning = "delta_m = delta_p (one metric a task): mean gain in % of"
        else:
            meaning = "delta_m (mean over metrics) and delta_p (mean over tasks): mean gain in % of"
        seeds = "seed" if len(self.seeds) == 1 else "seeds"
        return [
            f"Means on the test split over {seeds} {', '.join(map(str, self.seeds))}; ↑ higher is better, ↓ lower.",
            f"{meaning} {self.reference}, computed from these means ({self.convention}).",
            f"Mean rank over the metrics, 1 is best; equal methods get the {_TIE_RULES[self.ties]}.",
            "Not dominated (no other method is at least as good in all metrics and better in one): "
            f"{', '.join(self.not_dominated) or 'none'}.",
        ]


def group_notes(methods: Sequence[Method]) -> list[str]:
    """Returns the groups of each method that has any, and how well the affinities support them."""
    return [f"{method.name}: {described_groups(method.folder)}" for method in methods if method.groups]


def group_verdicts(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> list[list[str]]:
    """Returns `verdicts_by_task` for the methods with groups; empty without any.

    Args:
        methods: the method, then the baselines.
        comparisons: the method against the baselines, and the baselines with groups against the others.
    """
    groups = [method.name for method in methods if method.groups]
    return verdicts_by_task(comparisons, [method.name for method in methods], groups) if groups else []


def verdicts_by_task(
    comparisons: Sequence[MethodComparison], methods: Sequence[str], judged: Sequence[str]
) -> list[list[str]]:
    """Returns the verdict on some methods against each of the others, task by task.

    Args:
        comparisons: comparisons of these methods, either way round.
        methods: names of all methods.
        judged: names of the methods to judge.

    Returns:
        The titles, then a row for each task: the primary metric of each method, and the verdicts.
    """
    pairs = [(name, other) for name in judged for other in methods if other not in judged]
    verdicts: dict[tuple[str, str, str], str] = {}
    cells: dict[tuple[str, str], str] = {}
    metrics: dict[str, str] = {}
    for comparison in comparisons:
        for entry in comparison.first.tasks:
            one, other = comparison.method, comparison.baseline
            verdicts[one, other, entry.task] = entry.verdict
            verdicts[other, one, entry.task] = _OPPOSITE.get(entry.verdict, entry.verdict)
            cells[one, entry.task], cells[other, entry.task] = str(entry.method), str(entry.baseline)
            metrics[entry.task] = f"{entry.metric}{arrow(entry.higher_is_better)}"
    titles = (f"against {other}" if len(judged) == 1 else f"{one} against {other}" for one, other in pairs)
    header = ["task", "metric", *methods, *titles]
    return [header] + [
        [
            task,
            metric,
            *(cells.get((name, task), "-") for name in methods),
            *(verdicts.get((*pair, task), "-") for pair in pairs),
        ]
        for task, metric in metrics.items()
    ]


def method_table(
    methods: Sequence[Method], comparisons: Sequence[MethodComparison], *, ties: str = TIES[0]
) -> MethodTable | None:
    """Returns the table of several methods; `None` if they have no task or no seed in common.

    Args:
        methods: the method, then the baselines.
        comparisons: the method against each of the baselines, in the same order.
        ties: the tie rule of the ranks, one of `mtl_keras.analysis.TIES`.
    """
    tasks = [task for task in comparisons[0].tasks if all(task in each.tasks for each in comparisons)]
    seeds = tuple(sorted(set.intersection(*(set(each.seeds) for each in comparisons))))
    if not tasks or not seeds:
        return None
    judge_at = comparisons[0].judge_at
    metrics = task_metrics(methods, tasks, judge_at)
    results = {method.name: _means(method, metrics, seeds, judge_at) for method in methods}
    better: dict[str, dict[str, bool]] = {}
    for entry in metrics:
        better.setdefault(entry.task, {})[entry.metric] = entry.higher_is_better
    values = {name: tuple(means[entry.task][entry.metric] for entry in metrics) for name, means in results.items()}
    known = {name: results[name] for name, row in values.items() if all(map(math.isfinite, row))}
    reference = next((method.name for method in methods if method.is_single_task), methods[1].name)
    has_gains = reference in known and min(values[reference]) > 0

    def gains(formula: Callable[[Results, Results, Directions], float]) -> dict[str, float]:
        return {
            name: formula(known[name], known[reference], better) if has_gains and name in known else math.nan
            for name in values
        }

    ranks = mean_ranks(known, better, ties=ties) if known else {}
    return MethodTable(
        tuple(metrics),
        values,
        seeds,
        reference,
        gains(delta_m),
        gains(delta_p),
        POSITIVE_IS_BETTER,
        {name: ranks.get(name, math.nan) for name in values},
        ties,
        tuple(pareto_front(known, better)) if known else (),
    )


def _means(method: Method, metrics: Sequence[TaskMetric], seeds: Sequence[int], judge_at: str) -> Results:
    means: dict[str, dict[str, float]] = {}
    for entry in metrics:
        by_seed = method.by_seed(entry.task, entry.metric, judge_at, "test")
        means.setdefault(entry.task, {})[entry.metric] = fmean(by_seed[seed] for seed in seeds)
    return means
