"""A toy multi-task problem, small enough for tests and examples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from mtl_keras.layers import TaskSplit
from mtl_keras.model import MultiTaskModel
from mtl_keras.tasks import Task, TaskSet


def toy_tasks() -> TaskSet:
    """Returns four tasks that cover the ways of training: a class, two fused attributes and an image."""
    return TaskSet(
        [
            Task.classification("kind", ("left", "right", "both")),
            Task.binary("bright"),
            Task.binary("round"),
            Task.reconstruction("copy", (8, 8, 1)),
        ]
    )


def toy_graph() -> tuple[Any, dict[str, Any]]:
    """Returns inputs and outputs of a network for `toy_tasks`: images `(batch, 8, 8, 1)`; each head has state.

    The head of `kind` has dropout, that of `copy` a BatchNorm layer and a regularizer; `bright` and `round` are fused.
    """
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="trunk_conv")(inputs)
    features = keras.layers.BatchNormalization(name="trunk_norm")(features)
    features = keras.layers.Flatten()(features)
    features = keras.layers.Dense(12, activation="relu", name="trunk_dense")(features)
    kind = keras.layers.Dropout(0.3, seed=1, name="kind_dropout")(features)
    attributes = keras.layers.Dense(2, activation="sigmoid", name="attributes")(features)
    bright, roundness = TaskSplit(2, name="split")(attributes)
    picture = keras.layers.Dense(64, use_bias=False, kernel_regularizer="l2", name="copy_dense")(features)
    picture = keras.layers.BatchNormalization(name="copy_norm")(picture)
    outputs = {
        "kind": keras.layers.Dense(3, activation="softmax", name="kind")(kind),
        "bright": bright,
        "round": roundness,
        "copy": keras.layers.Reshape((8, 8, 1), name="copy")(picture),
    }
    return inputs, outputs


def toy_model(optimizer: Any = "adam", *, seed: int = 0, **compile_args: Any) -> MultiTaskModel:
    """Returns a compiled `MultiTaskModel` for `toy_tasks`; `compile_args` override those of the tasks."""
    keras.utils.set_random_seed(seed)
    model = MultiTaskModel(*toy_graph())
    model.compile(optimizer, **{**toy_tasks().compile_args(), **compile_args})
    return model


def toy_data(samples: int = 64, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns images `(samples, 8, 8, 1)` and learnable labels by task."""
    rng = np.random.default_rng(seed)
    images = rng.random((samples, 8, 8, 1), "float32")
    halves = images[:, :, :4].mean((1, 2, 3)) - images[:, :, 4:].mean((1, 2, 3))
    return images, {
        "kind": np.digitize(halves, [-0.03, 0.03]).astype("int32"),
        "bright": (images.mean((1, 2, 3)) > 0.5).astype("float32"),
        "round": (images[:, 2:6, 2:6].mean((1, 2, 3)) > 0.5).astype("float32"),
        "copy": images,
    }
