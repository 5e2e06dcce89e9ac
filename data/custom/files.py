"""Datasets of your own files: images labelled by a CSV file or by their folders, or the rows of a CSV file."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypedDict, Unpack

from data.custom.label_folders import list_label_folders
from data.custom.pixel_columns import file_source, pixel_columns, read_all_columns
from data.custom.readers import ImageFileReader
from data.custom.rows import rows_dataset
from data.custom.table import SPLIT_COLUMN, LabelTable, is_split, read_table, rows_by_split
from data.custom.table_images import (
    IMAGE_SUFFIXES,
    find_image_column,
    image_paths,
    image_shape,
    later_image_column,
    names_images,
)
from data.custom.table_labels import choose_columns, label_columns
from data.custom.task_recipe import recipe_from_tasks
from data.dataset import Dataset
from data.dense.dataset import DenseDataset
from data.dense.open import DenseOptions, open_npy
from data.pipeline import check_reading
from mtl_keras.checks import unknown_value

IMAGE_FORMS = ("csv:PATH", "folder:PATH")
"""The forms of dataset names that stand for your own image files."""
FORMS = (*IMAGE_FORMS, "npy:PATH")
"""The forms of dataset names that stand for your own files."""
AnyImages: TypeAlias = Dataset | DenseDataset
_NAME = re.compile(r"(csv|folder|npy):(.+)", re.DOTALL)


class ImageOptions(TypedDict, total=False):
    """The options of all datasets of image files; `from_csv` documents them."""

    tasks: Sequence[str] | None
    types: Mapping[str, str] | None
    image_size: tuple[int, int] | None
    cache: str
    on_bad_example: str


class _RowOptions(TypedDict):
    """The options of tables without images."""

    features: Sequence[str] | None
    feature_types: Mapping[str, str] | None


def from_csv(
    path: str | os.PathLike[str],
    *,
    image_dir: str | os.PathLike[str] | None = None,
    image: str | None = None,
    extension: str = "",
    tasks: Sequence[str] | None = None,
    types: Mapping[str, str] | None = None,
    features: Sequence[str] | None = None,
    feature_types: Mapping[str, str] | None = None,
    image_size: tuple[int, int] | None = None,
    cache: str = "auto",
    on_bad_example: str = "error",
) -> AnyImages:
    """Makes a dataset from a CSV file: of images, or of the rows of a table.

    With a column of image names, each row is an image and each other column a task. If such a column names files too,
    PNG or .npy, they have a label for every pixel, and the result is a `DenseDataset`. Without a column of image names,
    each row is an example of its own: some columns are tasks, and the others are the features to predict them from, as
    in `from_table`. The table has images if it has a column `image`, `file`, `filename` or `path`, if its first column
    names image files, or if one of the arguments for images is given, but not if `features` or `feature_types` is.

    Args:
        path: the CSV file (see `data.custom.table.read_table`), in UTF-8.
        image_dir: the folder that image names are relative to; by default the folder of the CSV file.
        image: the column of image names; by default `image`, `file`, `filename` or `path`, else the first column.
        extension: what to append to the image names, as `".jpg"`.
        tasks: the columns to use as tasks, in order; by default all others. A table without images needs them. A
            column `split` is not a task: it assigns rows to train, validation or test. Without it, a tenth of the
            images or rows is held out for validation and a tenth for test (`data.custom.table.rows_by_split`).
        types: column -> `"classification"`, `"binary"` or `"regression"`, if the kind inferred from its cells is wrong
            (`data.custom.table_labels.label_columns`). For a column that names files with a label for every pixel:
            `"segmentation"`, `"mask"`, `"depth"`, `"normals"` or `"dense_regression"`, possibly with arguments such as
            `"segmentation(classes=5, ignore=255)"` or `"depth(scale=0.001)"`; see
            `data.dense.pixel_labels.make_labels`, and `infer_kind` there for the kinds inferred from the files.
        features: for a table without images, the columns to predict from: see `from_table`.
        feature_types: for a table without images, column -> `"numeric"` or `"categorical"`: see `from_table`.
        image_size: (height, width) that the images are resized to; by default their own if all have the same and it is
            at most 128x128, else 128x128 (`data.custom.table_images.image_shape`).
        cache: where decoded images are cached: see `data.load`. Rows are in memory.
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
    options = ImageOptions(tasks=tasks, types=types, image_size=image_size, cache=cache, on_bad_example=on_bad_example)
    rows = _RowOptions(features=features, feature_types=feature_types)
    return _from_csv(table, folder, options, rows, image, extension, has_images=image_dir is not None)


def _from_csv(
    table: LabelTable,
    folder: Path,
    options: ImageOptions,
    rows: _RowOptions,
    column: str | None,
    extension: str,
    *,
    has_images: bool = False,
) -> AnyImages:
    """Returns the dataset of the images or the rows of a CSV file; `has_images`: whether it is known to have images."""
    has_images = has_images or column is not None or bool(extension) or options.get("image_size") is not None
    given = {name: value for name, value in rows.items() if value}
    if given and has_images:
        name, value = next(iter(given.items()))
        raise ValueError(f"{name} is for tables without images. Received: {name}={value!r} and a setting for images")
    if has_images or (not given and names_images(table, folder)):
        return _from_images(table, folder, options, column, extension)
    images = None if given else later_image_column(table)
    if images is not None:
        raise ValueError(
            f"{table.where()}: column {images!r} has names of images. Pass --image_column {images} (image=) to train "
            "on them, or --features (features=) to train on other columns."
        )
    check_reading(options.get("cache", "auto"), options.get("on_bad_example", "error"))
    name = record_name(table.path)
    return rows_dataset(table, name, "files", options.get("tasks"), types=options.get("types"), **rows)


def from_folder(
    path: str | os.PathLike[str],
    **options: Unpack[ImageOptions],
) -> AnyImages:
    """Makes a dataset from a folder that has a folder of images for each class; its only task is `class`.

    A folder `images` beside folders such as `masks` and `depth` is a dataset with labels for every pixel instead: each
    of the other folders is a task, and has a file of the same name for each image
    (`data.custom.label_folders.list_label_folders`).

    If the folders are called `train`, `validation` (or `val`) and `test`, they are the splits, and their subfolders are
    the classes, or the images and the labels. For the options (`tasks`, `types`, `image_size`, `cache`,
    `on_bad_example`) see `from_csv`.

    Raises:
        ValueError: if there are no such folders, or for invalid files.
    """
    return _from_images(_list_folder(Path(path)), Path(path), options)


def names_files(name: str) -> bool:
    """Returns whether a dataset's name has one of `FORMS`."""
    return _NAME.fullmatch(name) is not None


def absolute_name(name: str) -> str:
    """Returns the name with an absolute path, valid from any folder; returns other names unchanged."""
    found = _NAME.fullmatch(name)
    return f"{found[1]}:{Path(found[2]).expanduser().absolute()}" if found else name


def open_files(
    name: str,
    *,
    data_dir: str | os.PathLike[str] | None,
    image_column: str | None = None,
    image_extension: str = "",
    features: Sequence[str] | None = None,
    feature_types: Mapping[str, str] | None = None,
    color_jitter: float = 0.0,
    **options: Unpack[ImageOptions],
) -> AnyImages:
    """Opens `csv:PATH`, `folder:PATH` or `npy:PATH`; options and errors are those of `from_csv` and `from_folder`.

    Args:
        name: the name.
        data_dir: the current place of moved files. For `csv:`, the folder of the images, which is also searched for the
            CSV file if that is no longer at its path. For the other forms, the folder to read instead of the named one.
        image_column: `image` of `from_csv`; only for `csv:`.
        image_extension: `extension` of `from_csv`; only for `csv:`.
        features: `features` of `from_csv`; only for `csv:`.
        feature_types: `feature_types` of `from_csv`; only for `csv:`.
        color_jitter: see `DenseDataset`; only for `npy:`.
        **options: as in `from_csv`.
    """
    form, _, place = absolute_name(name).partition(":")
    path = Path(place)
    moved = None if data_dir is None else Path(data_dir).expanduser()
    if moved is not None and not moved.is_dir():
        raise ValueError(f"data_dir is a folder with the images of {name}. Received: data_dir={str(data_dir)!r}")
    if form != "csv":
        given = {"image_column": image_column, "image_extension": image_extension}
        for option, value in {**given, "features": features, "feature_types": feature_types}.items():
            if value:
                raise ValueError(f"`{option}` is for csv:PATH. Received: {name!r} with {option}={value!r}")
    if form == "npy":
        return _open_npy(name, path, moved or path, color_jitter, options)
    if form == "folder":
        dataset: AnyImages = _from_images(_list_folder(moved or path), moved or path, options)
    else:
        file = moved / path.name if moved is not None and not path.exists() else path
        table, folder = read_table(file if file.exists() else path), moved or file.parent
        rows = _RowOptions(features=features, feature_types=feature_types)
        dataset = _from_csv(table, folder, options, rows, image_column, image_extension)
    if isinstance(dataset, DenseDataset):
        return dataclasses.replace(dataset, name=record_name(path), color_jitter=color_jitter)
    if color_jitter:
        raise ValueError(
            f"`color_jitter` is for datasets with labels of pixels. Received: {name!r} with color_jitter={color_jitter}"
        )
    return dataclasses.replace(dataset, name=record_name(path))


def _open_npy(name: str, path: Path, folder: Path, color_jitter: float, options: ImageOptions) -> DenseDataset:
    for option in ("types", "image_size"):
        if options.get(option):
            raise ValueError(
                f"`{option}` is for {' and '.join(IMAGE_FORMS)}. Received: {name!r} with {option}={options[option]!r}"
            )
    reading = DenseOptions(
        cache=options.get("cache", "auto"),
        on_bad_example=options.get("on_bad_example", "error"),
        color_jitter=color_jitter,
    )
    return open_npy(folder, record_name(path), options.get("tasks"), **reading)


def _from_images(
    table: LabelTable, folder: Path, options: ImageOptions, column: str | None = None, extension: str = ""
) -> AnyImages:
    for name in options:
        if name not in ImageOptions.__annotations__:
            raise unknown_value("option", name, ImageOptions.__annotations__)
    cache, on_bad_example = options.get("cache", "auto"), options.get("on_bad_example", "error")
    check_reading(cache, on_bad_example)
    column = find_image_column(table, column)
    images = table.columns[column]
    paths = image_paths(table, column, folder, extension, must_exist=on_bad_example == "error")
    rows = rows_by_split(table, images)
    tasks, types = options.get("tasks"), options.get("types") or {}
    columns = choose_columns(table, (column, SPLIT_COLUMN), tasks, types)
    pixels = pixel_columns(table, columns, types)
    size = checked_size(options.get("image_size"))
    if pixels:
        strict = on_bad_example == "error"
        labels, left_out = read_all_columns(table, columns, pixels, folder, rows["train"], tasks, types, strict=strict)
        source = file_source(table, images, paths, labels, image_shape(table, paths, size), rows)
        name = record_name(table.path)
        return DenseDataset(name, source, source.tasks, cache, on_bad_example, left_out=left_out)
    found, vectors, left_out = label_columns(table, (column, SPLIT_COLUMN), rows["train"], tasks, types)
    shape = image_shape(table, paths, size)
    recipe = recipe_from_tasks(record_name(table.path), found, shape)
    names = [f"{table.where(row)}: {name}" if table.lines else name for row, name in enumerate(images)]
    reader = ImageFileReader.from_rows(paths, names, vectors, recipe.fields, rows)
    return Dataset(
        recipe.name, reader.version, False, found, shape, recipe, reader, cache, on_bad_example, _left_out=left_out
    )


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


def _list_folder(folder: Path) -> LabelTable:
    return list_label_folders(folder) or list_folder(folder)


def list_folder(folder: Path) -> LabelTable:
    """Returns a table of the images in the subfolders of a folder: relative path, `class` and possibly `split`.

    The class is the name of the subfolder, as in `keras.utils.image_dataset_from_directory`. If all subfolders have
    names of splits (`train`, `val`, ...), the classes are the folders within them.

    Raises:
        ValueError: if there is no such folder, or no image in its subfolders.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}")
    parts = _folders(folder)
    split = bool(parts) and all(is_split(part) for part in parts)
    places = [(part, name) for part in parts for name in _folders(folder / part)] if split else [("", p) for p in parts]
    found = [
        (os.path.join(part, name, image), name, part)
        for part, name in places
        for image in _images(folder / part / name)
    ]
    if not found:
        raise ValueError(
            f"{folder} should have a folder for each class, with images ({', '.join(IMAGE_SUFFIXES)}). "
            f"Received: {', '.join(parts[:5]) or 'no folders'}"
        )
    images, classes, splits = zip(*found)
    return LabelTable(folder, {"image": images, "class": classes, **({SPLIT_COLUMN: splits} if split else {})})


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> Iterator[str]:
    """Yields the images in a folder and its subfolders, sorted by path."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder)
