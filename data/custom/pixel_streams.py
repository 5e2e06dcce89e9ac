"""Pipelines of single examples with a label for every pixel."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from data import images
from data.cache import cache_folder, cached_array
from data.custom.pixel_arrays import stored_labels
from data.custom.pixel_columns import image_labels
from data.custom.task_recipe import checked_image_shape, tasks_with_labels
from data.dense.arrays import ArraySource
from data.dense.dataset import DenseDataset
from data.dense.labels import label_dtype, label_shape
from data.dense.pixel_labels import PixelLabels, inverse_depth, nearest
from data.dense.source import Arrays
from data.errors import located
from mtl_keras.tasks import Task, TaskSet

_PROBED = 16
"""Examples read to find out how a mask is stored."""


def dense_streams(
    splits: Mapping[str, tf.data.Dataset],
    sizes: Mapping[str, int],
    tasks: TaskSet,
    image_shape: Sequence[int],
    name: str,
    cache: str,
    on_bad_example: str,
    *,
    version: str,
    stamp: str,
    synthetic: bool,
) -> DenseDataset:
    """Makes a dataset from pipelines of (image, {task: label}) of which some labels are of pixels.

    Pipelines cannot be read in any order, so all examples are read at once, into memory or files.

    Args:
        splits: split -> its examples, checked.
        sizes: split -> its number of examples.
        tasks: the tasks.
        image_shape: (height, width, channels) that images are resized to.
        name: the dataset's name.
        cache: `"auto"`, `"memory"` or `"disk"`.
        on_bad_example: `"error"`.
        version: where the examples are from, in a word.
        stamp: a string that changes when the stored examples do.
        synthetic: whether the images were drawn.

    Raises:
        ValueError: for labels that do not fit, or another `cache` or `on_bad_example`.
        OSError: if the files cannot be written.
    """
    if cache == "none":
        raise ValueError(
            "Labels of pixels from a pipeline are cached: cache must be auto, memory or disk. Received: 'none'"
        )
    if on_bad_example != "error":
        raise ValueError(
            "Labels of pixels from a pipeline are read at once: on_bad_example must be 'error'. "
            f"Received: {on_bad_example!r}"
        )
    shape = checked_image_shape(image_shape)
    found = tasks.at_size(*shape[:2])
    labelled = TaskSet(tasks_with_labels(found))
    forms = {task.name: _stored_form(splits["train"], task) for task in labelled.values() if task.is_dense}
    arrays = {}
    for split, dataset in splits.items():
        stream = _Stream(name, split, dataset, sizes[split], labelled, forms, shape)
        arrays[split] = stream.on_disk(version, stamp) if cache == "disk" else stream.in_memory()
    source = ArraySource(arrays, labelled, version=version)
    source.synthetic = synthetic
    source.inverse_depth = inverse_depth(labelled)
    return DenseDataset(name, source, found)


def _stored_form(dataset: tf.data.Dataset, task: Task) -> PixelLabels:
    if task.head != "mask":
        return PixelLabels(task, task.invalid)
    probed = (labels[task.name] for _, labels in itertools.islice(dataset.as_numpy_iterator(), _PROBED))
    # Masks of different sizes have their values in one row.
    return stored_labels(task, np.concatenate([values.ravel() for values in probed])[np.newaxis, np.newaxis])


@dataclass(frozen=True)
class _Stream:
    """The examples of one split.

    Args:
        name: the dataset's name.
        split: the split.
        dataset: examples (image, {task: label}).
        size: their number.
        tasks: the tasks with labels.
        forms: dense task -> how its labels are stored.
        shape: (height, width, channels) of the images.
    """

    name: str
    split: str
    dataset: tf.data.Dataset
    size: int
    tasks: TaskSet
    forms: Mapping[str, PixelLabels]
    shape: tuple[int, int, int]

    @property
    def _image_dtype(self) -> np.dtype:
        return np.dtype(np.float32 if self.dataset.element_spec[0].dtype.is_floating else np.uint8)

    def in_memory(self) -> Arrays:
        """Returns all examples as arrays."""
        pixels = np.empty((self.size, *self.shape), self._image_dtype)
        labels = {
            name: np.empty((self.size, *label_shape(task)), label_dtype(task)) for name, task in self.tasks.items()
        }
        for number, (image, found) in enumerate(self._read()):
            pixels[number] = image
            for name, values in found.items():
                labels[name][number] = values
        return pixels, labels

    def on_disk(self, version: str, stamp: str) -> Arrays:
        """Returns all examples as arrays mapped from files, which are written if they do not exist."""

        def stored(
            part: str, shape: tuple[int, ...], dtype: np.dtype, values: Iterable[Any], *keys: object
        ) -> np.ndarray:
            text = "\n".join(map(str, (stamp, self.split, self.shape, part, *keys)))
            digest = hashlib.sha256(text.encode()).hexdigest()[:16]
            path = cache_folder() / "decoded" / f"{self.name}-{version}-{self.split}-{part}-{digest}.npy"
            return cached_array(
                path, (self.size, *shape), dtype, lambda: (np.asarray(one)[np.newaxis] for one in values)
            )

        pixels = stored("images", self.shape, self._image_dtype, (image for image, _ in self._read()))
        labels = {}
        for name, task in self.tasks.items():
            values = (found[name] for _, found in self._read())
            keys = (task.head, task.shape, task.invalid, self.forms[name].positive if name in self.forms else "")
            labels[name] = stored(name, label_shape(task), label_dtype(task), values, *keys)
        return pixels, labels

    def _read(self) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Yields each image and its labels, resized and checked."""
        count = 0
        try:
            for image, labels in self.dataset.prefetch(tf.data.AUTOTUNE):
                pixels, size = self._image(image)
                found = {name: self._label(task, labels[name].numpy(), size) for name, task in self.tasks.items()}
                count += 1
                yield pixels, found
        except tf.errors.OpError as error:
            raise ValueError(located(self.name, self.split, error, f"example {count}")) from error
        except ValueError as error:
            raise ValueError(f"Dataset {self.name}, split {self.split}, example {count}: {error}") from error

    def _image(self, image: tf.Tensor) -> tuple[np.ndarray, tuple[int, int]]:
        """Returns an image of the dataset's shape, and its stored (height, width)."""
        height, width, channels = self.shape
        with tf.device("cpu"):
            if image.dtype == tf.string:
                image = tf.io.decode_image(image, channels=channels, expand_animations=False)
            if image.shape[-1] != channels:
                raise ValueError(
                    f"images must have {channels} channels, as `image_shape` says. Received: {image.shape}"
                )
            size = (int(image.shape[0]), int(image.shape[1]))
            return images.resize(image, height, width).numpy(), size

    def _label(self, task: Task, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Returns the labels of one image of a stored size (height, width)."""
        if task.name not in self.forms:
            labels: np.ndarray = image_labels(task, np.asarray(values, np.float32).reshape(1, -1))[0]
            return labels
        if values.shape[:2] != size:
            raise ValueError(
                f"labels of task {task.name!r} must have the size of the image, {size[0]}x{size[1]}. "
                f"Received: {'x'.join(map(str, values.shape)) or 'one number'}"
            )
        try:
            decoded = self.forms[task.name].decode(values)
        except ValueError as cause:
            raise ValueError(f"labels of task {task.name!r} {cause}") from cause
        return nearest(decoded, *self.shape[:2])
