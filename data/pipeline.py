"""From the stored examples of a split to batches of images and label vectors."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data.errors import explain, scope
from data.recipe import Recipe
from data.source import Builder, feature_at, quiet

MEMORY_LIMIT = 2**30
"""Bytes of decoded images up to which a split is kept in memory."""
SHUFFLE_BUFFER = 16384
"""Encoded examples among which the next is drawn, where a split is not kept in memory."""
PARALLEL_CALLS = 16
"""Examples read at a time. A fixed number: `AUTOTUNE` begins with few, which for such short calls costs most."""


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


def read_examples(recipe: Recipe, builder: Builder, split: str) -> Examples:
    """Returns a split, in memory if its decoded images take less than `MEMORY_LIMIT` bytes.

    Raises:
        ValueError: if an image or label that is read into memory is bad.
    """
    name = scope(recipe.name, split)
    encoded = builder.info.features["image"].np_dtype == np.uint8

    def read(example: Any) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.name_scope(name):
            image = example["image"]
            if encoded:
                return recipe.decode(image), _vectors(recipe, example)
            finite = tf.debugging.check_numerics(image, "an image holds NaN or Inf")
            return recipe.frame(tf.cast(finite, tf.float32)), _vectors(recipe, example)

    decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
    stored = _stored(recipe, builder, split, ("image", *recipe.fields), decoders)
    size = builder.info.splits[recipe.splits[split]].num_examples
    if size * math.prod(recipe.image_shape) * (1 if encoded else 4) >= MEMORY_LIMIT:
        return Streamed(stored, read)
    examples = stored.map(read, PARALLEL_CALLS)
    try:
        with tf.device("cpu"):
            return InMemory(*examples.batch(size).get_single_element())
    except tf.errors.OpError as error:
        raise ValueError(f"{explain(error)} (example {_count_good(examples)})") from error


def read_vectors(recipe: Recipe, builder: Builder, split: str) -> tf.data.Dataset:
    """Returns the label vectors of a split in batches (batch, fields), without reading its images."""

    def read(examples: Any) -> tf.Tensor:
        with tf.name_scope(scope(recipe.name, split)):
            return _vectors(recipe, examples)

    return _stored(recipe, builder, split, recipe.fields).batch(4096).map(read)


def _vectors(recipe: Recipe, examples: Any) -> tf.Tensor:
    """Returns the label vector (fields,) of one example, or those of a batch (batch, fields)."""
    values = [tf.cast(feature_at(examples, path), recipe.label_dtype) for path in recipe.fields]
    return recipe.check(tf.stack(values, axis=-1))


def _stored(
    recipe: Recipe, builder: Builder, split: str, paths: Iterable[str], decoders: dict[str, Any] | None = None
) -> tf.data.Dataset:
    """Returns the examples of a split in order, with no more than the features at `paths`."""
    wanted: dict[str, Any] = {}
    for path in paths:
        *parents, key = path.split("/")
        node = wanted
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = True
    with quiet():
        return builder.as_dataset(
            split=recipe.splits[split],
            decoders=tfds.decode.PartialDecoding(wanted, decoders),
            read_config=tfds.ReadConfig(try_autocache=False, num_parallel_calls_for_decode=PARALLEL_CALLS),
            shuffle_files=False,
        )


def _count_good(examples: tf.data.Dataset) -> int:
    """Counts the examples before the first that cannot be read."""
    count = 0
    with contextlib.suppress(tf.errors.OpError):
        for _ in examples:
            count += 1
    return count
