"""Reads or caches the examples of a `DenseSplit` for a tf.data pipeline."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from data import pipeline
from data.cache import cache_folder, cached_array
from data.dense.labels import compact_dtype, label_dtype, label_shape
from data.dense.split import DenseSplit
from data.errors import remember, scope
from mtl_keras.tasks import Task, TaskSet

Batch = tuple[tf.Tensor, dict[str, tf.Tensor]]
"""Images (batch, height, width, channels), uint8 or float32, and task -> labels (batch, ...)."""


class DenseExamples(Protocol):
    """The examples of one split."""

    def take(self, rows: tf.Tensor) -> Batch:
        """Returns the examples at some positions (batch,) of the split."""


@dataclass(frozen=True)
class CachedDenseExamples:
    """A split as tensors.

    Args:
        images: (examples, height, width, channels), in memory or mapped from a file.
        labels: task -> (examples, ...), in the dtype of `compact_dtype`.
        tasks: the tasks with labels.
    """

    images: tf.Tensor
    labels: Mapping[str, tf.Tensor]
    tasks: TaskSet

    def take(self, rows: tf.Tensor) -> Batch:
        labels = {
            name: tf.cast(tf.gather(self.labels[name], rows), label_dtype(task)) for name, task in self.tasks.items()
        }
        return tf.gather(self.images, rows), labels


@dataclass(frozen=True)
class StreamedDenseExamples:
    """A split whose examples are read when they are needed.

    Args:
        split: the split to read.
    """

    split: DenseSplit

    def take(self, rows: tf.Tensor) -> Batch:
        split, tasks = self.split, self.split.tasks
        image_shape = split.source.image_shape

        def read(chosen: np.ndarray) -> list[np.ndarray]:
            images, labels = split.read(chosen)
            return [images, *(labels[name] for name in tasks)]

        dtypes = [tf.as_dtype(split.image_dtype), *(tf.as_dtype(label_dtype(task)) for task in tasks.values())]
        with tf.name_scope(scope(split.dataset, split.name)):
            images, *labels = tf.numpy_function(read, [rows], dtypes)
        size = rows.shape[0]
        shapes = [(size, *label_shape(task)) for task in tasks.values()]
        return tf.ensure_shape(images, (size, *image_shape)), {
            name: tf.ensure_shape(values, shape) for name, values, shape in zip(tasks, labels, shapes)
        }


def open_dense_examples(split: DenseSplit, cache: str) -> DenseExamples:
    """Returns the examples of a split.

    Args:
        split: the split.
        cache: `"none"` reads them again in every epoch; `"memory"` reads all of them now; `"disk"` does so too and
            stores them decoded, if the source has to decode them; `"auto"` keeps them in memory if they take less
            than `data.pipeline.MEMORY_LIMIT` bytes.

    Raises:
        ValueError: if an image or label of a cached split is bad.
        OSError: if they cannot be written to disk.
    """
    fingerprint = split.source.fingerprint(split.name) if cache == "disk" else None
    if fingerprint is not None:
        return _on_disk(split, fingerprint)
    if is_in_memory(split, cache):
        return _in_memory(split)
    remember(split.dataset, split.name, split)
    return StreamedDenseExamples(split)


def is_in_memory(split: DenseSplit, cache: str) -> bool:
    """Returns whether `open_dense_examples` copies a split into memory."""
    if split.source.in_memory:
        return False
    return cache == "memory" or (cache == "auto" and split.bytes < pipeline.MEMORY_LIMIT)


def _in_memory(split: DenseSplit) -> CachedDenseExamples:
    images = _empty((split.size, *split.source.image_shape), split.image_dtype)
    labels = {name: _empty((split.size, *label_shape(task)), compact_dtype(task)) for name, task in split.tasks.items()}
    row = 0
    for pixels, found in split.pieces():
        end = row + len(pixels)
        images[row:end] = pixels
        for name, values in labels.items():
            values[row:end] = found[name]
        row = end
    return _cached(split, images, labels)


def _on_disk(split: DenseSplit, fingerprint: str) -> CachedDenseExamples:
    def stored(
        part: str, shape: tuple[int, ...], dtype: np.dtype, make: Callable[[], Iterable[np.ndarray]], *keys: object
    ) -> np.ndarray:
        key = split.key(fingerprint, part, shape, dtype, *keys)
        path = cache_folder() / "decoded" / f"{split.dataset}-{split.source.version}-{split.name}-{part}-{key}.npy"
        return cached_array(path, (split.size, *shape), dtype, make)

    def labels_of(task: Task) -> np.ndarray:
        one = split.tasks.subset([task.name])

        def make() -> Iterator[np.ndarray]:
            return (found[task.name] for found in split.labels(one))

        what = (task.head, task.shape, task.invalid, task.labels)
        return stored(f"labels-{task.name}", label_shape(task), compact_dtype(task), make, *what)

    def pictures() -> Iterator[np.ndarray]:
        return (pixels for pixels, _ in split.pieces())

    images = stored("images", split.source.image_shape, split.image_dtype, pictures)
    return _cached(split, images, {name: labels_of(task) for name, task in split.tasks.items()})


def _cached(split: DenseSplit, images: np.ndarray, labels: Mapping[str, np.ndarray]) -> CachedDenseExamples:
    with tf.device("cpu"):
        return CachedDenseExamples(
            _shared(images), {name: _shared(values) for name, values in labels.items()}, split.tasks
        )


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Returns an array with the alignment that TensorFlow needs: that of an anonymous memory map."""
    return np.ndarray(shape, dtype, mmap.mmap(-1, max(1, math.prod(shape) * dtype.itemsize)))


def _shared(array: np.ndarray) -> tf.Tensor:
    """Returns a tensor that shares the memory of an array."""
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
