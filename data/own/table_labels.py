"""A column of text as a task and its labels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data.own.inference import BINARY_WORDS, regression
from data.own.table import Table
from mtl_keras.serialization import unknown_value
from mtl_keras.tasks import Task, TaskSet, check_task_name

KINDS = ("classification", "binary", "regression")
MISSING = ("", "na", "n/a", "nan", "null")
"""Cells that say that there is no label, in any case."""
FEW = 20
"""As many different whole numbers are taken for classes."""


class NothingToLearn(ValueError):
    """The column cannot be a task; if nobody asked for it, it is left out."""


@dataclass(frozen=True)
class _Column:
    """A column: its cells, which of them say something, (rows,), and what to call a row."""

    name: str
    cells: Sequence[str]
    known: np.ndarray
    where: Callable[[int], str]

    @property
    def rows(self) -> list[int]:
        return np.flatnonzero(self.known).tolist()

    @property
    def words(self) -> list[str]:
        return [self.cells[row] for row in self.rows]


def label_columns(
    table: Table,
    others: Sequence[str],
    train: np.ndarray,
    tasks: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
) -> tuple[TaskSet, np.ndarray]:
    """Returns the tasks that a table has labels for, and these.

    | cells | task |
    |---|---|
    | 0 and 1; yes and no, true and false and the like (`data.own.inference.BINARY_WORDS`), in any case | binary |
    | numbers, unless they are few | regression |
    | at most 20 different whole numbers, each there twice on average; other text | classification |

    Classes are in the order of their names, or of their numbers. A binary column of two other words has the first of
    them, in that order, as 0. Empty cells, NA, N/A, NaN and null are missing labels.

    Args:
        table: the table.
        others: its columns that are not tasks.
        train: (rows of the training split,), which tell the mean and deviation of numbers.
        tasks: the columns wanted; by default all others, but for those of which nothing can be learned, about which a
            warning is given.
        types: column -> one of `KINDS`, where it should be another than that inferred.

    Returns:
        The tasks, and float32 (rows, tasks): numbers of classes and 0 or 1, -1 where missing; real numbers, NaN where
        missing.

    Raises:
        ValueError: for unknown columns or kinds, and cells that do not fit, naming the file and the line.
    """
    available = [name for name in table.columns if name not in others]
    types = types or {}
    for name in (*(tasks or ()), *types):
        if name not in available:
            raise unknown_value(f"column ({table.where()})", name, available)
    for name, kind in types.items():
        if kind not in KINDS:
            raise unknown_value(f"type of column {name!r}", kind, KINDS)
    found = []
    for name in available if tasks is None else tasks:
        try:
            check_task_name(name)
        except ValueError as cause:
            raise ValueError(f"{table.where()}: rename the column, or leave it out of the tasks. {cause}") from cause
        try:
            found.append(_label_column(table, name, train, types.get(name)))
        except NothingToLearn as cause:
            if tasks is not None or name in types:
                raise
            warnings.warn(f"{cause} It is left out.", stacklevel=2)
    if not found:
        raise ValueError(f"{table.where()}: no column can be a task. Received: {', '.join(available) or 'none'}")
    return TaskSet(task for task, _ in found), np.stack([labels for _, labels in found], axis=1)


def _label_column(table: Table, name: str, train: np.ndarray, kind: str | None) -> tuple[Task, np.ndarray]:
    cells = table.columns[name]
    known = np.array([cell.lower() not in MISSING for cell in cells])
    column = _Column(name, cells, known, table.where)
    seen = sorted({cells[row] for row in train[known[train]].tolist()})
    if len(seen) < 2:
        has = f"only {seen[0]!r}" if seen else "no label"
        raise NothingToLearn(
            f"{table.where()}: nothing can be learned of column {name!r}, which has {has} in the {len(train)} training "
            "rows."
        )
    kind = kind or _infer(column)
    task, labels = {"classification": _classes, "binary": _binary, "regression": _numbers}[kind](column, train)
    return task, labels.astype(np.float32)


def _infer(column: _Column) -> str:
    words = column.words
    different = set(words)
    if _pair(different) is not None:
        return "binary"
    numbers = {word: number(word) for word in different}
    whole = all(value is not None and value.is_integer() for value in numbers.values())
    if whole and len(different) <= min(FEW, len(words) / 2):
        return "classification"
    if sum(numbers[word] is not None for word in words) > len(words) / 2:
        return "regression"
    for row in column.rows:
        word = column.cells[row]
        if number(word) is None and number(word.replace(",", ".")) is not None:
            raise ValueError(f"{column.where(row)}: decimals are written with a point. Received: {word!r}")
    if len(different) > len(words) / 2:
        raise NothingToLearn(
            f"{column.where(column.rows[0])}: nearly every cell of column {column.name!r} is another text, such as "
            f"{words[0]!r}: these are no classes."
        )
    return "classification"


def number(text: str) -> float | None:
    """Returns the finite number that a cell says, `None` if it says none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _pair(words: set[str]) -> tuple[str, str] | None:
    """Returns the words for 0 and 1 if these are all that there is."""
    if {number(word) for word in words} == {0.0, 1.0}:
        return "0", "1"
    return next((pair for pair in BINARY_WORDS if {word.lower() for word in words} == set(pair)), None)


def _named(word: str) -> str:
    """A number that is whole is one class, however it is written."""
    value = number(word)
    return str(int(value)) if value is not None and value.is_integer() else word


def _ordered(column: _Column) -> list[str]:
    names = {_named(word) for word in column.words}
    values = {name: number(name) for name in names}
    if any(value is None for value in values.values()):
        return sorted(names)
    return sorted(names, key=lambda name: (values[name], name))


def _indices(column: _Column, names: Sequence[str], name: Callable[[str], str] = _named) -> np.ndarray:
    index = {word: place for place, word in enumerate(names)}
    return np.array([index[name(cell)] if there else -1 for cell, there in zip(column.cells, column.known)])


def _classes(column: _Column, train: np.ndarray) -> tuple[Task, np.ndarray]:
    names = _ordered(column)
    return Task.classification(column.name, names), _indices(column, names)


def _binary(column: _Column, train: np.ndarray) -> tuple[Task, np.ndarray]:
    pair = _pair(set(column.words))
    if pair is not None and pair != ("0", "1"):
        return Task.binary(column.name, labels=pair), _indices(column, pair, str.lower)
    names = _ordered(column)
    if len(names) != 2:
        row = column.rows[0]
        raise ValueError(
            f"{column.where(row)}: binary column {column.name!r} should have two different words. "
            f"Received: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
        )
    words = ("no", "yes") if pair else tuple(names)
    return Task.binary(column.name, labels=words), _indices(column, names)


def _numbers(column: _Column, train: np.ndarray) -> tuple[Task, np.ndarray]:
    labels = np.full(len(column.cells), np.nan)
    for row in column.rows:
        value = number(column.cells[row])
        if value is None:
            raise ValueError(
                f"{column.where(row)}: {column.cells[row]!r} in column {column.name!r}, a regression, is no finite "
                f"number such as 3.5. Correct it, leave it empty, or say that {column.name} is a classification."
            )
        labels[row] = value
    trained = labels[train]
    return regression(column.name, trained[~np.isnan(trained)]), labels
