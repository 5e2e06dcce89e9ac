"""Intervals of a few values, against the printed table of Student's t."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtl_keras.analysis import Interval, mean_interval, paired_interval


@pytest.mark.parametrize(
    ("count", "confidence", "factor"),
    [(2, 0.95, 12.706), (3, 0.95, 4.303), (5, 0.95, 2.776), (10, 0.95, 2.262), (5, 0.90, 2.132), (5, 0.99, 4.604)],
)
def test_factors_of_the_table(count: int, confidence: float, factor: float) -> None:
    values = np.random.default_rng(0).normal(size=count).tolist()
    interval = mean_interval(values, confidence)
    half = factor * np.std(values, ddof=1) / math.sqrt(count)
    assert interval.mean == pytest.approx(np.mean(values))
    assert interval.high - interval.mean == pytest.approx(half, rel=1e-3)
    assert interval.mean - interval.low == pytest.approx(half, rel=1e-3)
    assert (interval.confidence, interval.count) == (confidence, count)


def test_it_holds_the_true_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, (2000, 3))
    held = [interval.low < 3.0 < interval.high for interval in map(mean_interval, draws.tolist())]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_has_no_interval() -> None:
    interval = mean_interval([0.5])
    assert interval.mean == 0.5
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.excludes_zero


@pytest.mark.parametrize(("value", "excluded"), [(0.25, True), (-0.25, True), (0.0, False)])
def test_values_without_spread_have_an_interval_without_width(value: float, excluded: bool) -> None:
    interval = mean_interval([value] * 3)
    assert (interval.low, interval.high) == (value, value)
    assert interval.excludes_zero == excluded


def test_what_pairs_share_does_not_widen_the_interval() -> None:
    baseline = [0.2, 0.9, 0.5]
    interval = paired_interval([value + gain for value, gain in zip(baseline, (0.01, 0.02, 0.03))], baseline)
    assert interval.mean == pytest.approx(0.02)
    assert interval.high - interval.low == pytest.approx(2 * 4.303 * 0.01 / math.sqrt(3), rel=1e-3)
    assert not interval.excludes_zero
    assert Interval(0.02, 0.001, 0.04, 0.95, 3).excludes_zero


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"`values` must not be empty. Received: \[\]"):
        mean_interval([])
    with pytest.raises(ValueError, match=r"between 0 and 1. Received: 95"):
        mean_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match=r"each have one value per seed. Received: 2 and 1"):
        paired_interval([1.0, 2.0], [1.0])
