"""Datasets of the rows of a table without images: `from_table`, and CSV files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.custom.feature_columns import feature_columns, raw_columns
from data.custom.readers import TableReader
from data.custom.table import SPLIT_COLUMN, LabelTable, rows_by_split
from data.custom.table_labels import label_columns
from data.custom.task_recipe import recipe_from_tasks
from data.dataset import Dataset
from data.dense.dataset import DenseDataset
from data.features import cell
from data.pipeline import CachedExamples


def from_table(
    table: Any,
    tasks: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    feature_types: Mapping[str, str] | None = None,
    *,
    name: str = "own",
) -> Dataset | DenseDataset:
    """Makes a dataset from the columns of a table; each row is an example, encoded as one vector.

    `batches` returns float32 vectors (batch, features) in place of images, `image_shape` is `(features,)`, and
    `dataset.features` is the encoder (`data.FeatureEncoder`).

    Args:
        table: a pandas `DataFrame`, any object with `columns` and `table[column]`, a dict from column to values (rows,)
            of numbers, booleans, strings or `None`; or the path of a CSV file, for `from_csv`.
        tasks: the columns to predict. Kinds of tasks, missing labels and a column `split` are as in `from_csv`.
        features: the columns to predict from; by default all that are neither tasks nor `split`. Columns that are
            constant in the training rows are left out (`data.custom.feature_columns.feature_columns`).
        types: task -> `"classification"`, `"binary"` or `"regression"`, if the inferred kind is wrong.
        feature_types: column -> `"numeric"` or `"categorical"`, if the inferred kind is wrong.
        name: the name used in records.

    Raises:
        ValueError: for an invalid table; the message names the row, counted from 0.

    Example:

    ```python
    people = {"age": [39, 50, 28, 44], "job": ["clerk", "cook", None, "cook"], "rich": [0, 1, 0, 1]}
    dataset = data.from_table(people, tasks=["rich"])
    ```
    """
    if isinstance(table, (str, os.PathLike)):
        from data.custom.files import from_csv  # which imports this module

        return from_csv(table, tasks=tasks, features=features, types=types, feature_types=feature_types)
    for argument, value in (("tasks", tasks), ("features", features)):
        if isinstance(value, str):
            raise ValueError(f"{argument} must be a list of columns. Received: {argument}={value!r}")
    for argument, mapping in (("types", types), ("feature_types", feature_types)):
        if not isinstance(mapping, (Mapping, type(None))):
            raise ValueError(f"{argument} must be a dict from column to kind. Received: {argument}={mapping!r}")
    found = _cells(table)
    return rows_dataset(found, name, "table", tasks, features, types, feature_types)


def rows_dataset(
    table: LabelTable,
    name: str,
    version: str,
    tasks: Sequence[str] | None,
    features: Sequence[str] | None,
    types: Mapping[str, str] | None,
    feature_types: Mapping[str, str] | None,
) -> Dataset:
    """Returns the dataset of a table's rows; arguments and errors are those of `from_table`.

    Args:
        table: the table.
        name: the dataset's name.
        version: where the table is from, in a word.
        tasks: the task columns; they must be named.
        features: the feature columns.
        types: the kinds of tasks.
        feature_types: the kinds of features.
    """
    columns = [column for column in table.columns if column != SPLIT_COLUMN]
    if not tasks:
        raise ValueError(
            f"{table.where()}: no column has names of images, so this is a table of features, and the columns to "
            "predict must be named: --tasks (tasks=). If a column has names of images: --image_column (image=). "
            f"Columns: {', '.join(columns)}"
        )
    rows = rows_by_split(table)
    found, labels, _ = label_columns(table, (SPLIT_COLUMN,), rows["train"], tasks, types)
    encoder, left_out = feature_columns(table, tasks, rows["train"], features, feature_types)
    vectors = encoder.encode(raw_columns(table, encoder.columns))
    recipe = recipe_from_tasks(name, found, vectors.shape[1:], image_dtype=np.float32)
    with tf.device("cpu"):
        arrays = {
            split: CachedExamples(tf.constant(vectors[chosen]), tf.constant(labels[chosen]))
            for split, chosen in rows.items()
        }
    reader = TableReader(
        {
            split: tf.data.Dataset.from_tensor_slices({"image": one.images, "labels": one.vectors})
            for split, one in arrays.items()
        },
        {split: len(chosen) for split, chosen in rows.items()},
        recipe.fields,
        encoded=False,
        version=version,
        names={split: [table.row_name(row) for row in chosen] for split, chosen in rows.items()},
    )
    return Dataset(
        name,
        version,
        False,
        found,
        recipe.image_shape,
        recipe,
        reader,
        _examples=dict(arrays),
        _left_out=left_out,
        features=encoder,
    )


def _cells(table: Any) -> LabelTable:
    """Returns the columns of a data frame or a mapping as text."""
    if not hasattr(table, "columns") and not isinstance(table, Mapping):
        raise ValueError(f"`table` must be a data frame, a dict of columns or a path. Received: {table!r}")
    names = list(table.columns if hasattr(table, "columns") else table)
    columns: dict[str, list[str]] = {}
    for name in names:
        values = np.asarray(table[name])
        if values.ndim != 1:
            raise ValueError(f"columns of `table` must be (rows,). Received: {name!r} {values.shape}")
        columns[str(name)] = [cell(value) for value in values.tolist()]
    sizes = {name: len(cells) for name, cells in columns.items()}
    if not columns or len(set(sizes.values())) > 1 or not next(iter(sizes.values())):
        raise ValueError(f"`table` must have columns of one length, at least 1. Received: {sizes}")
    return LabelTable(Path("table"), columns, range(next(iter(sizes.values()))), None)
