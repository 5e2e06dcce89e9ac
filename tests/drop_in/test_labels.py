"""Labels of -1 and NaN that are labels, and missing labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import losses, ops

from tests.drop_in import graphs
from tests.drop_in.graphs import AMOUNT, FLAG, KIND, SAMPLES, SIGN, Head, dense, heads
from tests.drop_in.harness import Case, check, two_steps

SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"
SOME = np.arange(SAMPLES) % 3 == 0


def some(
    missing: Any, labels: Callable[[np.random.Generator], np.ndarray]
) -> Callable[[np.random.Generator], np.ndarray]:
    """Labels of which every third is missing."""

    def make(random: np.random.Generator) -> np.ndarray:
        made = labels(random)
        made[SOME] = missing
        return made

    return make


def compiled(head: Head, loss: Any, **arguments: Any) -> tuple[Any, Callable[[], dict[str, Any]]]:
    """Two heads alike of labels of which some may be missing, and one that is complete."""
    return heads(b=head, a=head, other=AMOUNT), lambda: {"loss": {"b": loss, "a": loss, "other": "mse"}, **arguments}


def ignoring(y_true: Any, y_pred: Any) -> Any:
    known = ops.cast(ops.logical_and(~ops.isnan(y_true), ops.not_equal(y_true, -1)), y_pred.dtype)
    return ops.sum(known * ops.square(ops.where(known > 0, y_true, 0.0) - y_pred)) / ops.maximum(ops.sum(known), 1.0)


NUMBERS: list[tuple[str, Head, Any]] = [
    ("integers of a regression", Head(AMOUNT.output, graphs.integers(3, 1, low=-3)), "mse"),
    ("integers of a regression, flat", Head(AMOUNT.output, graphs.integers(3, low=-3, dtype="int64")), "mae"),
    ("int8 of a regression", Head(AMOUNT.output, graphs.integers(3, 1, low=-3, dtype="int8")), "huber"),
    ("-1 and 1 of a hinge loss", Head(SIGN.output, lambda random: random.choice([-1, 1], (SAMPLES, 1))), "hinge"),
    (
        "-1 and 1 of a squared hinge loss, flat",
        Head(SIGN.output, lambda random: random.choice([-1, 1], SAMPLES)),
        "squared_hinge",
    ),
    ("floats of -1", Head(AMOUNT.output, lambda random: random.choice([-1.0, 1.0], (SAMPLES, 1))), "mse"),
    ("floats of -1 of a flag", Head(FLAG.output, lambda random: random.choice([-1.0, 0.0, 1.0], (SAMPLES, 1))), "mse"),
    ("vectors with -1", Head(dense(3), graphs.integers(3, 3, low=-1)), "mse"),
    ("NaN and -1 of an own loss", Head(AMOUNT.output, some(np.nan, graphs.reals(1))), ignoring),
    ("-1 of an own loss", Head(AMOUNT.output, graphs.integers(3, 1, low=-1)), ignoring),
    (
        "ignore_class -1",
        Head(KIND.output, some(-1, graphs.integers(3))),
        losses.SparseCategoricalCrossentropy(ignore_class=-1),
    ),
    (
        "ignore_class 255",
        Head(KIND.output, some(255, graphs.integers(3))),
        losses.SparseCategoricalCrossentropy(ignore_class=255),
    ),
    ("infinity", Head(AMOUNT.output, some(np.inf, graphs.reals(1))), "mse"),
]
MISSING: list[tuple[str, Head, Any]] = [
    ("NaN", Head(AMOUNT.output, some(np.nan, graphs.reals(1))), "mse"),
    ("NaN of a flag", Head(FLAG.output, some(np.nan, graphs.integers(2, 1, dtype="float32"))), BINARY),
    ("-1 of a flag", Head(FLAG.output, some(-1, graphs.integers(2, 1))), BINARY),
    ("NaN of one-hot", Head(graphs.ONE_HOT.output, some(np.nan, graphs.one_hot(3))), "categorical_crossentropy"),
]


def _case(name: str, head: Head, loss: Any, differs: str | None = None) -> Case:
    graph, arguments = compiled(head, loss)
    return Case(name, graph, arguments, two_steps, differs=differs)


CASES = [
    *(_case(*row) for row in NUMBERS),
    *(_case(f"missing, {row[0]}", *row[1:], "Missing labels") for row in MISSING),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_labels(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
