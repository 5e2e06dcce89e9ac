"""`Split`: reads the stored examples of one split."""

from __future__ import annotations

import contextlib
import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from data.cache import cache_folder
from data.errors import DAMAGED_FILE, located, scope
from data.reader import Reader
from data.recipe import Recipe

_BATCH_SIZE, _PARALLEL_BATCHES = 64, 8
"""Examples read per batch, sequentially, and the number of batches read in parallel.

Passing single images between threads takes as long as resizing them. Both are fixed: `AUTOTUNE` starts with few.
"""
_LABEL_BATCH_SIZE = 4096


@dataclass(frozen=True)
class Split:
    """One split of a dataset.

    Args:
        recipe: turns stored examples into images and labels.
        reader: reads the stored examples.
        name: `"train"`, `"validation"` or `"test"`.
        good: bool (stored examples,), which of them to read; `None` for all.
    """

    recipe: Recipe
    reader: Reader
    name: str
    good: np.ndarray | None = None

    def subset(self, count: int, seed: int) -> Split:
        """Returns a split of `count` of its examples; those of a smaller count are among those of a larger one."""
        good = np.ones(self.reader.size(self.name), bool) if self.good is None else self.good
        chosen = np.random.default_rng(seed).permutation(np.flatnonzero(good))[:count]
        return replace(self, good=np.isin(np.arange(len(good)), chosen))

    @property
    def size(self) -> int:
        """Number of examples that are read."""
        return self.reader.size(self.name) if self.good is None else int(self.good.sum())

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(examples, height, width, channels)."""
        return self.size, *self.recipe.image_shape

    @property
    def dtype(self) -> np.dtype:
        """uint8 for images stored encoded or as uint8; float32 for images stored as floats."""
        return np.dtype(np.uint8 if self.reader.encoded else self.recipe.array_dtype)

    @property
    def bytes(self) -> int:
        """Bytes of all decoded images."""
        return math.prod(self.shape) * self.dtype.itemsize

    @tf.autograph.experimental.do_not_convert
    def stored(self) -> tf.data.Dataset:
        """Returns the examples in order, their images still encoded."""
        stored = self.reader.examples(self.name)
        if self.good is None:
            return stored
        good = tf.constant(self.good)
        return stored.enumerate().filter(lambda number, _: good[number]).map(lambda _, example: example)

    def read(self, stored: tf.data.Dataset, together: int = _BATCH_SIZE) -> tf.data.Dataset:
        """Returns stored examples as (images, label vectors), in batches and in order.

        Args:
            stored: some of `stored()`, in any order.
            together: examples per batch. If one of them is bad, reading the whole batch fails.
        """
        return self.read_batches(stored.batch(together))

    @tf.autograph.experimental.do_not_convert
    def read_batches(self, stored: tf.data.Dataset) -> tf.data.Dataset:
        """Returns batches of stored examples as (images, label vectors)."""

        def read(examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with self._scope():
                features = self.reader.fetch(examples, ("image", *self.recipe.fields))
                return self._images(self.reader.images(features["image"])), self.recipe.vectors(features)

        return stored.map(read, _PARALLEL_BATCHES)

    @tf.autograph.experimental.do_not_convert
    def encoded(self, count: int) -> tf.data.Dataset:
        """Returns the stored images of the first `count` examples in batches (batch,)."""

        def read(examples: tf.Tensor) -> tf.Tensor:
            return tf.reshape(self.reader.images(self.reader.fetch(examples, ("image",))["image"]), [-1])

        return self.stored().take(count).batch(_BATCH_SIZE).map(read)

    @tf.autograph.experimental.do_not_convert
    def vectors(self) -> tf.data.Dataset:
        """Returns the label vectors in batches (batch, fields), without reading the images."""

        def fetch(examples: tf.Tensor) -> tf.Tensor:
            with self._scope():
                return self.recipe.vectors(self.reader.fetch(examples, self.recipe.fields))

        return self.stored().batch(_LABEL_BATCH_SIZE).map(fetch)

    def key(self, *parts: np.ndarray | str) -> str:
        """Returns a digest of the stored images, their shape, and further `parts`: arrays or strings."""
        digest = hashlib.sha256()
        left_out = () if self.good is None else (self.good,)
        stored = (self.reader.fingerprint(self.name), self.recipe.splits[self.name], self.shape)
        for part in (*stored, *left_out, *parts):
            digest.update(part.tobytes() if isinstance(part, np.ndarray) else f"{part}\n".encode())
        return digest.hexdigest()[:16]

    def cache_file(self, key: str) -> Path:
        """Returns the path of the split's cache file with this key (a digest)."""
        return cache_folder() / "decoded" / f"{self.recipe.name}-{self.reader.version}-{self.name}-{key}.npy"

    def explain(self, error: tf.errors.OpError) -> str:
        """Returns the cause of a read error and its file or example, in one line.

        Reads the split again up to the error, one by one: within a batch any bad example may be the first to fail.
        """
        damaged = self.reader.damaged_file(self.name) if isinstance(error, DAMAGED_FILE) else None
        if damaged:
            return located(self.recipe.name, self.name, error, damaged)
        count = 0
        try:
            for _ in self.read(self.stored(), together=1):
                count += 1
        except tf.errors.OpError as first:
            number = count if self.good is None else int(np.flatnonzero(self.good)[count])
            example = self.reader.example_name(self.name, number)
            return located(self.recipe.name, self.name, first, f"example {example}")
        return located(self.recipe.name, self.name, error)

    def is_damaged(self) -> bool:
        """Returns whether one of its files is damaged."""
        return self.reader.damaged_file(self.name) is not None

    def _images(self, images: tf.Tensor) -> tf.Tensor:
        if self.reader.encoded:
            return self.recipe.decode_all(images)
        if images.dtype.is_floating:
            images = tf.debugging.check_numerics(images, "an image holds NaN or Inf")
        if images.shape[1:] == self.recipe.image_shape:
            return images
        spec = tf.TensorSpec(self.recipe.image_shape, images.dtype)
        return tf.map_fn(self.recipe.frame, images, fn_output_signature=spec)

    def _scope(self) -> contextlib.AbstractContextManager[str]:
        return tf.name_scope(scope(self.recipe.name, self.name))


def check_train_examples(amount: int | float, available: int | None = None) -> None:
    """Raises a ValueError unless `amount` is a whole number >= 1, at most `available`, or a share in (0, 1)."""
    is_count = type(amount) is int and amount >= 1
    if not is_count and not (isinstance(amount, float) and 0 < amount < 1):
        raise ValueError(
            f"train_examples must be a whole number >= 1 or a share in (0, 1). Received: train_examples={amount!r}"
        )
    if available is not None and amount > available:
        raise ValueError(f"The training split has {available} examples. Received: train_examples={amount}")
