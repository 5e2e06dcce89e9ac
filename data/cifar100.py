"""CIFAR-100: a hundred classes in 32x32 pixels, in twenty superclasses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import tensorflow as tf

from data.cifar import RECONSTRUCTION, Cifar
from data.cifar100_classes import CLASSES, DIVISIONS, SUPERCLASSES
from data.recipe import recipes
from mtl_keras.tasks import Task, TaskSet

BINARY = tuple(DIVISIONS)
"""The binary tasks that follow from the class."""
RANDOM = tuple(f"random{number}" for number in range(1, 11))
"""The binary tasks with random labels."""
_MEANINGS = {"living": ("not living", "living"), "big": ("small", "big")}


@recipes.register
class Cifar100(Cifar):
    """CIFAR-100.

    `class` is one of a hundred classes, `superclass` one of twenty groups of classes. Ten binary tasks follow from the
    class: `living`, `big`, `half`, `animal`, `vertebrate`, `moving`, `indoors`, `half2`, `half3` and `half4`, defined
    in `data.cifar100_classes`. `random1` to `random10` have fixed random labels (`data.cifar.random_bits`). The label
    of `reconstruction` is the image itself. The default tasks are `living`, `big` and `half`.
    """

    available = TaskSet(
        [
            Task.classification("class", CLASSES),
            Task.classification("superclass", tuple(SUPERCLASSES)),
            *(Task.binary(name, labels=_MEANINGS.get(name, ("no", "yes"))) for name in BINARY),
            *map(Task.binary, RANDOM),
            RECONSTRUCTION,
        ]
    )
    default_tasks = ("living", "big", "half")
    classes: ClassVar[Mapping[str, int]] = {"label": len(CLASSES), "coarse_label": len(SUPERCLASSES)}
    random_tasks = RANDOM
    members = DIVISIONS

    @property
    def fields(self) -> tuple[str, ...]:
        return (*super().fields, "coarse_label") if "superclass" in self.tasks else super().fields

    def _label(self, name: str, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return columns["coarse_label"] if name == "superclass" else super()._label(name, columns)
