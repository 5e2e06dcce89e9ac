"""`FileSource`: images and labels of pixels in files."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from data import images
from data.dense.label_files import read_labels
from data.dense.pixel_labels import PixelLabels, nearest
from data.dense.source import Arrays, DenseSource
from data.reader import fingerprint
from mtl_keras.tasks import TaskSet

_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True)
class PixelFiles:
    """The files of the labels of one task.

    Args:
        labels: how their values become labels.
        paths: the file of each example; "" for an example without labels.
        names: the names of the files in messages.
    """

    labels: PixelLabels
    paths: Sequence[str]
    names: Sequence[str]


@dataclass(frozen=True, eq=False)
class FileSource(DenseSource):
    """Examples from files: images of any size that TensorFlow decodes, and labels of the size of their image.

    Images are resized bilinearly, and labels to the nearest pixel; their values do not change.

    Args:
        tasks: the tasks; those of pixels have the size of `image_shape`.
        image_shape: (height, width, channels) that images are resized to.
        paths: the image file of each example.
        names: the name of each image.
        places: the place of each example in messages, such as `"labels.csv, line 17"`.
        pixels: task -> the files of its labels.
        vectors: task -> its labels of whole images (examples, ...).
        rows: split -> the indices of its examples.
        version: where the examples are from, in a word.
        inverse_depth: as in `DenseSource`.
    """

    tasks: TaskSet
    image_shape: tuple[int, int, int]
    paths: Sequence[str]
    names: Sequence[str]
    places: Sequence[str]
    pixels: Mapping[str, PixelFiles]
    vectors: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    version: str = "files"
    inverse_depth: tuple[str, ...] = ()

    @functools.cached_property
    def kind(self) -> str:  # type: ignore[override]
        """How images are stored: "jpeg" or "png", which stands for all lossless formats."""
        for row in self.rows["train"]:
            try:
                with open(self.paths[row], "rb") as file:
                    return "jpeg" if file.read(len(_JPEG)) == _JPEG else "png"
            except OSError:
                continue
        return "png"

    def size(self, split: str) -> int:
        return len(self.rows[split])

    def read(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> Arrays:
        rows = self.rows[split][numbers]
        found, sizes = [], []
        for row in rows:
            image, size = self._image(row)
            found.append(image)
            sizes.append(size)
        return np.stack(found), self._labels(rows, tasks, sizes)

    def read_labels(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> dict[str, np.ndarray]:
        rows = self.rows[split][numbers]
        return self._labels(rows, tasks, [None] * len(rows))

    def labelled(self, split: str) -> dict[str, np.ndarray]:
        """Returns which examples have a label; of pixels, those with a file."""
        rows = self.rows[split]
        found = {name: np.array([bool(files.paths[row]) for row in rows], bool) for name, files in self.pixels.items()}
        for name, values in self.vectors.items():
            known = values[rows] >= 0 if values.dtype.kind == "i" else np.isfinite(values[rows])
            found[name] = known.reshape(len(rows), -1).all(axis=1)
        return found

    def fingerprint(self, split: str) -> str:
        rows = self.rows[split].tolist()
        paths = [self.paths[row] for row in rows]
        paths += [files.paths[row] for files in self.pixels.values() for row in rows if files.paths[row]]
        forms = [
            f"{name} {one.labels.missing} {one.labels.positive} {one.labels.scale}" for name, one in self.pixels.items()
        ]
        return fingerprint({Path(path) for path in paths if os.path.exists(path)}, [*paths, *forms])

    def example_name(self, split: str, number: int) -> str:
        return self.names[self.rows[split][number]]

    def _image(self, row: int) -> tuple[np.ndarray, tuple[int, int]]:
        """Returns an image in `image_shape`, and its stored (height, width)."""
        height, width, channels = self.image_shape
        try:
            with tf.device("cpu"):
                encoded = tf.io.read_file(self.paths[row])
                image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
                size = (int(image.shape[0]), int(image.shape[1]))
                return images.resize(image, height, width).numpy(), size
        except tf.errors.NotFoundError as cause:
            raise ValueError(f"{self.places[row]}: there is no image {self.names[row]!r}") from cause
        except tf.errors.OpError as cause:
            reason = cause.message.splitlines()[0].rpartition("}} ")[2].partition(" [Op:")[0].removesuffix(".")
            raise ValueError(f"{self.places[row]}: image {self.names[row]!r} cannot be decoded ({reason})") from cause

    def _labels(
        self, rows: np.ndarray, tasks: TaskSet, sizes: Sequence[tuple[int, int] | None]
    ) -> dict[str, np.ndarray]:
        return {
            name: np.stack([self._pixels(name, row, size) for row, size in zip(rows, sizes)])
            if name in self.pixels
            else self.vectors[name][rows]
            for name in tasks
        }

    def _pixels(self, name: str, row: int, size: tuple[int, int] | None) -> np.ndarray:
        """Returns the labels (height, width, ...) of a task for one image of a stored size (height, width)."""
        files = self.pixels[name]
        height, width, _ = self.image_shape
        if not files.paths[row]:
            return files.labels.empty(height, width)
        place = f"{self.places[row]}: {name} {files.names[row]!r}"
        try:
            stored = read_labels(files.paths[row])
            if size is not None and stored.shape[:2] != size:
                raise ValueError(
                    f"must have the size of its image {self.names[row]!r}, {size[0]}x{size[1]} (height x width). "
                    f"Received: {'x'.join(map(str, stored.shape))}"
                )
            return nearest(files.labels.decode(stored), height, width)
        except ValueError as cause:
            raise ValueError(f"{place} {cause}") from cause
