"""Columns of a table whose cells name files with a label for every pixel."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from data.custom.table import LabelTable
from data.custom.table_images import missing_files
from data.custom.table_labels import KINDS, NothingToLearn, label_column, read_columns
from data.dense.file_source import FileSource, PixelFiles
from data.dense.label_files import LABEL_SUFFIXES, LOSSY_SUFFIXES, read_labels
from data.dense.pixel_labels import (
    DENSE_KINDS,
    ColoursAreNoClasses,
    PixelLabels,
    Summary,
    infer_kind,
    inverse_depth,
    make_labels,
    parse_kind,
)
from data.features import MISSING
from mtl_keras.serialization import Spec
from mtl_keras.tasks import Task, TaskSet

_SAMPLED = 100
"""Files read to infer the task of a column, evenly spread over the rows."""
_MOST_METRES = 200
"""Greater depths are probably in another unit."""
Column: TypeAlias = PixelFiles | tuple[Task, np.ndarray]


def pixel_columns(table: LabelTable, names: Sequence[str], types: Mapping[str, str]) -> dict[str, Spec | None]:
    """Returns the columns of labels of pixels, each with its type in `types` or `None`.

    These are the columns with a dense type, and those in which most cells end with one of `LABEL_SUFFIXES` (or of
    `LOSSY_SUFFIXES`, for an error that says so).

    Raises:
        ValueError: for an unknown type.
    """
    specs = {name: parse_kind(kind, name, KINDS) for name, kind in types.items()}
    found = {}
    for name in names:
        spec = specs.get(name)
        if (spec.name in DENSE_KINDS) if spec else _names_files(table.columns[name]):
            found[name] = spec
    return found


def _names_files(cells: Sequence[str]) -> bool:
    known = [cell for cell in cells if _is_known(cell)]
    return sum(cell.lower().endswith((*LABEL_SUFFIXES, *LOSSY_SUFFIXES)) for cell in known) > len(known) / 2


def _is_known(cell: str) -> bool:
    return cell.lower() not in MISSING


def read_all_columns(
    table: LabelTable,
    names: Sequence[str],
    specs: Mapping[str, Spec | None],
    folder: Path,
    train: np.ndarray,
    tasks: Sequence[str] | None,
    types: Mapping[str, str],
    *,
    strict: bool,
) -> tuple[dict[str, Column], dict[str, str]]:
    """Returns the columns of a table that can be tasks: their files, or the task and its labels (rows,).

    Args:
        table: the table.
        names: its columns of labels.
        specs: those with labels of pixels, from `pixel_columns`.
        folder: the folder that file names are relative to.
        train: (rows of the training split,).
        tasks: the requested columns; `None` if none were requested.
        types: column -> its requested type.
        strict: whether files that are missing or cannot be read are an error.

    Returns:
        Task -> column, and column -> reason of those that are left out.

    Raises:
        ValueError: for invalid cells or files; the message names the line.
    """

    def read(name: str) -> Column:
        if name in specs:
            return _pixel_files(table, name, specs[name], folder, train, strict=strict)
        return label_column(table, name, train, types.get(name))

    return read_columns(table, names, read, tasks, types)


def _pixel_files(
    table: LabelTable, name: str, spec: Spec | None, folder: Path, train: np.ndarray, *, strict: bool
) -> PixelFiles:
    names = [cell if _is_known(cell) else "" for cell in table.columns[name]]
    paths = [os.path.join(folder, cell) if cell else "" for cell in names]
    rows = [row for row, path in enumerate(paths) if path]
    if not any(paths[row] for row in train):
        raise NothingToLearn(
            table.where(),
            f"nothing can be learned of column {name!r}, which names no file in the {len(train)} training rows",
        )
    if spec is None and sum(paths[row].lower().endswith(LOSSY_SUFFIXES) for row in rows) > len(rows) / 2:
        raise NothingToLearn(
            table.where(rows[0]),
            f"column {name!r} names JPEG files, which do not keep exact values: labels of pixels are PNG or .npy files",
        )
    for row in rows:
        if not paths[row].lower().endswith((*LABEL_SUFFIXES, *LOSSY_SUFFIXES)):
            raise ValueError(
                f"{table.where(row)}: {name} must name a file ({', '.join(LABEL_SUFFIXES)}), or be empty if the image "
                f"has no labels. Received: {names[row]!r}"
            )
    missing = missing_files([paths[row] for row in rows])
    if spec is None and len(missing) == len(rows):
        raise NothingToLearn(
            table.where(rows[0]), f"none of the files in column {name!r} is in {folder}, such as {names[rows[0]]!r}"
        )
    if missing and (strict or len(missing) == len(rows)):
        others = f"; {len(missing)} rows lack theirs" if len(missing) > 1 else ""
        row = rows[missing[0]]
        raise ValueError(f"{table.where(row)}: there is no {name} {names[row]!r} in {folder}{others}.")
    found = _sample(table, name, paths, rows, strict=strict)
    return PixelFiles(_labels(table, name, spec, found), paths, names)


def _sample(table: LabelTable, name: str, paths: Sequence[str], rows: Sequence[int], *, strict: bool) -> list[Summary]:
    """Returns summaries of some files.

    Raises:
        ValueError: if one of them cannot be read and `strict` is true, or none can.
    """
    found, failed = [], None
    for place in np.unique(np.linspace(0, len(rows) - 1, _SAMPLED).astype(int)).tolist():
        row = rows[place]
        try:
            found.append(Summary.of(read_labels(paths[row])))
        except ValueError as cause:
            failed = ValueError(f"{table.where(row)}: {name} {table.columns[name][row]!r} {cause}")
            if strict:
                raise failed from cause
    if not found and failed is not None:
        raise failed
    return found


def _labels(table: LabelTable, name: str, spec: Spec | None, found: Sequence[Summary]) -> PixelLabels:
    try:
        labels = make_labels(name, spec or Spec(infer_kind(name, found)), found)
    except ValueError as cause:
        if spec is not None:
            raise ValueError(f"{table.where()}: {cause}") from cause
        if isinstance(cause, ColoursAreNoClasses):
            raise NothingToLearn(table.where(), f"column {name!r} {cause}") from cause
        raise NothingToLearn(
            table.where(),
            f"column {name!r} {cause}. Set its type: --task_types {name}=segmentation (types=), or one of "
            f"{', '.join(DENSE_KINDS[1:])}",
        ) from cause
    if spec is None and labels.task.head == "segmentation":
        _warn_of_unused(table, name, labels.task.shape[-1], found)
    greatest = max((int(summary.values[-1]) for summary in found if len(summary.values)), default=0)
    if spec is None and labels.task.head == "depth" and greatest > _MOST_METRES:
        warnings.warn(
            f"{table.where()}: column {name!r} has depths up to {greatest}, which would outweigh the losses of other "
            f"tasks. If they are millimetres: --task_types '{name}=depth(scale=0.001)' (types=).",
            stacklevel=4,
        )
    return labels


def _warn_of_unused(table: LabelTable, name: str, classes: int, found: Sequence[Summary]) -> None:
    """Warns if many classes do not occur: their numbers have gaps, as ids do that are no class indices."""
    values = {value for summary in found for value in summary.values.tolist()}
    used = sum(value in values for value in range(classes))
    if used < classes / 2:
        warnings.warn(
            f"{table.where()}: column {name!r} has {classes} classes, of which {used} occur in the files that were "
            "read. Number the classes from 0 without gaps.",
            stacklevel=4,
        )


def file_source(
    table: LabelTable,
    image_names: Sequence[str],
    image_paths: Sequence[str],
    columns: Mapping[str, Column],
    shape: tuple[int, int, int],
    rows: Mapping[str, np.ndarray],
) -> FileSource:
    """Returns the source of the images and labels of a table.

    Args:
        table: the table.
        image_names: the cells with the names of the images.
        image_paths: the image files, row by row.
        columns: from `read_all_columns`.
        shape: (height, width, channels) that images are resized to.
        rows: split -> its rows.
    """
    tasks, pixels, vectors = [], {}, {}
    for name, column in columns.items():
        if isinstance(column, PixelFiles):
            tasks.append(column.labels.task)
            pixels[name] = column
        else:
            task, values = column
            tasks.append(task)
            vectors[name] = image_labels(task, values)
    found = TaskSet(tasks).at_size(*shape[:2])
    pixels = {name: replace(one, labels=replace(one.labels, task=found[name])) for name, one in pixels.items()}
    places = [table.where(row) for row in range(len(image_paths))]
    inverse = inverse_depth(found)
    return FileSource(found, shape, image_paths, image_names, places, pixels, vectors, rows, inverse_depth=inverse)


def image_labels(task: Task, values: np.ndarray) -> np.ndarray:
    """Returns encoded labels (examples,) or (examples, numbers) of whole images as `DenseSource` documents them.

    Args:
        task: classification, binary or regression.
        values: numbers; a missing class or binary label is -1.
    """
    if task.head == "classification":
        return values.reshape(-1).astype(np.int32)
    if task.head == "binary":
        flat = values.reshape(-1).astype(np.float32)
        return np.where(flat < 0, np.float32(np.nan), flat)
    return values.reshape(len(values), -1).astype(np.float32)
