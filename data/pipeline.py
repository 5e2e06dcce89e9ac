"""Turns the stored examples of a split into batches of images and label vectors."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data.cache import cached_array
from data.errors import remember
from data.split import Split
from mtl_keras.checks import unknown_value

CACHES = ("auto", "none", "memory", "disk")
"""Where decoded images are cached."""
ON_BAD_EXAMPLE = ("error", "skip")
"""How to handle examples that cannot be read."""
MEMORY_LIMIT = 2**30
"""Bytes of decoded images below which "auto" caches a split in memory."""
SHUFFLE_BUFFER = 16384
"""Size of the shuffle buffer, in encoded examples, for a split that is not cached."""
SHUFFLE_BYTES = 2**30
"""Maximum bytes of that buffer, if examples are not stored encoded."""
_PROBED = 64


@dataclass(frozen=True)
class BatchShard:
    """One worker's contiguous part of each batch of an epoch.

    The parts of all workers together are the batches that a single process would see, in order. The last batch of an
    epoch, which may be smaller, is cut as evenly as possible: if it has fewer examples than workers, some parts are
    empty. Every worker gets the same number of batches.

    Args:
        size: examples in an epoch.
        batch_size: examples in a global batch, of all workers.
        index: index of the worker, from 0.
        count: number of workers.

    Raises:
        ValueError: if the batches cannot be cut evenly, or the index is out of range.
    """

    size: int
    batch_size: int
    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={self.batch_size!r}")
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ValueError(
                f"`shard` must be (index, count) with 0 <= index < count. Received: shard={(self.index, self.count)}"
            )
        if self.batch_size % self.count:
            raise ValueError(
                f"`batch_size` must be a multiple of the number of workers. Received: batch_size={self.batch_size}, "
                f"shard={(self.index, self.count)}"
            )

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.size // self.batch_size)

    def whole(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the number of examples in global batch number `step` (scalar int64)."""
        return tf.minimum(tf.constant(self.batch_size, tf.int64), self.size - step * self.batch_size)

    def bounds(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the begin and end of this part in batch number `step` (scalar int64)."""
        whole = self.whole(step)
        return whole * self.index // self.count, whole * (self.index + 1) // self.count

    def part_of(self, batch: Any, step: tf.Tensor) -> Any:
        """Returns this part of each tensor (batch, ...) in global batch number `step`."""
        begin, end = self.bounds(step)
        return tf.nest.map_structure(lambda rows: rows[begin:end], batch)


class Examples(Protocol):
    """The examples of one split."""

    def batches(self, shard: BatchShard, seeds: tf.Tensor | None, first: tf.Tensor) -> tf.data.Dataset:
        """Returns the batches of an epoch from number `first` on: (number of the batch, decoded images, label vectors).

        Args:
            shard: which examples of each batch.
            seeds: (2,), seeds of the order; `None` for the stored order.
            first: scalar int64, the number of the first batch.
        """


@dataclass(frozen=True)
class CachedExamples:
    """A cached split as two tensors; an epoch is a permutation of their rows.

    Args:
        images: (examples, height, width, channels), in memory or mapped from a file.
        vectors: (examples, fields).
    """

    images: tf.Tensor
    vectors: tf.Tensor

    def batches(self, shard: BatchShard, seeds: tf.Tensor | None, first: tf.Tensor) -> tf.data.Dataset:
        rows = tf.range(self.images.shape[0], dtype=tf.int64)
        if seeds is not None:
            rows = tf.random.experimental.stateless_shuffle(rows, seeds)

        def take(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            begin, end = shard.bounds(step)
            start = step * shard.batch_size
            chosen = rows[start + begin : start + end]
            return step, tf.gather(self.images, chosen), tf.gather(self.vectors, chosen)

        return tf.data.Dataset.range(first, shard.steps).map(take, tf.data.AUTOTUNE)


@dataclass(frozen=True)
class StreamedExamples:
    """A split read from disk in every epoch: shuffled encoded, then decoded.

    The shuffle buffer does not hold the whole split; TFDS stores the examples in random order.

    Args:
        split: the split to read.
    """

    split: Split

    def batches(self, shard: BatchShard, seeds: tf.Tensor | None, first: tf.Tensor) -> tf.data.Dataset:
        stored = self.split.stored()
        if seeds is not None:
            # The operation combines its seed with the graph seed, which would otherwise be the caller's global seed.
            tf.compat.v1.set_random_seed(1)
            seed = tf.random.stateless_uniform((), seeds, minval=None, maxval=None, dtype=tf.int64)
            stored = stored.shuffle(self._buffer(), seed, reshuffle_each_iteration=False)
        stored = stored.skip(first * shard.batch_size)
        if shard.count == 1:
            batches = self.split.read(stored).rebatch(shard.batch_size)
        else:
            # Each worker decodes only its own part; an empty part is still a batch.
            whole = stored.batch(shard.batch_size).enumerate(first)
            batches = self.split.read_batches(whole.map(lambda step, batch: shard.part_of(batch, step)))
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
    if not is_cached(split, cache):
        remember(split.recipe.name, split.name, split)
        return StreamedExamples(split)
    try:
        with tf.device("cpu"):
            return _on_disk(split) if cache == "disk" else _in_memory(split)
    except tf.errors.OpError as error:
        raise ValueError(split.explain(error)) from error


def is_cached(split: Split, cache: str) -> bool:
    """Returns whether `open_examples` caches a split."""
    return cache != "none" and (cache != "auto" or split.bytes < MEMORY_LIMIT)


def _in_memory(split: Split) -> CachedExamples:
    # An anonymous memory map has the alignment that TensorFlow needs. One batch of all examples would need twice the
    # memory.
    images: np.ndarray = np.ndarray(split.shape, split.dtype, mmap.mmap(-1, split.bytes))
    vectors = []
    row = 0
    for piece, labels in _pieces(split):
        images[row : row + len(piece)] = piece
        vectors.append(labels)
        row += len(piece)
    return CachedExamples(_shared(images), tf.concat(vectors, axis=0))


def _on_disk(split: Split) -> CachedExamples:
    # The first images are part of the key: they change with the preprocessing and the order.
    probe = np.concatenate([images for images, _ in _pieces(split, _PROBED)])
    path = split.cache_file(split.key(probe, tfds.__version__))
    images = cached_array(path, split.shape, split.dtype, lambda: (images for images, _ in _pieces(split)))
    return CachedExamples(_shared(images), tf.concat(list(split.vectors()), axis=0))


def _pieces(split: Split, count: int = -1) -> Iterator[Any]:
    """Returns an iterator over (images, label vectors), (batch, ...) each, in order."""
    return split.read(split.stored().take(count)).prefetch(1).as_numpy_iterator()


def _shared(array: np.ndarray) -> tf.Tensor:
    """Returns a tensor that shares the memory of an array."""
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def with_pipeline_options(batches: tf.data.Dataset, shard: BatchShard) -> tf.data.Dataset:
    """Returns batches with prefetching and the tf.data options of this pipeline."""
    options = tf.data.Options()
    # At the end of a pass, tf.data may wait for the autotuner for as long as the pass took.
    options.autotune.enabled = False
    if shard.count > 1:
        # Already sharded.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def check_start(first_epoch: int, first_step: int, steps: int) -> None:
    """Raises a ValueError unless batches can begin at this epoch and step, of `steps` in an epoch."""
    if first_epoch < 0:
        raise ValueError(f"`first_epoch` must be at least 0. Received: first_epoch={first_epoch!r}")
    if not 0 <= first_step < steps:
        raise ValueError(f"`first_step` is from 0 to {steps - 1}. Received: first_step={first_step!r}")


def check_reading(cache: str, on_bad_example: str, *, on_disk: bool = True) -> None:
    """Raises a ValueError for an unknown `cache` or `on_bad_example` of `data.load`; `on_disk`: allows `"disk"`."""
    caches = [name for name in CACHES if on_disk or name != "disk"]
    if cache not in caches:
        raise unknown_value("cache", cache, caches)
    if on_bad_example not in ON_BAD_EXAMPLE:
        raise unknown_value("value of on_bad_example", on_bad_example, ON_BAD_EXAMPLE)
