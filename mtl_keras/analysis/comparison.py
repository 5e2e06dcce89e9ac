"""Compares a method with a baseline over seeds, and gives a verdict on each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtl_keras.analysis.delta_m import POSITIVE_IS_BETTER, relative_gain
from mtl_keras.analysis.intervals import Interval, json_numbers, mean_interval, paired_interval

BETTER, WORSE, UNCLEAR, UNKNOWN = "better", "worse", "no clear difference", "not known"


@dataclass(frozen=True)
class TaskMetric:
    """The metric that a task is compared by.

    Args:
        task: name of the task.
        metric: name of the metric.
        higher_is_better: whether a higher metric is a better one.
    """

    task: str
    metric: str
    higher_is_better: bool


@dataclass(frozen=True)
class TaskResults(TaskMetric):
    """Results of a task in every run, with the method and with the baseline. See also `TaskMetric`.

    Args:
        method: seed -> metric with the method.
        baseline: seed -> metric with the baseline, e.g. the task's single-task network.
    """

    method: Mapping[int, float]
    baseline: Mapping[int, float]


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (divisor n - 1; NaN for one seed) over seeds."""

    mean: float
    std: float

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "-"
        return f"{self.mean:.4f}" + ("" if math.isnan(self.std) else f" ± {self.std:.4f}")


@dataclass(frozen=True)
class TaskComparison(TaskMetric):
    """One task of a comparison. See also `TaskMetric`.

    Args:
        method: the metric over the seeds, with the method.
        baseline: the metric over the seeds, with the baseline.
        difference: paired interval of `method - baseline`, in the metric's own unit and sign: where lower is better, a
            negative difference is an improvement.
        verdict: `"better"` or `"worse"`, for the method, if `difference` excludes 0, else `"no clear difference"`;
            `"not known"` if there is no interval because of a single seed or a non-finite result.
        relative_gain: mean over the seeds of the gain in percent of the baseline, in the comparison's convention.
    """

    method: Spread
    baseline: Spread
    difference: Interval
    verdict: str
    relative_gain: float

    def row(self) -> tuple[str, ...]:
        """Returns the cells of a table: task, metric, both sides, difference, verdict."""
        metric = f"{self.metric} {'↑' if self.higher_is_better else '↓'}"
        return (self.task, metric, str(self.method), str(self.baseline), str(self.difference), self.verdict)


@dataclass(frozen=True, repr=False)
class Comparison:
    """A method against a baseline. `print` shows it as a table.

    Args:
        seeds: the compared seeds, which every task has on both sides.
        tasks: one entry per task.
        delta_m: interval, over the seeds, of the mean relative gain of the tasks in percent.
        convention: meaning of a positive gain, one of `mtl_keras.analysis.CONVENTIONS`.
        method: name of the method.
        baseline: name of the baseline.
    """

    seeds: tuple[int, ...]
    tasks: tuple[TaskComparison, ...]
    delta_m: Interval
    convention: str
    method: str = "method"
    baseline: str = "baseline"

    @property
    def negative_transfer(self) -> list[str]:
        """The tasks that are clearly worse with the method."""
        return [entry.task for entry in self.tasks if entry.verdict == WORSE]

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values; unknown values are NaN."""
        return {**asdict(self), "negative_transfer": self.negative_transfer}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Comparison:
        """Returns the comparison from the result of `to_json`; null is NaN."""
        tasks = [
            TaskComparison(
                **{
                    **task,
                    **{side: Spread(**json_numbers(task[side])) for side in ("method", "baseline")},
                    "difference": Interval(**json_numbers(task["difference"])),
                    **json_numbers({"relative_gain": task["relative_gain"]}),
                }
            )
            for task in values["tasks"]
        ]
        delta_m = Interval(**json_numbers(values["delta_m"]))
        names = (values["method"], values["baseline"])
        return cls(tuple(values["seeds"]), tuple(tasks), delta_m, values["convention"], *names)

    def rows(self) -> list[tuple[str, ...]]:
        """Returns the cells of a table: the titles, then one row per task."""
        titles = ("task", "metric", self.method, self.baseline, "difference", "verdict")
        return [titles, *(entry.row() for entry in self.tasks)]

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        worse = ", ".join(self.negative_transfer) or ("none" if len(self.seeds) > 1 else "not known")
        note = f"In brackets: the {self.delta_m.confidence:.0%} interval."
        if len(self.seeds) == 1:
            note = "One seed has no interval, and gives no verdict: use several."
        lines += [
            f"delta_m: {self.delta_m:+.2f} % ({self.convention}). Negative transfer: {worse}.",
            f"Seeds: {', '.join(map(str, self.seeds))}. {note}",
        ]
        return "\n".join(lines)


def compare(
    results: Sequence[TaskResults],
    *,
    confidence: float = 0.95,
    convention: str = POSITIVE_IS_BETTER,
    names: tuple[str, str] = ("method", "baseline"),
) -> Comparison:
    """Compares a method with a baseline, task by task and as a whole.

    Each task's verdict is computed separately: among many tasks without any difference, a share of `1 - confidence` is
    called better or worse by chance.

    A non-finite result (a run that diverged) gives the verdict `"not known"`. Such a result, or a baseline that is not
    above 0, makes the relative gain of the task and `delta_m` NaN.

    Args:
        results: one entry per task. Seeds that one side of any task lacks are left out everywhere.
        confidence: confidence level of the intervals, in (0, 1).
        convention: meaning of a positive gain, one of `mtl_keras.analysis.CONVENTIONS`.
        names: names of the method and of the baseline.

    Raises:
        ValueError: if there are no tasks, a task occurs twice, or no seed is common to all.

    Example:

    ```python
    item = TaskResults("item", "accuracy", True, method={0: 0.91, 1: 0.93}, baseline={0: 0.90, 1: 0.91})
    compare([item]).tasks[0].verdict  # "no clear difference": two seeds are too few
    ```
    """
    seeds = common_seeds(results)
    gains = np.array([_gains(entry, seeds, convention) for entry in results])
    relative = gains.mean(axis=1).tolist()
    tasks = tuple(_compare_task(entry, seeds, confidence, gain) for entry, gain in zip(results, relative))
    return Comparison(seeds, tasks, mean_interval(gains.mean(axis=0), confidence), convention, *names)


def common_seeds(results: Sequence[TaskResults]) -> tuple[int, ...]:
    """Returns the seeds that every task has with the method and with the baseline, sorted.

    Raises:
        ValueError: if there are no such seeds, no tasks, or a task occurs twice.
    """
    names = [entry.task for entry in results]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`results` must have at least one task, and each once. Received: {', '.join(names) or 'none'}"
        )
    sides = [set(side) for entry in results for side in (entry.method, entry.baseline)]
    seeds = tuple(sorted(set.intersection(*sides)))
    if not seeds:
        received = "; ".join(
            f"{entry.task}: {sorted(entry.method)} with the method, {sorted(entry.baseline)} with the baseline"
            for entry in results
        )
        raise ValueError(f"No seed was run with both the method and the baseline for every task. Received: {received}")
    return seeds


def _compare_task(entry: TaskResults, seeds: Sequence[int], confidence: float, gain: float) -> TaskComparison:
    method, baseline = ([side[seed] for seed in seeds] for side in (entry.method, entry.baseline))
    finite = all(map(math.isfinite, [*method, *baseline]))
    no_interval = Interval(math.nan, math.nan, math.nan, confidence, len(seeds))
    difference = paired_interval(method, baseline, confidence) if finite else no_interval
    verdict = UNCLEAR if math.isfinite(difference.low) else UNKNOWN
    if difference.excludes_zero:
        verdict = BETTER if (difference.mean > 0) == entry.higher_is_better else WORSE
    return TaskComparison(
        entry.task,
        entry.metric,
        entry.higher_is_better,
        _spread(method),
        _spread(baseline),
        difference,
        verdict,
        gain,
    )


def _spread(values: Sequence[float]) -> Spread:
    known = len(values) > 1 and all(map(math.isfinite, values))
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if known else math.nan)


def _gains(entry: TaskResults, seeds: Sequence[int], convention: str) -> list[float]:
    sides = ((entry.method[seed], entry.baseline[seed]) for seed in seeds)
    return [
        relative_gain(method, baseline, entry.higher_is_better, convention=convention) for method, baseline in sides
    ]
