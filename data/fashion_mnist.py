"""Fashion-MNIST: ten classes of garments, and three groups of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from data.recipe import Recipe, recipes
from mtl_keras.tasks import Task, TaskSet

GROUPS = {
    "shoes": ("Sandal", "Sneaker", "Ankle boot"),
    "gendered": ("Dress", "Shirt", "Bag"),
    "unisex": ("T-shirt/top", "Trouser", "Pullover", "Coat"),
}
ITEMS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
GROUP_OF_ITEM = tuple(next(i for i, items in enumerate(GROUPS.values()) if item in items) for item in ITEMS)


@recipes.register
class FashionMnist(Recipe):
    """Fashion-MNIST through TFDS: 28x28 grey images, labels int32 (batch,).

    `item` is one of ten garments; `group` is one of three, and follows from the item. The last tenth of the training
    images is held out for validation (TFDS stores them in random order). Test images are never used for validation.

    References:
        H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
        Algorithms", 2017, https://arxiv.org/abs/1708.07747
    """

    available = TaskSet([Task.classification("item", ITEMS), Task.classification("group", tuple(GROUPS))])
    version = "3.0.1"
    downloadable = True
    splits: ClassVar[Mapping[str, str]] = {"train": "train[:90%]", "validation": "train[90%:]", "test": "test"}
    stored_shape = (28, 28, 1)
    image_shape = (28, 28, 1)
    label_dtype = tf.int32
    classes: ClassVar[Mapping[str, int]] = {"label": len(ITEMS)}

    @property
    def fields(self) -> tuple[str, ...]:
        return ("label",)

    def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        item = vectors[:, 0]
        labels = {"item": item, "group": tf.gather(tf.constant(GROUP_OF_ITEM, tf.int32), item)}
        return {name: labels[name] for name in self.tasks}
