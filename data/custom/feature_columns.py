"""Turns columns of text into features: which columns, of which kind, and how each is encoded."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from data.custom.inference import parse_number
from data.custom.table import SPLIT_COLUMN, LabelTable
from data.custom.table_labels import NothingToLearn
from data.features import BOOLEANS, CATEGORICAL, FEATURE_KINDS, MISSING, NUMERIC, Feature, FeatureEncoder
from mtl_keras.checks import did_you_mean, unknown_value

MOST_CATEGORIES = 100
"""A categorical column keeps this many categories, the most frequent ones; the rest is "other"."""
_LARGEST = float(np.finfo(np.float32).max)


def feature_columns(
    table: LabelTable,
    tasks: Sequence[str],
    train: np.ndarray,
    features: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
) -> tuple[FeatureEncoder, dict[str, str]]:
    """Returns the encoder of a table's feature columns, and the columns that are left out.

    A column is numeric if all of its cells are numbers, else categorical. Empty cells, NA, N/A, NaN and null are
    missing. Means, deviations and categories are those of the training rows.

    Args:
        table: the table.
        tasks: its columns that are tasks.
        train: (rows of the training split,).
        features: the feature columns; by default all that are neither tasks nor `split`. Columns that are constant in
            the training rows are omitted with a warning; by default also those with a different text in nearly every
            row.
        types: column -> `"numeric"` or `"categorical"`, to override the inferred kind.

    Returns:
        The encoder, and column -> reason of those that are left out.

    Raises:
        ValueError: for unknown columns or kinds, a column that is a task too, text in a column of numbers, or if no
            column is left. The message names the file and the line.
    """
    available = [name for name in table.columns if name != SPLIT_COLUMN]
    types = types or {}
    for argument, names in (("features", features or ()), ("feature_types", types)):
        for name in names:
            if name not in available:
                raise unknown_value(f"column in {argument} ({table.where()})", name, available)
            if argument == "features" and name in tasks:
                raise ValueError(f"A column is a task or a feature. Received: {name!r} in tasks and in features")
    for name, kind in types.items():
        if kind not in FEATURE_KINDS:
            raise unknown_value(f"feature type of column {name!r}", kind, FEATURE_KINDS)
    chosen = [name for name in available if name not in tasks] if features is None else list(features)
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"features must be distinct. Received: {', '.join(chosen)}")
    for name in types:
        if name not in chosen:
            raise ValueError(
                f"feature_types takes features, and this column is {'a task' if name in tasks else 'not in features'}. "
                f"Received: {name!r}. Features: {', '.join(chosen)}"
            )
    found: list[Feature] = []
    left_out = {}
    for name in chosen:
        try:
            requested = features is not None or name in types
            found.append(_feature(table, name, train, types.get(name), requested))
        except NothingToLearn as cause:
            left_out[name] = cause.reason
            warnings.warn(f"{cause} It is left out.", stacklevel=2)
    if not found:
        raise ValueError(f"{table.where()}: no column can be a feature. Received: {', '.join(chosen) or 'only tasks'}")
    return FeatureEncoder(found), left_out


def raw_columns(table: LabelTable, dtypes: Mapping[str, tf.DType]) -> dict[str, np.ndarray]:
    """Returns column -> its cells (rows,) as a `FeatureEncoder` takes them.

    Args:
        table: the table.
        dtypes: column -> float32 or string: the `columns` of an encoder.

    Returns:
        float32 with NaN where missing, or strings with `""` where missing.

    Raises:
        ValueError: for an absent column, or text in a column of numbers; the message names the line.
    """
    for name in dtypes:
        if name not in table.columns:
            raise ValueError(
                f"{table.where()}: there is no column {name!r}.{did_you_mean(name, table.columns)} The model needs: "
                f"{', '.join(dtypes)}. Received: {', '.join(table.columns)}"
            )
    return {
        name: _texts(table.columns[name]) if dtype == tf.string else _numeric_cells(table, name)
        for name, dtype in dtypes.items()
    }


def _feature(table: LabelTable, name: str, train: np.ndarray, kind: str | None, requested: bool) -> Feature:
    kind = kind or _infer(table, name)
    numeric = kind == NUMERIC
    cells = _numeric_cells(table, name) if numeric else _texts(table.columns[name])
    trained = cells[train]
    is_missing = np.isnan(trained) if numeric else trained == ""
    known, missing = trained[~is_missing].tolist(), bool(is_missing.any())
    counts = Counter(known)
    if not known or (len(counts) == 1 and not missing):
        has = f"only {table.columns[name][train[0]]!r}" if known else "no value"
        raise NothingToLearn(table.where(), f"column {name!r} has {has} in the {len(train)} training rows")
    if numeric:
        values = np.array(known, np.float64)
        deviation = float(values.std())
        return Feature(name, kind, missing, float(values.mean()), deviation if deviation > 0 else 1.0)
    if not requested and len(counts) > len(known) / 2 and len(counts) > 2:
        raise NothingToLearn(
            table.where(),
            f"nearly every cell of column {name!r} has a different text, such as {known[0]!r}, so its categories say "
            "nothing about other rows",
        )
    ordered = sorted(counts, key=lambda category: (-counts[category], category))
    kept = tuple(sorted(ordered[:MOST_CATEGORIES]))
    return Feature(name, kind, missing, categories=kept, other=len(ordered) > MOST_CATEGORIES)


def _infer(table: LabelTable, name: str) -> str:
    """Returns the kind of a column: numeric if all cells are numbers.

    Raises:
        ValueError: if most cells are numbers, but not all, or have a decimal comma.
    """
    words = [cell for cell in table.columns[name] if _text(cell)]
    numbers = {word: parse_number(word) for word in set(words)}
    if all(value is not None for value in numbers.values()):
        return NUMERIC
    if sum(numbers[word] is not None for word in words) > len(words) / 2:
        _numeric_cells(table, name)  # raises
    if all(parse_number(word.replace(",", ".")) is not None for word in numbers):
        row = next(row for row, cell in enumerate(table.columns[name]) if numbers.get(cell, 0.0) is None)
        raise ValueError(
            f"{table.where(row)}: decimals are written with a point. Received: {table.columns[name][row]!r}"
        )
    return CATEGORICAL


def _numeric_cells(table: LabelTable, name: str) -> np.ndarray:
    """Returns float32 (rows,), NaN where missing."""
    values: dict[str, float] = {}
    for row, cell in enumerate(table.columns[name]):
        if cell not in values:
            number = parse_number(cell) if _text(cell) else math.nan
            if number is None or abs(number) > _LARGEST:
                raise ValueError(
                    f"{table.where(row)}: {cell!r} in column {name!r}, a column of numbers, is not a finite number "
                    "such as 3.5. Leave the cell empty if the value is missing, or correct it. If the column has "
                    f"categories, set its type: --feature_types {name}={CATEGORICAL} (feature_types=)."
                )
            values[cell] = number
    return np.array([values[cell] for cell in table.columns[name]], np.float32)


def _texts(cells: Sequence[str]) -> np.ndarray:
    """Returns objects (rows,), which need not be as wide as the longest text."""
    return np.array([_text(cell) for cell in cells], object)


def _text(cell: str) -> str:
    """Returns a cell; `""` if it is missing; `"true"` and `"false"` in lower case."""
    lower = cell.lower()
    return "" if lower in MISSING else lower if lower in BOOLEANS else cell
