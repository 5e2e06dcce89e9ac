"""Hard sharing: one trunk, named outputs in the order of the tasks."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from models import hard_sharing
from mtl_keras.tasks import Task, TaskSet

SHAPE = (12, 12, 3)
TRUNK = "cnn(filters=4, dense=8)"


def _tasks() -> TaskSet:
    return TaskSet(
        [
            Task.binary("smile"),
            Task.classification("age", 3),
            Task.binary("hat"),
            Task.landmarks("eyes", ["left", "right"], pixels=12),
            Task.reconstruction("image", SHAPE),
            Task.binary("beard"),
        ]
    )


def _images(count: int = 4) -> np.ndarray:
    return np.random.default_rng(1).random((count, *SHAPE), "float32")


def test_outputs_follow_the_tasks_in_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    tasks = _tasks()
    inputs, outputs = hard_sharing(TRUNK, tasks, SHAPE)
    assert list(outputs) == list(tasks)
    model = keras.Model(inputs, outputs)
    assert model.get_layer("trunk_dense").compute_dtype == "bfloat16"
    values = model(_images())
    assert {name: tuple(value.shape) for name, value in values.items()} == {
        name: (4, *task.shape) for name, task in tasks.items()
    }
    assert {keras.backend.standardize_dtype(value.dtype) for value in values.values()} == {"float32"}


def test_binary_tasks_share_one_layer() -> None:
    model = keras.Model(*hard_sharing(TRUNK, _tasks(), SHAPE))
    assert model.get_layer("binary_tasks").units == 3
    private = [layer.name for layer in model.layers if layer.weights and not layer.name.startswith("trunk_")]
    assert sorted(private) == sorted(
        ["binary_tasks", "age", "eyes_hidden", "eyes", "image_dense", "image_up1", "image"]
    )


def test_fused_columns_keep_the_order_of_the_tasks() -> None:
    model = keras.Model(*hard_sharing(TRUNK, _tasks(), SHAPE))
    head = model.get_layer("binary_tasks")
    head.set_weights([np.zeros_like(head.get_weights()[0]), np.array([-20.0, 0.0, 20.0], "float32")])
    values = model(_images())
    means = [float(np.mean(np.asarray(values[name]))) for name in ("smile", "hat", "beard")]
    np.testing.assert_allclose(means, [0.0, 0.5, 1.0], atol=1e-6)


def test_stock_keras_trains_it() -> None:
    tasks = _tasks().subset(["age", "hat", "smile", "eyes"])
    model = keras.Model(*hard_sharing(TRUNK, tasks, SHAPE))
    model.compile("adam", **tasks.compile_args(), run_eagerly=True)
    generator = np.random.default_rng(0)
    labels = {
        "age": generator.integers(0, 3, 16),
        "hat": generator.integers(0, 2, (16, 1)),
        "smile": generator.integers(0, 2, (16, 1)),
        "eyes": generator.random((16, 4), "float32"),
    }
    losses = model.fit(_images(16), labels, batch_size=16, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_a_trunk_of_ones_own_is_shared_not_copied() -> None:
    images = keras.Input(SHAPE)
    mine = keras.Model(images, layers.Dense(5, name="mine")(layers.Flatten()(images)))
    model = keras.Model(*hard_sharing(mine, _tasks(), SHAPE))
    assert model.get_layer("mine") is mine.get_layer("mine")
