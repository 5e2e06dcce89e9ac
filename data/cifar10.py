"""CIFAR-10: ten classes of animals and vehicles in 32x32 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from data.cifar import RECONSTRUCTION, Cifar
from data.recipe import recipes
from mtl_keras.tasks import Task, TaskSet

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")


@recipes.register
class Cifar10(Cifar):
    """CIFAR-10.

    `class` is one of ten classes; `animal` is whether the class is an animal; the label of `reconstruction` is the
    image itself. `random` has fixed random labels (see `data.cifar.random_bits`) and is trained only if it is named.
    """

    available = TaskSet(
        [
            Task.classification("class", CLASSES),
            Task.binary("animal", labels=("vehicle", "animal")),
            RECONSTRUCTION,
            Task.binary("random"),
        ]
    )
    default_tasks = ("class", "animal", "reconstruction")
    classes: ClassVar[Mapping[str, int]] = {"label": len(CLASSES)}
    random_tasks = ("random",)
    members: ClassVar[Mapping[str, frozenset[int]]] = {"animal": frozenset(map(CLASSES.index, ANIMALS))}
