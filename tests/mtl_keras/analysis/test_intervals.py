"""Intervals of a few values, against the printed table of Student's t."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtl_keras.analysis import Interval, holm, mean_interval, paired_interval
from mtl_keras.analysis.intervals import mean_test, paired_test


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


def test_the_p_value_is_that_of_the_paired_t_test() -> None:
    method, baseline = [0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.93, 0.92]
    # scipy.stats.ttest_rel: t = 1.46385 with 3 degrees of freedom.
    assert paired_test(method, baseline).p_value == pytest.approx(0.23944260, abs=1e-8)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_it_is_below_the_level_exactly_if_the_interval_excludes_zero(count: int, confidence: float) -> None:
    draws = np.random.default_rng(count).normal(1.0, 1.0, (500, count)).tolist()
    tests = [mean_test(values, confidence) for values in draws]
    excluded = [test.interval.excludes_zero for test in tests]
    assert [test.p_value < 1 - confidence for test in tests] == excluded
    assert 0 < sum(excluded) < len(excluded)


@pytest.mark.parametrize(("value", "p_value"), [(0.25, 0.0), (0.0, 1.0)])
def test_the_p_value_of_values_without_spread(value: float, p_value: float) -> None:
    assert mean_test([value] * 3).p_value == p_value


def test_what_has_no_interval_has_no_p_value() -> None:
    assert math.isnan(mean_test([0.5]).p_value)
    test = mean_test([0.5, math.nan])
    assert math.isnan(test.p_value)
    assert math.isnan(test.interval.low)


def test_bootstrap() -> None:
    values = np.random.default_rng(0).exponential(1.0, 50)
    interval, p_value = mean_test((values - 1.0).tolist(), intervals="bootstrap")
    error = values.std() / math.sqrt(50)
    assert interval.mean == pytest.approx(values.mean() - 1)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert not interval.excludes_zero
    # With 50 values about as Student's t.
    assert p_value == pytest.approx(mean_test((values - 1.0).tolist()).p_value, abs=0.05)
    assert mean_test((values - 1.0).tolist(), intervals="bootstrap").interval == interval
    assert mean_test([1.0, 2.0, 3.0], intervals="bootstrap").p_value == 2 / 10_000
    assert mean_test([-1.0, -2.0, -3.0], intervals="bootstrap").interval.high < 0


def test_holm_by_hand() -> None:
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1, of which the last must not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    adjusted = holm([math.nan, 0.02, 0.01])
    assert math.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.02, 0.02])


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"`p_values` must lie in \[0, 1\]. Received: 1.5"):
        holm([0.1, 1.5])
    with pytest.raises(ValueError, match=r"Unknown value of intervals. Received: 'student'. Choices: bootstrap, t"):
        mean_interval([1.0, 2.0], intervals="student")
    with pytest.raises(ValueError, match=r"`values` must not be empty. Received: \[\]"):
        mean_interval([])
    with pytest.raises(ValueError, match=r"between 0 and 1. Received: 95"):
        mean_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match=r"each have one value per seed. Received: 2 and 1"):
        paired_interval([1.0, 2.0], [1.0])
