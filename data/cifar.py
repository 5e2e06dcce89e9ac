"""`Cifar`: the common base of CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from data.recipe import Recipe
from mtl_keras.tasks import Task

_BITS = 16  # random labels per example
_HASH_KEY = (2023, 7)
SHAPE = (32, 32, 3)
RECONSTRUCTION = Task.reconstruction("reconstruction", SHAPE)


class Cifar(Recipe):
    """32x32 colour images through TFDS, labels int32 (batch,).

    The last tenth of the training images is held out for validation (TFDS stores them in random order). Test images
    are never used for validation.

    References:
        A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University of
        Toronto, 2009, https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf
    """

    version = "3.0.2"
    downloadable = True
    splits: ClassVar[Mapping[str, str]] = {"train": "train[:90%]", "validation": "train[90%:]", "test": "test"}
    stored_shape = SHAPE
    image_shape = SHAPE
    label_dtype = tf.int32
    text_fields: ClassVar[tuple[str, ...]] = ("id",)
    random_tasks: ClassVar[tuple[str, ...]]
    """The tasks with random labels: the first has label number 0, the second 1, ..."""
    members: ClassVar[Mapping[str, frozenset[int]]]
    """Binary task -> the classes whose images are labelled 1."""

    @property
    def fields(self) -> tuple[str, ...]:
        return ("label", "id") if any(name in self.tasks for name in self.random_tasks) else ("label",)

    def number(self, field: str, values: tf.Tensor) -> tf.Tensor:
        return random_bits(values) if field == "id" else super().number(field, values)

    def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        columns = dict(zip(self.fields, tf.unstack(vectors, axis=1)))
        return {name: self._label(name, columns) for name in self.tasks if name != RECONSTRUCTION.name}

    def _label(self, name: str, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the labels (batch,) of a task from the stored values (batch,) of each field."""
        if name in self.random_tasks:
            return tf.bitwise.right_shift(columns["id"], self.random_tasks.index(name)) & 1
        if name in self.members:
            members = self.members[name]
            table = [int(label in members) for label in range(self.classes["label"])]
            return tf.gather(tf.constant(table, tf.int32), columns["label"])
        return columns["label"]


def random_bits(ids: tf.Tensor) -> tf.Tensor:
    """Returns `_BITS` random bits, as an int32 in [0, 2 ** _BITS), for each id.

    Each bit is a fixed random label. Such labels can only be memorised, not learned: a task with them can only harm the
    other tasks, and so tests how a method handles negative transfer. They do not depend on the order of the examples,
    the split or the machine: they are a keyed hash (SipHash).

    Args:
        ids: strings (...).
    """
    return tf.cast(tf.strings.to_hash_bucket_strong(ids, 2**_BITS, _HASH_KEY), tf.int32)
