"""Lists a folder of images, with a folder for each class, as a table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from data.own.table import Table
from data.own.table_splits import COLUMN, is_split

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
"""The suffixes of image files, case-insensitive; other files are ignored."""


def list_folder(folder: Path) -> Table:
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
            f"{folder} should have a folder for each class, with images ({', '.join(SUFFIXES)}). "
            f"Received: {', '.join(parts[:5]) or 'no folders'}"
        )
    images, classes, splits = zip(*found)
    return Table(folder, {"image": images, "class": classes, **({COLUMN: splits} if split else {})})


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> Iterator[str]:
    """Yields the images in a folder and its subfolders, sorted by path."""
    for place, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.relpath(os.path.join(place, name), folder)
