"""Compares a method with a baseline over seeds, and gives a verdict on each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtl_keras.analysis.delta_m import POSITIVE_IS_BETTER, relative_gain
from mtl_keras.analysis.intervals import (
    INTERVALS,
    STUDENT,
    Interval,
    MeanTest,
    holm,
    json_numbers,
    mean_interval,
    paired_test,
)
from mtl_keras.checks import check_bool

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

    def __post_init__(self) -> None:
        check_bool("higher_is_better", self.higher_is_better)


@dataclass(frozen=True)
class TaskResults(TaskMetric):
    """Results of a task by one metric in every run, with the method and with the baseline. See also `TaskMetric`.

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
    """One task of a comparison, by one metric. See also `TaskMetric`.

    Args:
        method: the metric over the seeds, with the method.
        baseline: the metric over the seeds, with the baseline.
        difference: paired interval of `method - baseline`, in the metric's own unit and sign: where lower is better, a
            negative difference is an improvement.
        verdict: `"better"` or `"worse"`, for the method, if `difference` excludes 0, else `"no clear difference"`;
            `"not known"` if there is no interval because of a single seed or a non-finite result.
        relative_gain: mean over the seeds of the gain in percent of the baseline, in the comparison's convention.
        p_value: two-sided p-value of no difference, by the paired t test or the bootstrap; NaN if there is no interval.
            It belongs to this task alone.
        holm_p_value: the p-value adjusted for testing all entries of the comparison at once, as `holm` does.
        holm_verdict: the verdict if `holm_p_value` is below 1 - confidence, else `"no clear difference"`.
    """

    method: Spread
    baseline: Spread
    difference: Interval
    verdict: str
    relative_gain: float
    p_value: float = math.nan
    holm_p_value: float = math.nan
    holm_verdict: str = UNKNOWN

    def row(self) -> tuple[str, ...]:
        """Returns the cells of a table: task, metric, both sides, difference, verdict, p-value after Holm."""
        metric = f"{self.metric} {'↑' if self.higher_is_better else '↓'}"
        p_value = "-" if math.isnan(self.holm_p_value) else f"{self.holm_p_value:.4f}"
        return (self.task, metric, str(self.method), str(self.baseline), str(self.difference), self.verdict, p_value)


@dataclass(frozen=True, repr=False)
class Comparison:
    """A method against a baseline. `print` shows it as a table.

    Args:
        seeds: the compared seeds, which every task has on both sides.
        tasks: one entry per task, or per task and metric.
        delta_m: interval, over the seeds, of the mean relative gain over all metrics in percent.
        delta_p: the same of the mean over the tasks of the mean over a task's metrics. It equals `delta_m` with one
            metric a task.
        convention: meaning of a positive gain, one of `mtl_keras.analysis.CONVENTIONS`.
        method: name of the method.
        baseline: name of the baseline.
        intervals: how the intervals are computed, `"t"` or `"bootstrap"`.
    """

    seeds: tuple[int, ...]
    tasks: tuple[TaskComparison, ...]
    delta_m: Interval
    delta_p: Interval
    convention: str
    method: str = "method"
    baseline: str = "baseline"
    intervals: str = STUDENT

    @property
    def negative_transfer(self) -> list[str]:
        """The tasks that are clearly worse with the method, each by itself."""
        return list(dict.fromkeys(entry.task for entry in self.tasks if entry.verdict == WORSE))

    @property
    def has_one_metric_per_task(self) -> bool:
        """Whether every task is compared by one metric."""
        return len({entry.task for entry in self.tasks}) == len(self.tasks)

    @property
    def expected_by_chance(self) -> float:
        """How many tasks would be called better or worse by chance if there were no difference in any."""
        return (1 - self.delta_m.confidence) * self._tests

    @property
    def _tests(self) -> int:
        return sum(not math.isnan(entry.p_value) for entry in self.tasks)

    def by_verdict(self, *, after_holm: bool = False) -> dict[str, list[str]]:
        """Returns verdict -> tasks, with the metric if a task has several; `after_holm` for the corrected verdicts."""
        found: dict[str, list[str]] = {verdict: [] for verdict in (BETTER, WORSE, UNCLEAR, UNKNOWN)}
        for entry in self.tasks:
            name = entry.task if self.has_one_metric_per_task else f"{entry.task} {entry.metric}"
            found[entry.holm_verdict if after_holm else entry.verdict].append(name)
        return found

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON values; unknown values are NaN."""
        return {
            **asdict(self),
            "negative_transfer": self.negative_transfer,
            "expected_by_chance": self.expected_by_chance,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Comparison:
        """Returns the comparison from the result of `to_json`, of earlier versions too; null is NaN."""
        tasks = [
            TaskComparison(
                **{
                    **task,
                    **{side: Spread(**json_numbers(task[side])) for side in ("method", "baseline")},
                    "difference": Interval(**json_numbers(task["difference"])),
                    **json_numbers({name: task.get(name) for name in ("relative_gain", "p_value", "holm_p_value")}),
                }
            )
            for task in values["tasks"]
        ]
        # Versions without delta_p compared one metric a task, so that it is delta_m.
        delta_m = Interval(**json_numbers(values["delta_m"]))
        delta_p = Interval(**json_numbers(values.get("delta_p", values["delta_m"])))
        names = (values["method"], values["baseline"], values.get("intervals", STUDENT))
        return cls(tuple(values["seeds"]), tuple(tasks), delta_m, delta_p, values["convention"], *names)

    def rows(self) -> list[tuple[str, ...]]:
        """Returns the cells of a table: the titles, then one row per entry, with p-values if they are known."""
        titles = ("task", "metric", self.method, self.baseline, "difference", "verdict", "p (Holm)")
        rows = [titles, *(entry.row() for entry in self.tasks)]
        return rows if self._tests else [row[:-1] for row in rows]

    def gains(self, about: str = "") -> str:
        """Returns a sentence with delta_m and delta_p, their intervals and the sign convention.

        Args:
            about: more about the numbers, for the brackets.
        """
        notes = "; ".join(filter(None, (self.convention, about)))
        if self.has_one_metric_per_task:
            return f"delta_m = delta_p: {self.delta_m:+.2f} % ({notes})."
        tasks = len({entry.task for entry in self.tasks})
        return (
            f"delta_m, the mean over {len(self.tasks)} metrics: {self.delta_m:+.2f} %; "
            f"delta_p, the mean over {tasks} tasks: {self.delta_p:+.2f} % ({notes})."
        )

    def chance_note(self) -> str:
        """Returns a sentence with the number of verdicts that chance alone would give; empty for fewer than two."""
        if self._tests < 2:
            return ""
        tests = f"{self._tests} {'tasks' if self.has_one_metric_per_task else 'metrics'}"
        number = format(self.expected_by_chance, ".0f" if self.expected_by_chance >= 1 else ".1g")
        return f"Of {tests} without any difference, about {number} would be called better or worse by chance."

    def holm_note(self) -> str:
        """Returns a sentence with the verdicts that remain after Holm's correction; empty for fewer than two."""
        if self._tests < 2:
            return ""
        remaining = self.by_verdict(after_holm=True)
        better, worse = (", ".join(remaining[verdict]) or "none" for verdict in (BETTER, WORSE))
        return f"After Holm's correction for {self._tests} tests: better: {better}; worse: {worse}."

    def __repr__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        worse = ", ".join(self.negative_transfer) or ("none" if len(self.seeds) > 1 else "not known")
        note = f"In brackets: the {self.delta_m.confidence:.0%} interval ({INTERVALS[self.intervals]})."
        if len(self.seeds) == 1:
            note = "One seed has no interval, and gives no verdict: use several."
        lines += [f"{self.gains()} Negative transfer: {worse}.", self.chance_note(), self.holm_note()]
        return "\n".join([*filter(None, lines), f"Seeds: {', '.join(map(str, self.seeds))}. {note}"])


def compare(
    results: Sequence[TaskResults],
    *,
    confidence: float = 0.95,
    convention: str = POSITIVE_IS_BETTER,
    intervals: str = STUDENT,
    names: tuple[str, str] = ("method", "baseline"),
) -> Comparison:
    """Compares a method with a baseline, task by task and as a whole.

    Each task's verdict is computed separately: among many tasks without any difference, a share of `1 - confidence` is
    called better or worse by chance. The verdicts after Holm's correction are false for any task with at most this
    probability.

    A non-finite result (a run that diverged) gives the verdict `"not known"`. Such a result, or a baseline that is not
    above 0, makes the relative gain of the task, `delta_m` and `delta_p` NaN.

    Args:
        results: one entry per task, or several of a task with different metrics. Seeds that one side of any entry lacks
            are left out everywhere.
        confidence: confidence level of the intervals, in (0, 1).
        convention: meaning of a positive gain, one of `mtl_keras.analysis.CONVENTIONS`.
        intervals: how to compute intervals and p-values: `"t"`, Student's t over the paired differences, or
            `"bootstrap"`, with the percentiles of 9999 resamples of the seeds; see `mean_interval`.
        names: names of the method and of the baseline.

    Raises:
        ValueError: if there are no tasks, a metric of a task occurs twice, no seed is common to all, or for an unknown
            convention or `intervals`.

    Example:

    ```python
    item = TaskResults("item", "accuracy", True, method={0: 0.91, 1: 0.93}, baseline={0: 0.90, 1: 0.91})
    compare([item]).tasks[0].verdict  # "no clear difference": two seeds are too few
    ```
    """
    seeds = common_seeds(results)
    gains = np.array([_gains(entry, seeds, convention) for entry in results])
    tests = [_test(entry, seeds, confidence, intervals) for entry in results]
    adjusted = holm([test.p_value for test in tests])
    tasks = tuple(map(_compare_task, results, [seeds] * len(results), tests, adjusted, gains.mean(axis=1).tolist()))
    of_tasks = [
        gains[[entry.task == task for entry in results]].mean(axis=0)
        for task in dict.fromkeys(entry.task for entry in results)
    ]
    delta_m, delta_p = (
        mean_interval(by_seed.mean(axis=0), confidence, intervals=intervals) for by_seed in (gains, np.array(of_tasks))
    )
    return Comparison(seeds, tasks, delta_m, delta_p, convention, *names, intervals)


def common_seeds(results: Sequence[TaskResults]) -> tuple[int, ...]:
    """Returns the seeds that every task has with the method and with the baseline, sorted.

    Raises:
        ValueError: if there are no such seeds, no tasks, or a metric of a task occurs twice.
    """
    names = [f"{entry.task} {entry.metric}" for entry in results]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            "`results` must have at least one task, and each of its metrics once. "
            f"Received: {', '.join(names) or 'none'}"
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


def _test(entry: TaskResults, seeds: Sequence[int], confidence: float, intervals: str) -> MeanTest:
    method, baseline = _sides(entry, seeds)
    if all(map(math.isfinite, [*method, *baseline])):
        return paired_test(method, baseline, confidence, intervals=intervals)
    return MeanTest(Interval(math.nan, math.nan, math.nan, confidence, len(seeds)), math.nan)


def _compare_task(
    entry: TaskResults, seeds: Sequence[int], test: MeanTest, holm_p_value: float, gain: float
) -> TaskComparison:
    difference, p_value = test
    verdict = holm_verdict = UNCLEAR if math.isfinite(difference.low) else UNKNOWN
    if difference.excludes_zero:
        verdict = BETTER if (difference.mean > 0) == entry.higher_is_better else WORSE
        if holm_p_value < 1 - difference.confidence:
            holm_verdict = verdict
    method, baseline = map(_spread, _sides(entry, seeds))
    return TaskComparison(
        entry.task,
        entry.metric,
        entry.higher_is_better,
        method,
        baseline,
        difference,
        verdict,
        gain,
        p_value,
        holm_p_value,
        holm_verdict,
    )


def _sides(entry: TaskResults, seeds: Sequence[int]) -> tuple[list[float], list[float]]:
    return [entry.method[seed] for seed in seeds], [entry.baseline[seed] for seed in seeds]


def _spread(values: Sequence[float]) -> Spread:
    known = len(values) > 1 and all(map(math.isfinite, values))
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if known else math.nan)


def _gains(entry: TaskResults, seeds: Sequence[int], convention: str) -> list[float]:
    return [
        relative_gain(method, baseline, entry.higher_is_better, convention=convention)
        for method, baseline in zip(*_sides(entry, seeds))
    ]
