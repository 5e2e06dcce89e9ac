"""`NpySource`: a folder of .npy files, in the layout of the multi-task literature."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.dense.labels import label_dtype, label_shape
from data.dense.npy_files import Header, read_array, read_header
from data.dense.source import Arrays, DenseSource
from data.dense.values import check_image, check_labels
from data.tfds_reader import DRAWN
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import Task, TaskSet

LAYOUT = "{train,val}/{image,label,depth,normal}/{0,1,...}.npy"
"""The layout of the files, for messages."""
_IMAGE = "image"
_FOLDERS = {
    "segmentation": ("label", "label_7", "label_19", "label_2"),
    "depth": ("depth",),
    "normals": ("normal",),
}
"""Task -> the folders that may hold its labels; the first that exists does."""
_CHANNELS = (1, 3, 4)
_NO_CLASS = 255
"""What some formats store for pixels without a class."""


class _Place(NamedTuple):
    """The examples of a split: consecutive files of a folder."""

    folder: str
    start: int
    end: int


class NpySource(DenseSource):
    """A folder `ROOT/{train,val}/{image,label,depth,normal}/{i}.npy`, with i = 0, 1, ...

    The format of the files of MTAN, LibMTL, CAGrad, Nash-MTL and FAMO:

    | folder | task | array | missing |
    |---|---|---|---|
    | `image` | | (height, width, channels), uint8 or floats in [0, 1] | |
    | `label` | `segmentation` | (height, width), classes from 0 | -1 |
    | `depth` | `depth` | (height, width) or (height, width, 1) | 0 |
    | `normal` | `normals` | (height, width, 3), unit vectors | zeros |

    Instead of `label`, `label_7`, `label_19` or `label_2` is read. All images have the same size.

    With a folder `test`, the splits are `train`, `val` and `test`. Without one, `val` is the test split, as in the
    publications, and the last tenth of `train` is the validation split, so that no choice is made on the test split.

    Opening reads the headers of all files; values are checked when an example is read.

    Args:
        root: the folder.
        tasks: the tasks to read, in order; by default all that there are folders for.
        classes: the number of classes, or their names; by default one more than the largest label in `train`, which
            is read once for it.
        inverse_depth: whether `depth` holds inverse distances.
        check_files: whether opening fails for a file that is missing or has a wrong header; else reading it does.

    Raises:
        ValueError: for another layout, an unknown task, or a bad file; the message names it.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        tasks: Sequence[str] | None = None,
        classes: int | Sequence[str] | None = None,
        inverse_depth: bool = False,
        check_files: bool = True,
    ) -> None:
        self._root = Path(root)
        splits = self._find_splits()
        self._folders = self._find_folders(splits, tasks)
        counts = {split: self._count(split, check_files) for split in splits}
        self._places = self._place(counts)
        self.image_shape, self.kind = self._find_image_form(counts, check_files)
        self.version = "files"
        self.synthetic = (self._root / DRAWN).exists()
        self.inverse_depth = ("depth",) if inverse_depth else ()
        if check_files:
            self._check_headers(counts)
        make = {
            "segmentation": lambda name: Task.segmentation(name, classes or self._count_classes(counts)),
            "depth": Task.depth,
            "normals": Task.normals,
        }
        self.tasks = TaskSet(make[name](name) for name in self._folders).at_size(*self.image_shape[:2])

    def size(self, split: str) -> int:
        place = self._places[split]
        return place.end - place.start

    def read(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> Arrays:
        dtype = np.float32 if self.kind == "float" else np.uint8
        images: np.ndarray = np.empty((len(numbers), *self.image_shape), dtype)
        for row, path in enumerate(self._paths(split, _IMAGE, numbers)):
            pixels = read_array(path)
            self._check_image_form(path, Header(pixels.shape, False, pixels.dtype))
            images[row] = check_image(pixels, str(path))
        return images, self.read_labels(split, numbers, tasks)

    def read_labels(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> dict[str, np.ndarray]:
        found = {}
        for name, task in tasks.items():
            shape = label_shape(task)
            labels: np.ndarray = np.empty((len(numbers), *shape), label_dtype(task))
            for row, path in enumerate(self._paths(split, self._folders[name], numbers)):
                values = read_array(path)
                self._check_label_form(name, path, Header(values.shape, False, values.dtype))
                labels[row] = check_labels(task, values, str(path), nan=False).reshape(shape)
            found[name] = labels
        return found

    def example_name(self, split: str, number: int) -> str:
        place = self._places[split]
        return f"{place.folder}/{_IMAGE}/{place.start + number}.npy"

    def _paths(self, split: str, folder: str, numbers: np.ndarray) -> Iterable[Path]:
        place = self._places[split]
        return (self._root / place.folder / folder / f"{place.start + number}.npy" for number in numbers)

    def _find_splits(self) -> list[str]:
        """Returns the folders of the splits: `train`, `val` and possibly `test`."""
        if not self._root.is_dir():
            raise ValueError(f"There is no folder {self._root}")
        for split in ("train", "val"):
            if not (self._root / split / _IMAGE).is_dir():
                raise ValueError(
                    f"There is no folder {self._root / split / _IMAGE}: the files should be {self._root}/{LAYOUT}"
                )
        return ["train", "val", *(["test"] if (self._root / "test").is_dir() else [])]

    def _find_folders(self, splits: Sequence[str], tasks: Sequence[str] | None) -> dict[str, str]:
        """Returns the folder of the labels of each task."""
        found = {}
        for name, folders in _FOLDERS.items():
            there = [folder for folder in folders if (self._root / "train" / folder).is_dir()]
            if there:
                found[name] = there[0]
        if not found:
            raise ValueError(f"{self._root / 'train'} has no folder of labels: label, depth or normal")
        for name in found if tasks is None else tasks:
            if name not in found:
                raise unknown_value(f"task of {self._root}", name, found)
            for split in splits:
                if not (self._root / split / found[name]).is_dir():
                    raise ValueError(f"There is no folder {self._root / split / found[name]}, the labels of {name!r}")
        return {name: found[name] for name in (found if tasks is None else tasks)}

    def _count(self, split: str, check_files: bool) -> int:
        """Returns how many examples a folder has: one more than the largest number of a file."""
        names = {folder: _numbers(self._root / split / folder) for folder in (_IMAGE, *self._folders.values())}
        count = 1 + max(max(numbers, default=-1) for numbers in names.values())
        if not count:
            raise ValueError(f"There are no .npy files in {self._root / split / _IMAGE}")
        for folder, numbers in names.items():
            missing = set(range(count)) - numbers if check_files else ()
            if missing:
                number = min(missing)
                other = next((name for name, found in names.items() if number in found), None)
                why = f"although {self._root / split / other / f'{number}.npy'} exists" if other else "but later ones"
                raise ValueError(f"There is no {self._root / split / folder / f'{number}.npy'}, {why}")
        return count

    def _place(self, counts: dict[str, int]) -> dict[str, _Place]:
        """Returns where the examples of each split are."""
        train = counts["train"]
        if "test" in counts:
            held_out = {"validation": _Place("val", 0, counts["val"]), "test": _Place("test", 0, counts["test"])}
            return {"train": _Place("train", 0, train), **held_out}
        if train < 2:
            raise ValueError(
                f"{self._root / 'train'} needs at least 2 examples, because without {self._root / 'test'} the last "
                f"tenth of them is for validation. Received: {train}"
            )
        rest = train - max(1, round(train / 10))
        held_out = {"validation": _Place("train", rest, train), "test": _Place("val", 0, counts["val"])}
        return {"train": _Place("train", 0, rest), **held_out}

    def _find_image_form(self, counts: dict[str, int], check_files: bool) -> tuple[tuple[int, int, int], str]:
        """Returns the shape and kind of the images: those of the first, or of the first that can be read."""
        error: ValueError | None = None
        for number in range(counts["train"]):
            path = self._root / "train" / _IMAGE / f"{number}.npy"
            try:
                header = read_header(path)
                _check_image_header(path, header)
            except ValueError as cause:
                error = error or cause
                if check_files:
                    break
            else:
                height, width, channels = header.shape
                return (height, width, channels), "uint8" if header.dtype == np.uint8 else "float"
        raise error or ValueError(f"There are no images in {self._root}")

    def _check_headers(self, counts: dict[str, int]) -> None:
        checks: dict[str, Callable[[Path, Header], None]] = {_IMAGE: self._check_image_form}
        checks |= {folder: partial(self._check_label_form, name) for name, folder in self._folders.items()}
        for split, count in counts.items():
            for folder, check in checks.items():
                for number in range(count):
                    path = self._root / split / folder / f"{number}.npy"
                    check(path, read_header(path))

    def _check_image_form(self, path: Path, header: Header) -> None:
        _check_image_header(path, header)
        kind = "uint8" if header.dtype == np.uint8 else "float"
        if header.shape != self.image_shape or kind != self.kind:
            raise ValueError(
                f"{path}: all images must be {self.kind} {self.image_shape}, as the first. "
                f"Received: {header.dtype} {header.shape}"
            )

    def _check_label_form(self, name: str, path: Path, header: Header) -> None:
        height, width, _ = self.image_shape
        shapes = [(height, width, 3)] if name == "normals" else [(height, width), (height, width, 1)]
        if header.shape not in shapes:
            hint = _channels_first_hint(header.shape, (height, width))
            raise ValueError(
                f"{path}: labels of {name} must be {shapes[0]}, the size of the images. Received: {header.shape}{hint}"
            )
        if header.dtype.kind not in ("f" if name == "normals" else "biuf"):
            raise ValueError(f"{path}: labels of {name} must be numbers. Received: {header.dtype}")

    def _count_classes(self, counts: dict[str, int]) -> int:
        """Returns one more than the largest label in `train`, and at least 2."""
        largest = 1
        for number in range(counts["train"]):
            path = self._root / "train" / self._folders["segmentation"] / f"{number}.npy"
            try:
                labels = read_array(path)
            except ValueError:
                continue  # a missing file, which `check_files` allowed
            if labels.dtype.kind not in "biuf" or not labels.size:
                continue
            greatest = labels.max()
            if greatest == _NO_CLASS:
                raise ValueError(f"{path}: pixels without a class must be -1. Received: {_NO_CLASS}")
            if np.isfinite(greatest):
                largest = max(largest, int(greatest))
        return largest + 1


def _numbers(folder: Path) -> set[int]:
    """Returns the numbers that the .npy files in a folder are named after."""
    found = set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".npy") and not entry.name.startswith("."):
                if not re.fullmatch(r"(0|[1-9]\d*)\.npy", entry.name, re.ASCII):
                    raise ValueError(f"Files must be named 0.npy, 1.npy and so on. Received: {folder / entry.name}")
                found.add(int(entry.name.removesuffix(".npy")))
    return found


def _check_image_header(path: Path, header: Header) -> None:
    shape = header.shape
    if len(shape) != 3 or shape[-1] not in _CHANNELS or not min(shape):
        hint = _channels_first_hint(shape, shape[1:])
        raise ValueError(f"{path}: an image must be (height, width, channels). Received: {shape}{hint}")
    if header.dtype != np.uint8 and header.dtype.kind != "f":
        raise ValueError(f"{path}: images must be uint8, or floats in [0, 1]. Received: {header.dtype}")


def _channels_first_hint(shape: tuple[int, ...], size: tuple[int, ...]) -> str:
    """Returns how to save an array whose channels come first, else nothing."""
    is_first = len(shape) == 3 and shape[0] in _CHANNELS and shape[1:] == size
    return ": save it with the channels last, `array.transpose(1, 2, 0)`" if is_first else ""
