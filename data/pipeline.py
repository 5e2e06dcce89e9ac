"""From the stored examples of a split to batches of images and label vectors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import tensorflow as tf

from data.errors import explain, scope
from data.reader import Reader, feature_at
from data.recipe import Recipe
from data.source import PARALLEL_CALLS

MEMORY_LIMIT = 2**30
"""Bytes of decoded images up to which a split is kept in memory."""
SHUFFLE_BUFFER = 16384
"""Encoded examples among which the next is drawn, where a split is not kept in memory."""


class Examples(Protocol):
    """The examples of one split."""

    def batches(self, batch_size: int, seeds: tf.Tensor | None) -> tf.data.Dataset:
        """Returns one epoch: (images, label vectors), images as decoded, in the order that two seeds (2,) give."""


@dataclass(frozen=True)
class InMemory:
    """A split as two tensors; an epoch is a permutation of their rows.

    Args:
        images: (examples, height, width, channels).
        vectors: (examples, fields).
    """

    images: tf.Tensor
    vectors: tf.Tensor

    def batches(self, batch_size: int, seeds: tf.Tensor | None) -> tf.data.Dataset:
        rows = tf.range(self.images.shape[0], dtype=tf.int64)
        if seeds is not None:
            rows = tf.random.experimental.stateless_shuffle(rows, seeds)
        return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size).map(self._take, tf.data.AUTOTUNE)

    def _take(self, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(self.images, rows), tf.gather(self.vectors, rows)


@dataclass(frozen=True)
class Streamed:
    """A split read from disk in every epoch: shuffled as stored, decoded afterwards.

    The shuffling buffer does not hold the whole split; TFDS has written the examples in random order.

    Args:
        stored: dataset of the stored examples, their images still encoded.
        read: turns such an example into (image, label vector).
    """

    stored: tf.data.Dataset
    read: Callable[[Any], tuple[tf.Tensor, tf.Tensor]]

    def batches(self, batch_size: int, seeds: tf.Tensor | None) -> tf.data.Dataset:
        stored = self.stored
        if seeds is not None:
            # The operation mixes its seed with the graph's, which would be the caller's global seed.
            tf.compat.v1.set_random_seed(1)
            seed = tf.random.stateless_uniform((), seeds, minval=None, maxval=None, dtype=tf.int64)
            stored = stored.shuffle(SHUFFLE_BUFFER, seed, reshuffle_each_iteration=False)
        return stored.map(self.read, PARALLEL_CALLS).batch(batch_size)


def read_examples(recipe: Recipe, reader: Reader, split: str) -> Examples:
    """Returns a split, in memory if its decoded images take less than `MEMORY_LIMIT` bytes.

    Raises:
        ValueError: if an image or label that is read into memory is bad.
    """
    name = scope(recipe.name, split)

    def read(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.name_scope(name):
            features = reader.fetch(example)
            if reader.encoded:
                return recipe.decode(features["image"]), _vectors(recipe, features)
            finite = tf.debugging.check_numerics(features["image"], "an image holds NaN or Inf")
            return recipe.frame(tf.cast(finite, tf.float32)), _vectors(recipe, features)

    stored = reader.examples(split, ("image", *recipe.fields))
    size = reader.size(split)
    if size * math.prod(recipe.image_shape) * (1 if reader.encoded else 4) >= MEMORY_LIMIT:
        return Streamed(stored, read)
    examples = stored.map(read, PARALLEL_CALLS)
    try:
        with tf.device("cpu"):
            return InMemory(*examples.batch(size).get_single_element())
    except tf.errors.OpError as error:
        raise ValueError(f"{explain(error)} (example {_count_good(examples)})") from error


def read_vectors(recipe: Recipe, reader: Reader, split: str) -> tf.data.Dataset:
    """Returns the label vectors of a split in batches (batch, fields), without reading its images."""

    def read(examples: Any) -> tf.Tensor:
        with tf.name_scope(scope(recipe.name, split)):
            return _vectors(recipe, reader.fetch(examples))

    return reader.examples(split, recipe.fields).batch(4096).map(read)


def _vectors(recipe: Recipe, examples: Any) -> tf.Tensor:
    """Returns the label vector (fields,) of one example, or those of a batch (batch, fields)."""
    values = [recipe.number(path, feature_at(examples, path)) for path in recipe.fields]
    return recipe.check(tf.stack(values, axis=-1))


def _count_good(examples: tf.data.Dataset) -> int:
    """Counts the examples before the first that cannot be read."""
    count = 0
    with contextlib.suppress(tf.errors.OpError):
        for _ in examples:
            count += 1
    return count
