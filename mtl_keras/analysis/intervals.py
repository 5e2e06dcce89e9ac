"""Confidence intervals and p-values for a few seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mtl_keras.checks import unknown_value
from mtl_keras.extras import import_extra

STUDENT, BOOTSTRAP = "t", "bootstrap"
INTERVALS = {STUDENT: "Student's t", BOOTSTRAP: "percentile bootstrap"}
"""Ways to compute intervals -> their descriptions. The first is the default."""
RESAMPLES = 9999
"""Number of resamples of a bootstrap."""


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval.

    Args:
        mean: the mean of the values.
        low: lower bound; NaN if there is no interval.
        high: upper bound; NaN if there is no interval.
        confidence: share, in (0, 1), of such intervals that contain the true mean.
        count: number of values.
    """

    mean: float
    low: float
    high: float
    confidence: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0; false if there is no interval."""
        return self.low > 0 or self.high < 0

    def __format__(self, spec: str) -> str:
        """Returns the mean with its interval; `spec`, by default `"+.4f"`, formats each number."""
        if math.isnan(self.mean):
            return "-"
        mean, low, high = (format(value, spec or "+.4f") for value in (self.mean, self.low, self.high))
        return mean if math.isnan(self.low) else f"{mean} [{low}, {high}]"

    def __str__(self) -> str:
        return format(self)


class MeanTest(NamedTuple):
    """A mean with its interval and the test of whether it is 0.

    Args:
        interval: the confidence interval.
        p_value: two-sided p-value of a mean of 0; NaN if there is no interval.
    """

    interval: Interval
    p_value: float


def mean_interval(values: Sequence[float], confidence: float = 0.95, *, intervals: str = STUDENT) -> Interval:
    """Returns the interval of a mean.

    Student's t interval is mean ± t * s / sqrt(n), with n - 1 degrees of freedom. The standard deviation s of few
    values is uncertain, and an interval of ±1.96 s / sqrt(n) is much too narrow. Student's t corrects for that exactly:
    the factor is 12.7 for two values, 4.30 for three, 2.78 for five. It assumes that the values are independent and
    normally distributed around the true mean; three values cannot show whether they are.

    The percentile bootstrap takes the quantiles of the means of 9999 resamples, with a fixed seed. It assumes no
    distribution, but with so few values its intervals are too narrow: use it from about ten values.

    With a single value, the bounds are NaN. A NaN among the values makes the mean and the bounds NaN.

    Args:
        values: `(n,)`, one per seed.
        confidence: in (0, 1). At 0.95, two of 40 tasks without any difference are expected to lie outside.
        intervals: how to compute the interval: `"t"` (Student's t) or `"bootstrap"`.

    Raises:
        ValueError: if `values` is empty, for a confidence outside (0, 1), or unknown `intervals`.

    References:
        Student, "The probable error of a mean", Biometrika 6(1), 1908.
        B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1), 1979.
    """
    return mean_test(values, confidence, intervals=intervals).interval


def mean_test(values: Sequence[float], confidence: float = 0.95, *, intervals: str = STUDENT) -> MeanTest:
    """Returns the interval of a mean, and the p-value of the two-sided test of a mean of 0.

    With Student's t, this is the one-sample t test, or the paired t test if `values` are differences: the p-value is
    below `1 - confidence` exactly if the interval excludes 0. With the bootstrap, it is twice the smaller share of the
    resampled means on one side of 0, at least 2 / 10000. Arguments and errors are those of `mean_interval`.

    References:
        A. Davison, D. Hinkley, *Bootstrap Methods and their Application*, 1997, equation 4.11.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1. Received: {confidence!r}")
    if not len(values):
        raise ValueError("`values` must not be empty. Received: []")
    if intervals not in INTERVALS:
        raise unknown_value("value of intervals", intervals, INTERVALS)
    array, count = np.asarray(values, "float64"), len(values)
    mean = float(array.mean())
    if count == 1 or not math.isfinite(mean):
        return MeanTest(Interval(mean, math.nan, math.nan, confidence, count), math.nan)
    (low, high), p_value = (_student if intervals == STUDENT else _bootstrap)(array, mean, confidence)
    return MeanTest(Interval(mean, low, high, confidence, count), p_value)


def _student(values: np.ndarray, mean: float, confidence: float) -> tuple[tuple[float, float], float]:
    # The functions that `scipy.stats.t` calls: importing `scipy.stats` takes a second. Imported here because only
    # comparisons need them.
    special = import_extra("scipy.special", "analysis")
    freedom, error = len(values) - 1, float(values.std(ddof=1) / np.sqrt(len(values)))
    half = float(special.stdtrit(freedom, (1 + confidence) / 2) * error)
    p_value = 2 * float(special.stdtr(freedom, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return (mean - half, mean + half), p_value


def _bootstrap(values: np.ndarray, mean: float, confidence: float) -> tuple[tuple[float, float], float]:
    stats = import_extra("scipy.stats", "analysis")
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        random_state=np.random.default_rng(0),  # `rng` since SciPy 1.15, which still takes this name
    )
    means = found.bootstrap_distribution
    sides = 1 + np.sum(means <= 0), 1 + np.sum(means >= 0)
    p_value = min(1.0, 2 * float(min(sides)) / (RESAMPLES + 1))
    return (float(found.confidence_interval.low), float(found.confidence_interval.high)), p_value


def paired_interval(
    method: Sequence[float], baseline: Sequence[float], confidence: float = 0.95, *, intervals: str = STUDENT
) -> Interval:
    """Returns the interval of the mean difference `method - baseline` of paired results.

    Runs with the same seed see their data in the same order, and share that part of their randomness. It cancels in the
    difference per seed, so that its interval is narrower than one computed from two separate means.

    Args:
        method: `(n,)` results of the method, one per seed.
        baseline: `(n,)` results of the baseline, with the same seeds in the same order.
        confidence: in (0, 1).
        intervals: as for `mean_interval`.

    Raises:
        ValueError: if their lengths differ, or as in `mean_interval`.
    """
    return paired_test(method, baseline, confidence, intervals=intervals).interval


def paired_test(
    method: Sequence[float], baseline: Sequence[float], confidence: float = 0.95, *, intervals: str = STUDENT
) -> MeanTest:
    """Returns the interval and the p-value of the mean difference of paired results: the paired t test.

    Arguments and errors are those of `paired_interval`.
    """
    if len(method) != len(baseline):
        raise ValueError(
            f"`method` and `baseline` must each have one value per seed. Received: {len(method)} and {len(baseline)}"
        )
    differences = [result - reference for result, reference in zip(method, baseline)]
    return mean_test(differences, confidence, intervals=intervals)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns the p-values adjusted for testing all of them at once, by Holm's method.

    Calling those below a level significant makes a false one with at most this probability over all tests together,
    whatever their dependence. The i-th smallest of m p-values is multiplied by m - i + 1; an adjusted one is at least
    as large as those of smaller p-values, and at most 1.

    Args:
        p_values: `(m,)`. NaN, an unknown one, does not count as a test and stays NaN.

    Raises:
        ValueError: for a p-value outside [0, 1].

    References:
        S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2),
        1979.
    """
    values = np.asarray(p_values, "float64")
    known = np.flatnonzero(~np.isnan(values))
    for value in values[known]:
        if not 0 <= value <= 1:
            raise ValueError(f"`p_values` must lie in [0, 1]. Received: {float(value)!r}")
    order = known[np.argsort(values[known], kind="stable")]
    adjusted = np.full(len(values), math.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)))
    return adjusted.tolist()


def json_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns numbers by name from JSON; null becomes NaN."""
    return {name: math.nan if value is None else value for name, value in values.items()}
