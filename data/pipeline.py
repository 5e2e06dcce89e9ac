"""Turns the stored examples of a split into batches of images and label vectors."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data.errors import remember
from data.image_cache import cached
from data.parts import Parts
from data.split import Split

CACHES = ("auto", "none", "memory", "disk")
"""Where decoded images are cached."""
MEMORY_LIMIT = 2**30
"""Bytes of decoded images below which "auto" caches a split in memory."""
SHUFFLE_BUFFER = 16384
"""Size of the shuffle buffer, in encoded examples, for a split that is not cached."""
SHUFFLE_BYTES = 2**30
"""Maximum bytes of that buffer, if examples are not stored encoded."""
_PROBED = 64


class Examples(Protocol):
    """The examples of one split."""

    def batches(self, parts: Parts, seeds: tf.Tensor | None, first: tf.Tensor) -> tf.data.Dataset:
        """Returns the batches of an epoch from number `first` on: (number of the batch, decoded images, label vectors).

        Args:
            parts: which examples of each batch.
            seeds: (2,), seeds of the order; `None` for the stored order.
            first: scalar int64, the number of the first batch.
        """


@dataclass(frozen=True)
class Kept:
    """A cached split as two tensors; an epoch is a permutation of their rows.

    Args:
        images: (examples, height, width, channels), in memory or mapped from a file.
        vectors: (examples, fields).
    """

    images: tf.Tensor
    vectors: tf.Tensor

    def batches(self, parts: Parts, seeds: tf.Tensor | None, first: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(self.images.shape[0], dtype=tf.int64)
        if seeds is not None:
            rows = tf.random.experimental.stateless_shuffle(rows, seeds)

        def take(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            begin, end = parts.bounds(step)
            start = step * parts.batch_size
            chosen = rows[start + begin : start + end]
            return step, tf.gather(self.images, chosen), tf.gather(self.vectors, chosen)

        return tf.data.Dataset.range(first, parts.steps).map(take, tf.data.AUTOTUNE)


@dataclass(frozen=True)
class Streamed:
    """A split read from disk in every epoch: shuffled encoded, then decoded.

    The shuffle buffer does not hold the whole split; TFDS stores the examples in random order.

    Args:
        split: the split to read.
    """

    split: Split

    def batches(self, parts: Parts, seeds: tf.Tensor | None, first: tf.Tensor) -> tf.data.Dataset:
        stored = self.split.stored()
        if seeds is not None:
            # The operation combines its seed with the graph seed, which would otherwise be the caller's global seed.
            tf.compat.v1.set_random_seed(1)
            seed = tf.random.stateless_uniform((), seeds, minval=None, maxval=None, dtype=tf.int64)
            stored = stored.shuffle(self._buffer(), seed, reshuffle_each_iteration=False)
        stored = stored.skip(first * parts.batch_size)
        if parts.count == 1:
            batches = self.split.read(stored).rebatch(parts.batch_size)
        else:
            # Each worker decodes only its own part; an empty part is still a batch.
            whole = stored.batch(parts.batch_size).enumerate(first)
            batches = self.split.read_batches(whole.map(lambda step, batch: _between(batch, *parts.bounds(step))))
        return batches.enumerate(first).map(lambda step, batch: (step, *batch))

    def _buffer(self) -> int:
        image = self.split.bytes // max(1, self.split.size)
        return SHUFFLE_BUFFER if self.split.reader.encoded else min(SHUFFLE_BUFFER, max(1, SHUFFLE_BYTES // image))


def open_examples(split: Split, cache: str) -> Examples:
    """Returns the examples of a split.

    Args:
        split: the split.
        cache: `"none"` decodes them again in every epoch; `"memory"` and `"disk"` decode all of them now and store them
            there; `"auto"` caches them in memory if they take less than `MEMORY_LIMIT` bytes.

    Raises:
        ValueError: if an image or label of a cached split is bad.
        OSError: if they cannot be written to disk.
    """
    if cache == "none" or (cache == "auto" and split.bytes >= MEMORY_LIMIT):
        remember(split.recipe.name, split.name, split)
        return Streamed(split)
    try:
        with tf.device("cpu"):
            return _on_disk(split) if cache == "disk" else _in_memory(split)
    except tf.errors.OpError as error:
        raise ValueError(split.explain(error)) from error


def _in_memory(split: Split) -> Kept:
    # An anonymous memory map has the alignment that TensorFlow needs. One batch of all examples would need twice the
    # memory.
    images: np.ndarray = np.ndarray(split.shape, split.dtype, mmap.mmap(-1, split.bytes))
    vectors = []
    row = 0
    for piece, labels in _pieces(split):
        images[row : row + len(piece)] = piece
        vectors.append(labels)
        row += len(piece)
    return Kept(_shared(images), tf.concat(vectors, axis=0))


def _on_disk(split: Split) -> Kept:
    # The first images are part of the key: they change with the preprocessing and the order.
    probe = np.concatenate([images for images, _ in _pieces(split, _PROBED)])
    path = split.kept_file(split.key(probe, tfds.__version__))
    images = cached(path, split.shape, split.dtype, lambda: (images for images, _ in _pieces(split)))
    return Kept(_shared(images), tf.concat(list(split.vectors()), axis=0))


def _pieces(split: Split, count: int = -1) -> Iterator[Any]:
    """Returns an iterator over (images, label vectors), (batch, ...) each, in order."""
    return split.read(split.stored().take(count)).prefetch(1).as_numpy_iterator()


def _between(batch: Any, begin: tf.Tensor, end: tf.Tensor) -> Any:
    """Returns rows `begin` to `end` of each tensor (batch, ...) in a structure."""
    return tf.nest.map_structure(lambda rows: rows[begin:end], batch)


def _shared(array: np.ndarray) -> tf.Tensor:
    """Returns a tensor that shares the memory of an array."""
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
