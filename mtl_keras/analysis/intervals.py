"""Confidence intervals for a handful of seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtl_keras.extras import import_extra


@dataclass(frozen=True)
class Interval:
    """A mean and the interval that it lies in with some confidence.

    Args:
        mean: the mean of the values.
        low: lower bound; NaN if there is no interval.
        high: upper bound; NaN if there is no interval.
        confidence: how often, in (0, 1), intervals made like this one hold the true mean.
        count: number of values.
    """

    mean: float
    low: float
    high: float
    confidence: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether all of the interval lies on one side of 0; never, if there is no interval."""
        return self.low > 0 or self.high < 0


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns Student's t interval of a mean: mean ± t * s / sqrt(n), with n - 1 degrees of freedom.

    With few values, their standard deviation s is itself badly known, and an interval of ±1.96 s / sqrt(n) is much too
    narrow. Student's t makes up for that exactly: the factor is 12.7 for two values, 4.30 for three, 2.78 for five. It
    assumes that the values are independent and normally distributed around the true mean; three values cannot show
    whether they are. A bootstrap assumes less, but of so few values it makes intervals that are too narrow.

    One value has a mean and no interval: the bounds are NaN. A value that is NaN makes all NaN.

    Args:
        values: `(n,)`, one a seed.
        confidence: in (0, 1). Of 40 tasks without any difference, two are expected to lie outside of their 0.95.

    Raises:
        ValueError: without values, or for a confidence outside (0, 1).

    References:
        Student, "The probable error of a mean", Biometrika 6(1), 1908.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"`confidence` must lie between 0 and 1. Received: {confidence!r}")
    if not len(values):
        raise ValueError("There is no interval of nothing: `values` must have at least one. Received: none")
    array, count = np.asarray(values, "float64"), len(values)
    mean = float(array.mean())
    if count == 1:
        return Interval(mean, float("nan"), float("nan"), confidence, count)
    # What `scipy.stats.t.ppf` calls; `scipy.stats` alone would take a second to import. Programs that compare nothing
    # need neither.
    stdtrit = import_extra("scipy.special", "analysis").stdtrit
    half = float(stdtrit(count - 1, (1 + confidence) / 2) * array.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half, confidence, count)


def paired_interval(method: Sequence[float], baseline: Sequence[float], confidence: float = 0.95) -> Interval:
    """Returns the interval of the mean difference `method - baseline` of paired results.

    Runs of one seed see their data in one order, and share that part of their luck. Taken seed by seed, the difference
    is free of it, so that its interval is narrower than one made from two separate means.

    Args:
        method: `(n,)` results of the method, one a seed.
        baseline: `(n,)` results of the baseline, of the same seeds in the same order.
        confidence: in (0, 1).

    Raises:
        ValueError: if they are not equally many, or as `mean_interval` does.
    """
    if len(method) != len(baseline):
        raise ValueError(
            f"`method` and `baseline` must have one value a seed each. Received: {len(method)} and {len(baseline)}"
        )
    return mean_interval([ours - theirs for ours, theirs in zip(method, baseline)], confidence)
