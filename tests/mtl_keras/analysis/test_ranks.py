"""Ranks and Pareto dominance, by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from mtl_keras.analysis import dominates, mean_ranks, pareto_front

HIGHER = {"item": {"accuracy": True}, "price": {"mae": False, "r2": True}}


def row(accuracy: float, mae: float, r2: float) -> dict[str, dict[str, float]]:
    # The order of metrics does not matter.
    return {"price": {"r2": r2, "mae": mae}, "item": {"accuracy": accuracy}}


METHODS = {"a": row(0.9, 2.0, 0.5), "b": row(0.8, 1.0, 0.5), "c": row(0.8, 2.0, 0.5), "d": row(0.8, 3.0, 0.6)}


@pytest.mark.parametrize(
    ("ties", "ranks"),
    [
        ("average", {"a": (1 + 2.5 + 3) / 3, "b": (3 + 1 + 3) / 3, "c": (3 + 2.5 + 3) / 3, "d": (3 + 4 + 1) / 3}),
        ("min", {"a": (1 + 2 + 2) / 3, "b": (2 + 1 + 2) / 3, "c": (2 + 2 + 2) / 3, "d": (2 + 4 + 1) / 3}),
        ("max", {"a": (1 + 3 + 4) / 3, "b": (4 + 1 + 4) / 3, "c": (4 + 3 + 4) / 3, "d": (4 + 4 + 1) / 3}),
    ],
)
def test_mean_ranks(ties: str, ranks: Mapping[str, float]) -> None:
    assert mean_ranks(METHODS, HIGHER, ties=ties) == pytest.approx(ranks)
    if ties == "average":
        assert mean_ranks(METHODS, HIGHER) == pytest.approx(ranks)


def test_a_method_that_is_nowhere_better_is_dominated() -> None:
    assert dominates(METHODS["a"], METHODS["c"], HIGHER)
    assert not dominates(METHODS["c"], METHODS["a"], HIGHER)
    assert not dominates(METHODS["a"], METHODS["b"], HIGHER)
    assert not dominates(METHODS["a"], METHODS["a"], HIGHER)
    assert pareto_front(METHODS, HIGHER) == ["a", "b", "d"]
    assert pareto_front({"x": {"mae": 1.0}, "y": {"mae": 1.0}}, {"mae": False}) == ["x", "y"]


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({}, "`results` must have at least one method. Received: none"),
        ({"a": {"item": {"accuracy": 0.5}}}, "The results of 'a' and `higher_is_better` must have the same tasks."),
        (
            {"a": {**row(0.5, 1.0, 0.5), "price": {"mae": 1.0}}},
            "metrics of task 'price'. Received in one only: r2",
        ),
        ({"a": row(0.5, float("nan"), 0.5)}, "The results of 'a' must not be NaN. Received: nan of price mae"),
    ],
)
def test_errors(results: Mapping[str, Any], message: str) -> None:
    for function in (mean_ranks, pareto_front):
        with pytest.raises(ValueError, match=re.escape(message)):
            function(results, HIGHER)


def test_an_unknown_tie_rule_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"Unknown value of ties. Did you mean .average..*Choices: average, max, min"):
        mean_ranks(METHODS, HIGHER, ties="averge")
    with pytest.raises(ValueError, match="`higher_is_better` must have at least one task"):
        mean_ranks(METHODS, {})
