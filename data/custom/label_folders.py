"""Folders with a folder of images and a folder of files for each kind of label of pixels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data.custom.table import SPLIT_COLUMN, LabelTable, is_split
from data.custom.table_images import IMAGE_SUFFIXES
from data.dense.label_files import LABEL_SUFFIXES, LOSSY_SUFFIXES

IMAGE_FOLDERS = ("images", "image", "img", "imgs")
"""Names of the folder of images, in any case."""
LABEL_FOLDERS = ("mask", "label", "annotation", "segmentation", "depth", "disparity", "normal")
"""Names of folders of labels, in any case, also in the plural and within a longer name such as `label_7`."""


def list_label_folders(folder: Path) -> LabelTable | None:
    """Returns a table of the images in a folder and the files of their labels, or `None` if it has no such folders.

    The layout is `images/NAME.jpg` and, for each kind of label, `masks/NAME.png`: the folders are named as in
    `IMAGE_FOLDERS` and `LABEL_FOLDERS`, and files of the same name, without suffix, belong together. An image may have
    no file of some labels. The folders may also be below `train`, `val` and `test`.

    Returns:
        Columns `image`, one for each folder of labels, and possibly `split`.

    Raises:
        ValueError: if the splits have different folders or no images, two files of a folder have one name, or a file of
            labels has no image.
    """
    if not folder.is_dir():
        return None
    parts = _folders(folder)
    splits = [part for part in parts if is_split(part)]
    if splits and len(splits) == len(parts):
        first, *others = (_layout(folder / part) for part in splits)
        if first is None or None in others:
            return None
        for part, found in zip(splits[1:], others):
            if found != first:
                raise ValueError(
                    f"{folder / part} must have the folders of {folder / splits[0]}, {', '.join(first)}. "
                    f"Received: {', '.join(found or ())}"
                )
        layout, places = first, splits
    else:
        found = _layout(folder)
        if found is None:
            return None
        layout, places = found, [""]
    rows = [(*row, place) for place in places for row in _rows(folder, place, layout)]
    columns = dict(zip(("image", *layout[1:], SPLIT_COLUMN), zip(*rows)))
    if places == [""]:
        del columns[SPLIT_COLUMN]
    return LabelTable(folder, columns)


def _layout(folder: Path) -> list[str] | None:
    """Returns the folder of images and the folders of labels; `None` if there is none of one kind."""
    names = _folders(folder)
    images = [name for name in names if name.lower() in IMAGE_FOLDERS]
    labels = [name for name in names if any(word in name.lower() for word in LABEL_FOLDERS)]
    return [images[0], *labels] if images and labels else None


def _rows(folder: Path, place: str, layout: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yields the path of each image and of the files of its labels, "" without, relative to `folder`."""
    image_folder, *label_folders = layout
    images = _stems(folder / place / image_folder, IMAGE_SUFFIXES)
    if not images:
        advice = f" Images in .npy files: npy:{folder}" if any((folder / place / image_folder).glob("*.npy")) else ""
        raise ValueError(f"{folder / place / image_folder} should have images ({', '.join(IMAGE_SUFFIXES)}).{advice}")
    labels = [_stems(folder / place / name, (*LABEL_SUFFIXES, *LOSSY_SUFFIXES)) for name in label_folders]
    for name, files in zip(label_folders, labels):
        for stem, file in files.items():
            if stem not in images:
                raise ValueError(
                    f"{folder / place / name / file} has no image of this name in {folder / place / image_folder}"
                )
    for stem, image in images.items():
        paths = (files.get(stem) for files in labels)
        yield (
            os.path.join(place, image_folder, image),
            *(os.path.join(place, name, path) if path else "" for name, path in zip(label_folders, paths)),
        )


def _stems(folder: Path, suffixes: tuple[str, ...]) -> dict[str, str]:
    """Returns the files in a folder and its subfolders: relative path without suffix -> relative path, sorted."""
    files = sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(suffixes) and not name.startswith(".")
    )
    found = {os.path.splitext(file)[0]: file for file in files}
    if len(found) < len(files):
        stem = Counter(os.path.splitext(file)[0] for file in files).most_common(1)[0][0]
        twice = [file for file in files if os.path.splitext(file)[0] == stem]
        raise ValueError(f"{folder}: two files have one name. Received: {', '.join(twice)}")
    return found


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
