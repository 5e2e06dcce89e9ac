"""What the cells of a column say: the kind of its task, its classes and its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.own.table import Table
from data.own.table_labels import label_columns

NOTHING = float("nan")


def labels_of(cells: str, times: int = 3) -> tuple[str, tuple[str, ...], list[float]]:
    """Returns kind, classes and labels of a column with cells (`_` is an empty one) several times one below another."""
    column = ["" if cell == "_" else cell for cell in cells.split()] * times
    table = Table(Path("t.csv"), {"x": column}, range(2, len(column) + 2))
    tasks, labels = label_columns(table, (), np.arange(len(column)))
    return tasks["x"].head, tasks["x"].labels, labels[: len(column) // times, 0].tolist()


@pytest.mark.parametrize(
    ("cells", "head", "classes", "labels"),
    [
        ("0 1 0 1 1 0", "binary", ("no", "yes"), [0, 1, 0, 1, 1, 0]),
        ("0 1.0 _ 1", "binary", ("no", "yes"), [0, 1, -1, 1]),
        ("Yes no _ NO yes", "binary", ("no", "yes"), [1, 0, -1, 0, 1]),
        ("true FALSE true False", "binary", ("false", "true"), [1, 0, 1, 0]),
        ("3 1 2 na", "classification", ("1", "2", "3"), [2, 0, 1, -1]),
        ("10 9 10 9", "classification", ("9", "10"), [1, 0, 1, 0]),
        ("-1 1 1.0 -1", "classification", ("-1", "1"), [0, 1, 1, 0]),
        ("b a NaN null A", "classification", ("A", "a", "b"), [2, 1, -1, -1, 0]),
        ("1.5 2 _ 2", "regression", (), [1.5, 2, NOTHING, 2]),
        ("0.5 1e3 -2 N/A", "regression", (), [0.5, 1000, -2, NOTHING]),
    ],
)
def test_types_are_inferred(cells: str, head: str, classes: tuple[str, ...], labels: list[float]) -> None:
    found = labels_of(cells)
    assert found[:2] == (head, classes)
    np.testing.assert_array_equal(found[2], labels)


@pytest.mark.parametrize(
    ("count", "times", "head"), [(20, 2, "classification"), (21, 2, "regression"), (9, 1, "regression")]
)
def test_few_whole_numbers_are_classes(count: int, times: int, head: str) -> None:
    assert labels_of(" ".join(map(str, range(5, 5 + count))), times)[0] == head


def test_types_can_be_said() -> None:
    columns = {"a": ["0", "1"] * 5, "b": ["male", "female"] * 5, "c": ["1.5", "2"] * 5, "d": ["x", "y"] * 5}
    types = {"a": "regression", "b": "binary", "c": "classification"}
    tasks, labels = label_columns(Table(Path("t.csv"), columns), ("d",), np.arange(10), ["c", "a", "b"], types)
    assert [(name, task.head, task.labels) for name, task in tasks.items()] == [
        ("c", "classification", ("1.5", "2")),
        ("a", "regression", ()),
        ("b", "binary", ("female", "male")),
    ]
    assert labels[:2].tolist() == [[0, 0, 1], [1, 1, 0]]


def test_a_regression_knows_the_labels_that_are_trained_on() -> None:
    cells = ["10", "", "30", "9999"]
    tasks, _ = label_columns(Table(Path("t.csv"), {"x": cells}), (), np.arange(3), types={"x": "regression"})
    assert (tasks["x"].mean, tasks["x"].deviation) == (20, 10)
