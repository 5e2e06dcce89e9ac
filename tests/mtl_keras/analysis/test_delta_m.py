"""Relative gains, delta_m and delta_p by hand; `test_published` has published figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mtl_keras.analysis import POSITIVE_IS_WORSE, delta_m, delta_p, relative_gains


def test_a_lower_error_is_a_gain() -> None:
    multi, single = {"item": 0.92, "price": 1.8, "age": 5.5}, {"item": 0.8, "price": 2.0, "age": 5.0}
    higher = {"item": True, "price": False, "age": False}
    assert relative_gains(multi, single, higher) == pytest.approx({"item": 15.0, "price": 10.0, "age": -10.0})
    assert delta_m(multi, single, higher) == pytest.approx(5.0)
    assert delta_m(multi, single, higher, convention=POSITIVE_IS_WORSE) == pytest.approx(-5.0)


SINGLE = {"depth": {"abs": 0.5, "rel": 0.2, "within": 0.5}, "item": {"accuracy": 0.8}}
MULTI = {"item": {"accuracy": 0.72}, "depth": {"rel": 0.16, "abs": 0.4, "within": 0.65}}
HIGHER = {"depth": {"abs": False, "rel": False, "within": True}, "item": {"accuracy": True}}


def test_tasks_with_several_metrics() -> None:
    gains = relative_gains(MULTI, SINGLE, HIGHER)
    assert gains["depth"] == pytest.approx({"abs": 20.0, "rel": 20.0, "within": 30.0})
    assert gains["item"] == pytest.approx({"accuracy": -10.0})
    assert delta_m(MULTI, SINGLE, HIGHER) == pytest.approx((20 + 20 + 30 - 10) / 4)
    assert delta_p(MULTI, SINGLE, HIGHER) == pytest.approx((70 / 3 - 10) / 2)
    assert delta_p(MULTI, SINGLE, HIGHER, convention=POSITIVE_IS_WORSE) == pytest.approx((10 - 70 / 3) / 2)


def test_with_one_metric_a_task_both_gains_are_the_same() -> None:
    multi, single = {"item": 0.92, "price": 1.8}, {"item": 0.8, "price": 2.0}
    higher = {"item": True, "price": False}
    assert delta_p(multi, single, higher) == delta_m(multi, single, higher) == pytest.approx(12.5)


@pytest.mark.parametrize(
    ("multi", "message"),
    [
        ({**MULTI, "item": {"f1": 0.5}}, "the same metrics of task 'item'. Received in one only: accuracy, f1"),
        ({**MULTI, "item": 0.72}, "metrics of task 'item'. .*: a number without a metric, accuracy"),
        ({**MULTI, "item": {"accuracy": float("nan")}}, "`multi` of task 'item', metric 'accuracy' must be .*: nan"),
    ],
)
def test_errors_name_the_metric(multi: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        delta_p(multi, SINGLE, HIGHER)


@pytest.mark.parametrize(
    ("multi", "single", "message"),
    [
        ({"a": 1.0}, {"a": 0.0}, "`single` of task 'a' must be a finite number > 0. Received: 0.0"),
        ({"a": 1.0}, {"a": -1.0}, "Received: -1.0"),
        ({"a": 1.0}, {"a": float("nan")}, "`single` of task 'a'.*Received: nan"),
        ({"a": float("inf")}, {"a": 1.0}, "`multi` of task 'a'.*Received: inf"),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0}, "`multi` and `single` must have the same tasks. Received in one only: b"),
        ({}, {"a": 1.0}, "Received in one only: a"),
        ({}, {}, "at least one task"),
    ],
)
def test_errors(multi: dict[str, float], single: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        delta_m(multi, single, {"a": True})


def test_every_task_needs_a_direction() -> None:
    with pytest.raises(ValueError, match="`higher_is_better` and `single` must have the same tasks"):
        delta_m({"a": 1.0}, {"a": 1.0}, {})


def test_an_unknown_convention_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"Unknown convention. Did you mean 'positive is worse'.*positive is better"):
        delta_m({"a": 1.0}, {"a": 1.0}, {"a": True}, convention="positive is worst")
