"""Confidence intervals for a few seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_keras.extras import import_extra


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


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns Student's t interval of a mean: mean ± t * s / sqrt(n), with n - 1 degrees of freedom.

    The standard deviation s of few values is uncertain, and an interval of ±1.96 s / sqrt(n) is much too narrow.
    Student's t corrects for that exactly: the factor is 12.7 for two values, 4.30 for three, 2.78 for five. It assumes
    that the values are independent and normally distributed around the true mean; three values cannot show whether
    they are. A bootstrap assumes less, but with so few values its intervals are too narrow.

    With a single value, the bounds are NaN. A NaN among the values makes the mean and the bounds NaN.

    Args:
        values: `(n,)`, one per seed.
        confidence: in (0, 1). At 0.95, two of 40 tasks without any difference are expected to lie outside.

    Raises:
        ValueError: if `values` is empty, or for a confidence outside (0, 1).

    References:
        Student, "The probable error of a mean", Biometrika 6(1), 1908.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1. Received: {confidence!r}")
    if not len(values):
        raise ValueError("`values` must not be empty. Received: []")
    array, count = np.asarray(values, "float64"), len(values)
    mean = float(array.mean())
    if count == 1:
        return Interval(mean, float("nan"), float("nan"), confidence, count)
    # The function that `scipy.stats.t.ppf` calls: importing `scipy.stats` takes a second. Imported here because only
    # comparisons need it.
    stdtrit = import_extra("scipy.special", "analysis").stdtrit
    half = float(stdtrit(count - 1, (1 + confidence) / 2) * array.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half, confidence, count)


def paired_interval(method: Sequence[float], baseline: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns the interval of the mean difference `method - baseline` of paired results.

    Runs with the same seed see their data in the same order, and share that part of their randomness. It cancels in the
    difference per seed, so that its interval is narrower than one computed from two separate means.

    Args:
        method: `(n,)` results of the method, one per seed.
        baseline: `(n,)` results of the baseline, with the same seeds in the same order.
        confidence: in (0, 1).

    Raises:
        ValueError: if their lengths differ, or as in `mean_interval`.
    """
    if len(method) != len(baseline):
        raise ValueError(
            f"`method` and `baseline` must each have one value per seed. Received: {len(method)} and {len(baseline)}"
        )
    return mean_interval([result - reference for result, reference in zip(method, baseline)], confidence)


def json_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns numbers by name from JSON; null becomes NaN."""
    return {name: math.nan if value is None else value for name, value in values.items()}
