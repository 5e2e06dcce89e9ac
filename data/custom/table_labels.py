"""Turns columns of text into tasks and labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from data.custom.inference import BINARY_WORDS, find_stray, is_placeholder, parse_number, regression_task
from data.custom.table import LabelTable
from data.features import MISSING
from mtl_keras.checks import unknown_value
from mtl_keras.task_checks import check_task_name
from mtl_keras.tasks import Task, TaskSet

T = TypeVar("T")
KINDS = ("classification", "binary", "regression")
FEW = 20
"""Up to this many different whole numbers are classes."""
_CORRECT = "Leave the cell empty if the label is missing, or correct it."
_ADVICE = _CORRECT + " If it is a class too, set the type: --task_types {}=classification (types=)."


class NothingToLearn(ValueError):
    """The column cannot be a task; it is left out unless it was requested.

    Args:
        where: the place in the table.
        reason: why, as a sentence without its full stop.
    """

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class _Column:
    """A column: its cells, which of them are labels (rows,), and a function that returns the place of a row."""

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
    table: LabelTable,
    others: Sequence[str],
    train: np.ndarray,
    tasks: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
) -> tuple[TaskSet, np.ndarray, dict[str, str]]:
    """Returns the tasks that a table has labels for, the labels, and the columns that are left out.

    | cells | task |
    |---|---|
    | 0 and 1; yes and no, true and false and so on (`data.custom.inference.BINARY_WORDS`), case-insensitive | binary |
    | numbers, except as in the next row | regression |
    | at most 20 different whole numbers from 0, each at least twice on average; other text | classification |

    Classes are sorted by name, or by number. In a binary column of two other words, the first one in that order is 0.
    Empty cells, NA, N/A, NaN and null are missing labels. Among whole numbers, -1 is missing too if they are classes or
    binary labels, as in `data.from_arrays`; in a regression it is a number. If a whole number is below -1, the column
    is a regression. A few other texts in a column that would be binary without them are an error.

    Args:
        table: the table.
        others: its columns that are not tasks.
        train: (rows of the training split,); the mean and deviation of numbers are taken from these rows.
        tasks: the columns to use as tasks; by default all others. Columns that cannot be learned are omitted
            with a warning.
        types: column -> one of `KINDS`, to override the inferred kind.

    Returns:
        The tasks; float32 (rows, tasks): class indices and 0 or 1, -1 where missing; real numbers, NaN where missing;
        and column -> reason of those that are left out.

    Raises:
        ValueError: for unknown columns or kinds, and invalid cells; the message names the file and the line.
    """
    names = choose_columns(table, others, tasks, types or {})
    for name, kind in (types or {}).items():
        if kind not in KINDS:
            raise unknown_value(f"type of column {name!r}", kind, KINDS)
    found, left_out = read_columns(
        table, names, lambda name: label_column(table, name, train, (types or {}).get(name)), tasks, types or {}
    )
    columns = found.values()
    return TaskSet(task for task, _ in columns), np.stack([labels for _, labels in columns], axis=1), left_out


def choose_columns(
    table: LabelTable, others: Sequence[str], tasks: Sequence[str] | None, types: Mapping[str, str]
) -> list[str]:
    """Returns the names of the columns that are to be tasks: `tasks`, or by default all but `others`.

    Raises:
        ValueError: for unknown columns in `tasks` or `types`.
    """
    available = [name for name in table.columns if name not in others]
    for argument, names in (("tasks", tasks or ()), ("types (--task_types)", types)):
        for name in names:
            if name not in available:
                raise unknown_value(f"column in {argument} ({table.where()})", name, available)
    return available if tasks is None else list(tasks)


def read_columns(
    table: LabelTable,
    names: Sequence[str],
    read: Callable[[str], T],
    tasks: Sequence[str] | None,
    types: Mapping[str, str],
) -> tuple[dict[str, T], dict[str, str]]:
    """Returns `read(name)` of each column, and column -> reason of those that are left out with a warning.

    Args:
        table: the table.
        names: the columns, from `choose_columns`.
        read: reads one column; may raise `NothingToLearn`.
        tasks: the requested columns; `None` if none were requested.
        types: the columns whose kind was requested.

    Raises:
        ValueError: if a requested column cannot be a task, or no column can.
    """
    found: dict[str, T] = {}
    left_out = {}
    for name in names:
        if name in found:
            raise ValueError(f"Task names must be distinct. Received twice: {name!r}")
        try:
            check_task_name(name)
        except ValueError as cause:
            raise ValueError(f"{table.where()}: rename the column, or leave it out of the tasks. {cause}") from cause
        try:
            found[name] = read(name)
        except NothingToLearn as cause:
            if tasks is not None or name in types:
                given = "types (--task_types)" if tasks is None else "tasks"
                raise ValueError(f"{cause} Remove {name!r} from {given}.") from cause
            left_out[name] = cause.reason
            warnings.warn(f"{cause} It is left out.", stacklevel=3)
    if not found:
        raise ValueError(f"{table.where()}: no column can be a task. Received: {', '.join(names) or 'none'}")
    return found, left_out


def label_column(table: LabelTable, name: str, train: np.ndarray, kind: str | None) -> tuple[Task, np.ndarray]:
    """Returns the task of one column and its labels (rows,), as `label_columns` does.

    Raises:
        NothingToLearn: if the column cannot be a task.
        ValueError: for invalid cells.
    """
    cells = table.columns[name]
    known = np.array([cell.lower() not in MISSING for cell in cells])
    column = _Column(name, cells, known, table.where)
    kind = kind or _infer(column)
    hint = ""
    if kind != "regression" and _are_whole(column.words):
        is_minus_one = np.array([parse_number(cell) == -1 for cell in cells])
        hint = " (-1 is a missing label)" if is_minus_one.any() else ""
        column = _Column(name, cells, known & ~is_minus_one, table.where)
    seen = sorted({cells[row] for row in train[column.known[train]].tolist()})
    if len(seen) < 2:
        has = f"only {seen[0]!r}" if seen else "no label"
        raise NothingToLearn(
            table.where(),
            f"nothing can be learned of column {name!r}, which has {has}{hint} in the {len(train)} training rows",
        )
    task, labels = {"classification": _classes, "binary": _binary, "regression": _numbers}[kind](column, train)
    return task, labels.astype(np.float32)


def _infer(column: _Column) -> str:
    words = column.words
    different = set(words)
    if _are_whole(words):
        # -1 is a missing label among classes.
        different = {word for word in different if parse_number(word) != -1}
    if _binary_words(different) is not None:
        return "binary"
    _check_stray(column)
    numbers = {word: parse_number(word) for word in words}
    negative = any(value is not None and value < 0 for value in map(numbers.get, different))
    if _are_whole(words) and not negative and len(different) <= min(FEW, len(words) / 2):
        return "classification"
    if sum(numbers[word] is not None for word in words) > len(words) / 2:
        return "regression"
    for row in column.rows:
        word = column.cells[row]
        if parse_number(word) is None and parse_number(word.replace(",", ".")) is not None:
            raise ValueError(f"{column.where(row)}: decimals are written with a point. Received: {word!r}")
    if len(different) > len(words) / 2:
        raise NothingToLearn(
            column.where(column.rows[0]),
            f"nearly every cell of column {column.name!r} has a different text, such as {words[0]!r}, so the column "
            "has no classes",
        )
    for word in sorted(filter(is_placeholder, different)):
        warnings.warn(
            f"{column.where(column.cells.index(word))}: column {column.name!r} has a class {word!r}. "
            f"{_ADVICE.format(column.name)}",
            stacklevel=4,
        )
    return "classification"


def _check_stray(column: _Column) -> None:
    """Raises a ValueError for a few cells without which the column would be binary."""
    stray = find_stray([_class_name(cell) if is_known else "" for cell, is_known in zip(column.cells, column.known)])
    if stray:
        row, (no, yes) = stray
        raise ValueError(
            f"{column.where(row)}: {column.cells[row]!r} in column {column.name!r} is neither {no!r} nor {yes!r}, "
            f"unlike the other cells. {_ADVICE.format(column.name)}"
        )


def _are_whole(words: Sequence[str]) -> bool:
    values = map(parse_number, set(words))
    return all(value is not None and value.is_integer() for value in values)


def _binary_words(words: set[str]) -> tuple[str, str] | None:
    """Returns the words for 0 and 1 if there are no other words, or `None`."""
    if {parse_number(word) for word in words} == {0.0, 1.0}:
        return "0", "1"
    return next((pair for pair in BINARY_WORDS if {word.lower() for word in words} == set(pair)), None)


def _class_name(word: str) -> str:
    """Returns the class name of a cell; different spellings of a whole number are one class."""
    value = parse_number(word)
    return str(int(value)) if value is not None and value.is_integer() else word


def _class_names(column: _Column) -> list[str]:
    names = {_class_name(word) for word in column.words}
    values = {name: parse_number(name) for name in names}
    if any(value is None for value in values.values()):
        return sorted(names)
    return sorted(names, key=lambda name: (values[name], name))


def _indices(column: _Column, names: Sequence[str], name: Callable[[str], str] = _class_name) -> np.ndarray:
    index = {word: place for place, word in enumerate(names)}
    return np.array([index[name(cell)] if is_known else -1 for cell, is_known in zip(column.cells, column.known)])


def _classes(column: _Column, train: np.ndarray) -> tuple[Task, np.ndarray]:
    _check_not_negative(column)
    names = _class_names(column)
    return Task.classification(column.name, names), _indices(column, names)


def _check_not_negative(column: _Column) -> None:
    for row in column.rows if _are_whole(column.words) else ():
        if (parse_number(column.cells[row]) or 0) < 0:
            raise ValueError(
                f"{column.where(row)}: classes in column {column.name!r} must be from 0, or -1 where missing. "
                f"Received: {column.cells[row]!r}"
            )


def _binary(column: _Column, train: np.ndarray) -> tuple[Task, np.ndarray]:
    pair = _binary_words(set(column.words))
    if pair is not None and pair != ("0", "1"):
        return Task.binary(column.name, labels=pair), _indices(column, pair, str.lower)
    _check_not_negative(column)
    _check_stray(column)
    names = _class_names(column)
    if len(names) != 2:
        row = column.rows[0]
        raise ValueError(
            f"{column.where(row)}: binary column {column.name!r} should have two different words. "
            f"Received: {len(names)}: {', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"
        )
    words = ("no", "yes") if pair else tuple(names)
    return Task.binary(column.name, labels=words), _indices(column, names)


def _numbers(column: _Column, train: np.ndarray) -> tuple[Task, np.ndarray]:
    labels = np.full(len(column.cells), np.nan)
    advice = _ADVICE if len(set(column.words)) <= FEW else _CORRECT
    for row in column.rows:
        value = parse_number(column.cells[row])
        if value is None:
            raise ValueError(
                f"{column.where(row)}: {column.cells[row]!r} in column {column.name!r}, a column of numbers, is not a "
                f"finite number such as 3.5. {advice.format(column.name)}"
            )
        labels[row] = value
    trained = labels[train]
    return regression_task(column.name, trained[~np.isnan(trained)]), labels
