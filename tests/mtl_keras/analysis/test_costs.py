"""One network against the sum of those that it replaces."""

from __future__ import annotations

import math

import pytest

from mtl_keras.analysis import Cost, compare_costs


def test_means_over_runs_and_sums_over_networks() -> None:
    method = {"both": [Cost(110, 0.2, 70.0), Cost(110, 0.4, 80.0)]}
    single = {"item": [Cost(100, 0.2, 50.0), Cost(100, 0.4, 70.0)], "group": [Cost(120, 0.3, 60.0)]}
    comparison = compare_costs(method, single)
    assert comparison.method == Cost(110, pytest.approx(0.3), pytest.approx(75.0))
    assert comparison.baseline == Cost(220, pytest.approx(0.6), pytest.approx(120.0))
    assert comparison.ratio == pytest.approx({"parameters": 0.5, "seconds_per_step": 0.5, "seconds": 0.625})
    content = comparison.to_json()
    assert content["method"]["parameters"] == 110
    assert content["baseline"]["seconds"] == pytest.approx(120.0)
    assert content["ratio"]["seconds"] == pytest.approx(0.625)


def test_of_nothing_there_is_no_share() -> None:
    assert math.isnan(compare_costs({"a": [Cost(1, 1.0, 1.0)]}, {"a": [Cost(1, 0.0, 1.0)]}).ratio["seconds_per_step"])


def test_errors() -> None:
    one = [Cost(1, 1.0, 1.0)]
    with pytest.raises(ValueError, match="`baseline` must have at least one network"):
        compare_costs({"a": one}, {})
    with pytest.raises(ValueError, match="The method 'b' must have at least one run"):
        compare_costs({"b": []}, {"a": one})
    with pytest.raises(ValueError, match=r"baseline 'a'.*Received: parameters=\[1, 2\]"):
        compare_costs({"a": one}, {"a": [*one, Cost(2, 1.0, 1.0)]})
