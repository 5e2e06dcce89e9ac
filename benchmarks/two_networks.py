"""The two networks whose training steps are measured: Fashion-MNIST's default one, and three tasks with a decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

import data
from benchmarks import dropping, noise
from models import hard_sharing
from mtl_keras.tasks import TaskSet

BATCH = 128


@dataclass(frozen=True)
class Network:
    """What is trained.

    Args:
        title: its name in tables.
        torch: its name in `benchmarks/networks_torch.py`.
        tasks: its tasks.
        shape: (height, width, channels) of its images.
        graph: makes its layers.
    """

    title: str
    torch: str
    tasks: TaskSet
    shape: tuple[int, int, int]
    graph: Callable[[], tuple[Any, dict[str, Any]]]

    def batches(self) -> tf.data.Dataset:
        """Returns one batch of noise, over and over."""
        return noise.batches(self.tasks, BATCH, self.shape)

    def compiled(self, kind: type[keras.Model], **arguments: Any) -> Any:
        """Returns a new model of a class, with Adam and the losses and metrics of its tasks.

        Args:
            kind: `keras.Model` or `MultiTaskModel`.
            **arguments: more of `compile`.
        """
        keras.utils.set_random_seed(0)
        model = kind(*self.graph())
        model.compile("adam", **self.tasks.compile_args(), **arguments)
        return model


_FASHION_MNIST = data.recipes["fashion_mnist"]().tasks

NETWORKS = (
    Network(
        "Fashion-MNIST, two tasks",
        "fashion_mnist",
        _FASHION_MNIST,
        (28, 28, 1),
        lambda: hard_sharing("cnn", _FASHION_MNIST, (28, 28, 1)),
    ),
    Network(
        "CIFAR-10, three tasks with a decoder",
        "decoder",
        dropping.TASKS,
        (32, 32, 3),
        lambda: dropping.graph(dropping.TASKS),
    ),
)
