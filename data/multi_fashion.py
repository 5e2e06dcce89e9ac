"""MultiFashion: two garments of Fashion-MNIST drawn over each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from data.fashion_mnist import ITEMS, FashionMnist
from data.reader import Reader
from data.recipe import Recipe, recipes
from mtl_keras.tasks import Task, TaskSet

SIDES = ("left", "right")
OFFSET = 8
_FIXED_SEED = 0


@recipes.register
class MultiFashion(Recipe):
    """MultiFashion, composed of Fashion-MNIST: 36x36 grey images of two garments, labels int32 (batch,).

    One garment of 28x28 pixels is at the upper left, the other at the lower right, 8 pixels further down and to the
    right. Where they overlap, the brighter pixel is shown. `left` is the class of the first garment, `right` that of
    the second.

    Image i of a split shows garment i of the same split of Fashion-MNIST at the upper left. Its partner is another
    garment of that split; each garment is the partner of one other. The pairs of the training split depend on the seed
    of `data.load` and are the same in every epoch. Those of the validation and test splits are fixed.

    References:
        X. Lin, H.-L. Zhen, Z. Li, Q. Zhang, S. Kwong, "Pareto Multi-Task Learning", NeurIPS 2019,
        https://arxiv.org/abs/1912.12854. Its file has 120,000 training and 20,000 test images, two of each garment.
        S. Sabour, N. Frosst, G. E. Hinton, "Dynamic Routing Between Capsules", NeurIPS 2017,
        https://arxiv.org/abs/1710.09829 (MultiMNIST)
    """

    available = TaskSet([Task.classification(side, ITEMS) for side in SIDES])
    version = FashionMnist.version
    downloadable = FashionMnist.downloadable
    splits: ClassVar[Mapping[str, str]] = FashionMnist.splits
    stored_shape = FashionMnist.stored_shape
    image_shape = (28 + OFFSET, 28 + OFFSET, 1)
    label_dtype = tf.int32
    classes: ClassVar[Mapping[str, int]] = dict.fromkeys(SIDES, len(ITEMS))
    no_flips = "the garment at the upper left would be at the upper right"

    @property
    def source(self) -> Recipe:
        return FashionMnist(["item"])

    def compose(self, reader: Reader, seed: int) -> Reader:
        return PairReader(reader, seed)

    @property
    def fields(self) -> tuple[str, ...]:
        return self.tasks.names

    def decode_all(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes pairs of garments (batch, 2), and draws those of each pair over each other."""
        return overlay(_pairs(self.source.decode_all(tf.reshape(encoded, [-1]))))

    def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(zip(self.fields, tf.unstack(vectors, axis=1)))


class PairReader(Reader):
    """Pairs of the examples of Fashion-MNIST: each example is two records, a string (2,).

    Args:
        reader: the reader of Fashion-MNIST.
        seed: seed of the pairs of the training split, >= 0.
    """

    def __init__(self, reader: Reader, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"seed must be at least 0. Received: seed={seed}")
        self._reader, self._seed = reader, seed
        self.version, self.synthetic, self.encoded = reader.version, reader.synthetic, reader.encoded

    def size(self, split: str) -> int:
        return self._reader.size(split)

    def examples(self, split: str) -> tf.data.Dataset:
        with tf.init_scope():  # eagerly, even in a pipeline: a partner may be any record
            records = self._reader.examples(split).batch(self.size(split)).get_single_element()
        return tf.data.Dataset.from_tensor_slices(
            tf.stack([records, tf.gather(records, partners(self.size(split), self._pair_seed(split)))], axis=1)
        )

    def fetch(self, examples: tf.Tensor, paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        """Parses pairs of records (batch, 2): `"image"` (batch, 2, ...), `"left"` and `"right"` (batch,)."""
        paths = list(paths)
        stored = {"image" if path == "image" else "label" for path in paths}
        found = {
            path: _pairs(values) for path, values in self._reader.fetch(tf.reshape(examples, [-1]), stored).items()
        }
        return {path: found["image"] if path == "image" else found["label"][:, SIDES.index(path)] for path in paths}

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        """Returns encoded images as pairs (batch, 2), others drawn over each other (batch, 36, 36, 1)."""
        pairs = _pairs(self._reader.images(tf.reshape(stored, (-1, *stored.shape[2:]))))
        return pairs if self.encoded else overlay(pairs)

    def damaged_file(self, split: str) -> str | None:
        return self._reader.damaged_file(split)

    def fingerprint(self, split: str) -> str:
        return f"{self._reader.fingerprint(split)} pairs {self._pair_seed(split)}"

    def _pair_seed(self, split: str) -> int:
        return self._seed if split == "train" else _FIXED_SEED


def partners(size: int, seed: int) -> np.ndarray:
    """Returns the index of the partner of each of `size` garments, int64 (size,).

    Each garment is the partner of one other, so both tasks have the same number of examples of each class.
    """
    # The order follows the random numbers themselves: `Generator.permutation` may differ between versions of NumPy.
    order = np.argsort(np.random.PCG64(seed).random_raw(size), kind="stable")
    found = np.empty_like(order)
    found[order] = np.roll(order, 1)
    return found


def overlay(pairs: tf.Tensor) -> tf.Tensor:
    """Returns images of two garments each, the first at the upper left, the second at the lower right.

    Args:
        pairs: (batch, 2, 28, 28, 1).

    Returns:
        (batch, 36, 36, 1), the greater of the two values at each pixel.
    """
    before, after = (0, OFFSET), (OFFSET, 0)
    first, second = tf.unstack(pairs, axis=1)
    return tf.maximum(tf.pad(first, [(0, 0), before, before, (0, 0)]), tf.pad(second, [(0, 0), after, after, (0, 0)]))


def _pairs(values: tf.Tensor) -> tf.Tensor:
    """Returns values (2 * batch, ...) as (batch, 2, ...)."""
    return tf.reshape(values, (-1, 2, *values.shape[1:]))
