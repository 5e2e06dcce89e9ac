"""Datasets of your own image files, labelled by the columns of a CSV file or by their folders."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.bad_examples import ON_BAD_EXAMPLE
from data.dataset import Dataset
from data.own.folder import list_folder
from data.own.image_files import open_image_files
from data.own.recipe import check_cache, own_recipe
from data.own.table import Table, read_table
from data.own.table_images import image_column, image_files, image_shape
from data.own.table_labels import label_columns
from data.own.table_splits import COLUMN, rows_by_split
from mtl_keras.serialization import unknown_value


def from_csv(
    path: str | os.PathLike[str],
    *,
    image_dir: str | os.PathLike[str] | None = None,
    image: str | None = None,
    extension: str = "",
    tasks: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    image_size: tuple[int, int] | None = None,
    cache: str = "auto",
    on_bad_example: str = "error",
) -> Dataset:
    """Makes a dataset from a CSV file with one row per image, a column of image names, and one column per task.

    Args:
        path: the CSV file (see `data.own.table.read_table`), in UTF-8.
        image_dir: the folder that image names are relative to; by default the folder of the CSV file.
        image: the column of image names; by default `image`, `file`, `filename` or `path`, else the first column.
        extension: what to append to the image names, as `".jpg"`.
        tasks: the columns to use as tasks, in order; by default all others. A column `split` is not a task: it assigns
            rows to train, validation or test. Without it, a tenth of the images is held out for validation and a tenth
            for test (`data.own.table_splits`).
        types: column -> `"classification"`, `"binary"` or `"regression"`, if the kind inferred from its cells is wrong
            (`data.own.table_labels.label_columns`).
        image_size: (height, width) that the images are resized to; by default their own if all have the same and it is
            at most 128x128, else 128x128 (`data.own.table_images.image_shape`).
        cache: where decoded images are cached: see `data.load`.
        on_bad_example: how to handle files that are missing or cannot be decoded: see `data.load`.

    Raises:
        ValueError: for an invalid table; the message names the line.

    Example:

    ```python
    dataset = data.from_csv("labels.csv", types={"age": "regression"})
    ```
    """
    table = read_table(Path(path))
    folder = Path(path).parent if image_dir is None else Path(image_dir)
    column = image_column(table, image)
    return _open(table, folder, column, tasks, types, image_size, cache, on_bad_example, extension)


def from_folder(
    path: str | os.PathLike[str],
    *,
    tasks: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    image_size: tuple[int, int] | None = None,
    cache: str = "auto",
    on_bad_example: str = "error",
) -> Dataset:
    """Makes a dataset from a folder that has a folder of images for each class; its only task is `class`.

    If the folders are called `train`, `validation` (or `val`) and `test`, they are the splits, and their subfolders are
    the classes. For the arguments see `from_csv`.

    Raises:
        ValueError: if there are no such folders.
    """
    table = list_folder(Path(path))
    return _open(table, Path(path), image_column(table), tasks, types, image_size, cache, on_bad_example)


def _open(
    table: Table,
    folder: Path,
    column: str,
    tasks: Sequence[str] | None,
    types: Mapping[str, str] | None,
    image_size: tuple[int, int] | None,
    cache: str,
    on_bad_example: str,
    extension: str = "",
) -> Dataset:
    check_cache(cache, on_disk=True)
    if on_bad_example not in ON_BAD_EXAMPLE:
        raise unknown_value("value of on_bad_example", on_bad_example, ON_BAD_EXAMPLE)
    images = table.columns[column]
    paths = image_files(table, column, folder, extension, must_exist=on_bad_example == "error")
    rows = rows_by_split(table, images)
    found, labels = label_columns(table, (column, COLUMN), rows["train"], tasks, types)
    shape = image_shape(table, paths, checked_size(image_size))
    recipe = own_recipe(record_name(table.path), found, shape)
    names = [f"{table.where(row)}: {name}" if table.lines else name for row, name in enumerate(images)]
    reader = open_image_files(paths, names, labels, recipe.fields, rows)
    return Dataset(recipe.name, reader.version, False, found, shape, recipe, reader, cache, on_bad_example)


def record_name(path: Path) -> str:
    """Returns the name of a file or folder for records, with only letters, digits and `_`."""
    name = re.sub(r"\W", "_", path.absolute().stem, flags=re.ASCII)
    return name if re.match("[A-Za-z]", name) else f"own_{name}"


def checked_size(size: Sequence[int] | None) -> tuple[int, int] | None:
    """Returns `size` as a tuple (height, width).

    Raises:
        ValueError: if they are not two whole numbers > 0.
    """
    if size is None:
        return None
    sizes = tuple(size) if isinstance(size, (list, tuple)) else ()
    if len(sizes) != 2 or not all(type(side) is int and side > 0 for side in sizes):
        raise ValueError(f"image_size must be (height, width), whole numbers > 0. Received: image_size={size!r}")
    return sizes[0], sizes[1]
