"""What the cells of a column say: the kind of its task, its classes and its labels."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import data
from data.custom.table import LabelTable
from data.custom.table_labels import label_columns
from mtl_keras.tasks import Task

NOTHING = float("nan")


def labels_of(cells: str, times: int = 3) -> tuple[str, tuple[str, ...], list[float]]:
    """Returns kind, classes and labels of a column with cells (`_` is an empty one) several times one below another."""
    column = ["" if cell == "_" else cell for cell in cells.split()] * times
    table = LabelTable(Path("t.csv"), {"x": column}, range(2, len(column) + 2))
    tasks, labels, _ = label_columns(table, (), np.arange(len(column)))
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
        ("0 1 -1 1", "binary", ("no", "yes"), [0, 1, -1, 1]),
        ("3 -1 2 -1.0", "classification", ("2", "3"), [1, -1, 0, -1]),
        ("-2 -1 1 -1", "regression", (), [-2, -1, 1, -1]),
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


@pytest.mark.parametrize(
    ("cells", "types", "message"),
    [
        ("-1 1 -1 1", {}, "has only '1' (-1 is a missing label) in the 4 training rows"),
        ("-1 1 -1 1", {"x": "binary"}, "has only '1' (-1 is a missing label)"),
        ("3 -2 3 -2", {"x": "classification"}, "t.csv, line 3: classes in column 'x' must be from 0, or -1"),
        ("0 -2 0 -2", {"x": "binary"}, "must be from 0, or -1 where missing. Received: '-2'"),
    ],
)
def test_negative_classes_are_refused(cells: str, types: dict[str, str], message: str) -> None:
    table = LabelTable(Path("t.csv"), {"x": cells.split()}, range(2, 6))
    with pytest.raises(ValueError, match=re.escape(message)):
        label_columns(table, (), np.arange(4), ["x"], types)


def test_minus_one_means_the_same_as_in_arrays() -> None:
    values = np.array([0, 1, -1, 2] * 6)
    images = np.zeros((len(values), 2, 2, 3), np.uint8)
    for head, expected in {"classification": [0, 1, -1, 2], "regression": values[:4]}.items():
        tasks, labels, _ = label_columns(
            LabelTable(Path("t.csv"), {"x": list(map(str, values))}), (), np.arange(len(values)), types={"x": head}
        )
        assert tasks["x"].head == head
        np.testing.assert_array_equal(labels[:4, 0], expected)
        task = Task.regression("x") if head == "regression" else "x"
        dataset = data.from_arrays(images, {"x": values}, [task])
        counted = np.isfinite(labels) if head == "regression" else labels >= 0
        assert dataset.tasks["x"].head == head
        assert dataset.label_counts()["x"] / dataset.size("train") == pytest.approx(counted.mean(), abs=0.15)


def test_types_can_be_said() -> None:
    columns = {"a": ["0", "1"] * 5, "b": ["male", "female"] * 5, "c": ["1.5", "2"] * 5, "d": ["x", "y"] * 5}
    types = {"a": "regression", "b": "binary", "c": "classification"}
    tasks, labels, _ = label_columns(LabelTable(Path("t.csv"), columns), ("d",), np.arange(10), ["c", "a", "b"], types)
    assert [(name, task.head, task.labels) for name, task in tasks.items()] == [
        ("c", "classification", ("1.5", "2")),
        ("a", "regression", ()),
        ("b", "binary", ("female", "male")),
    ]
    assert labels[:2].tolist() == [[0, 0, 1], [1, 1, 0]]


def test_a_regression_knows_the_labels_that_are_trained_on() -> None:
    cells = ["10", "", "30", "9999"]
    tasks, _, _ = label_columns(LabelTable(Path("t.csv"), {"x": cells}), (), np.arange(3), types={"x": "regression"})
    assert (tasks["x"].mean, tasks["x"].deviation) == (20, 10)
