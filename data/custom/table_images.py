"""Finds the image column of a table, its image files, and the image shape."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from data.custom.table import LabelTable
from mtl_keras.checks import unknown_value

NAMES = ("image", "file", "filename", "path")
"""Names of the image column; without any of them it is the first column."""
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
"""The suffixes of image files in folders, case-insensitive; other files are ignored."""
LARGEST = 128
"""Images of one common size keep it up to this side; others become squares of this side."""
_PROBED = 100
_GREY = ("1", "L", "I", "I;16")


def names_images(table: LabelTable, folder: Path) -> bool:
    """Returns whether a table probably has a column of image names.

    It has a column with one of `NAMES`, or its first column names images: a cell ends with one of `IMAGE_SUFFIXES`, or
    the first cell is an image in `folder` or a folder within it, perhaps without its suffix.
    """
    if any(column.lower() in NAMES for column in table.columns):
        return True
    cells = next(iter(table.columns.values()))
    if any(cell.lower().endswith(IMAGE_SUFFIXES) for cell in cells):
        return True
    return bool(cells[0]) and bool(_similar_file(folder, cells[0], ""))


def later_image_column(table: LabelTable) -> str | None:
    """Returns the first column in which most cells end with one of `IMAGE_SUFFIXES`, or `None`."""
    for column, cells in table.columns.items():
        if sum(cell.lower().endswith(IMAGE_SUFFIXES) for cell in cells) > len(cells) / 2:
            return column
    return None


def find_image_column(table: LabelTable, chosen: str | None = None) -> str:
    """Returns the name of the column with the image names.

    Args:
        table: the table.
        chosen: the name of the column, if it is known.

    Raises:
        ValueError: if there is no such column.
    """
    if chosen is None:
        columns = list(table.columns)
        return next((column for name in NAMES for column in columns if column.lower() == name), columns[0])
    if chosen not in table.columns:
        raise unknown_value(f"image column ({table.where()})", chosen, table.columns)
    return chosen


def image_paths(table: LabelTable, column: str, folder: Path, extension: str = "", *, must_exist: bool) -> list[str]:
    """Returns the paths of the images, row by row.

    Args:
        table: the table.
        column: the column with the image names.
        folder: the folder that names are relative to.
        extension: what to append to the names, as `".jpg"`.
        must_exist: whether all images must exist; otherwise one must.

    Raises:
        ValueError: for an empty cell or a missing image; the message names the line of the first, and where a similar
            file is.
    """
    names = table.columns[column]
    for row, name in enumerate(names):
        if not name:
            raise ValueError(f"{table.where(row)}: no image is named in column {column!r}")
    paths = [os.path.join(folder, name + extension) for name in names]
    missing = missing_files(paths)
    if missing and (must_exist or len(missing) == len(paths)):
        others = f"; {len(missing)} rows lack theirs" if len(missing) > 1 else ""
        hint = "" if column.lower() in NAMES else f" Column {column!r} was used as the image column."
        hint += _similar_file(folder, names[missing[0]], extension)
        name = names[missing[0]] + extension
        raise ValueError(f"{table.where(missing[0])}: there is no image {name!r} in {folder}{others}.{hint}")
    return paths


def _similar_file(folder: Path, name: str, extension: str) -> str:
    """Returns advice if a missing image exists with another extension, or in a folder within `folder`."""
    try:
        with os.scandir(folder) as entries:
            places = [folder, *sorted(Path(entry) for entry in entries if entry.is_dir())]
    except OSError:
        return ""
    for place in places:
        directory, base = os.path.split(os.path.join(place, name))
        suffixes = [found.removeprefix(base) for found in sorted(_files(directory)) if found.startswith(base)]
        fitting = [extension, *(suffix for suffix in suffixes if suffix.lower() in ("", *IMAGE_SUFFIXES))]
        for suffix in fitting:
            if suffix in suffixes:
                flags = [f"--data_dir {place} (image_dir=)"] if place != folder else []
                if suffix != extension:
                    flags.append(f"--image_extension {suffix} (extension=)" if suffix else "no --image_extension")
                return f" There is {base + suffix!r} in {directory}: pass {' and '.join(flags)}."
    return ""


def missing_files(paths: Sequence[str]) -> list[int]:
    """Returns the indices of files that do not exist.

    Lists each folder once, as checking every file is slow on a network.
    """
    listed: dict[str, set[str]] = {}
    missing = []
    for row, path in enumerate(paths):
        folder, name = os.path.split(path)
        if folder not in listed:
            listed[folder] = _files(folder)
        # A case-insensitive file system may find a name that its listing does not contain.
        if name not in listed[folder] and not os.path.isfile(path):
            missing.append(row)
    return missing


def _files(folder: str) -> set[str]:
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def image_shape(table: LabelTable, paths: Sequence[str], size: tuple[int, int] | None = None) -> tuple[int, int, int]:
    """Returns the shape (height, width, channels) for the model's input images.

    Inferred from a hundred images, evenly spread over the rows: one channel if all are grey, else three; their size if
    all have the same and it is not larger than 128x128, else 128x128.

    Args:
        table: the table that names the images.
        paths: the images.
        size: (height, width), if it is known.

    Raises:
        ValueError: if none of the files is an image.
    """
    rows = np.unique(np.linspace(0, len(paths) - 1, _PROBED).astype(int)).tolist()
    found = [look for row in rows if (look := _size_and_mode(paths[row])) is not None]
    if not found:
        raise ValueError(f"{table.where(rows[0])}: neither {paths[rows[0]]!r} nor another checked file is an image")
    sizes = {shape for shape, _ in found}
    channels = 1 if all(mode in _GREY for _, mode in found) else 3
    common = sizes.pop() if len(sizes) == 1 else (LARGEST, LARGEST)
    height, width = size or (common if max(common) <= LARGEST else (LARGEST, LARGEST))
    return height, width, channels


def _size_and_mode(path: str) -> tuple[tuple[int, int], str] | None:
    """Returns ((height, width), mode) of an image file, or `None` if it is not one: reading it later will raise."""
    try:
        with Image.open(path) as image:
            return (image.height, image.width), image.mode
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError):
        return None
