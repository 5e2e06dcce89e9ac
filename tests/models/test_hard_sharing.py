"""Hard sharing: one trunk, named outputs in the order of the tasks."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
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


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_outputs_follow_the_tasks(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    tasks = _tasks()
    inputs, outputs = hard_sharing(TRUNK, tasks, SHAPE)
    assert list(outputs) == list(tasks)
    values = keras.Model(inputs, outputs)(_images())
    assert {name: tuple(value.shape) for name, value in values.items()} == {
        name: (4, *task.shape) for name, task in tasks.items()
    }
    assert {keras.backend.standardize_dtype(value.dtype) for value in values.values()} == {"float32"}


def test_the_trunk_follows_the_dtype_policy() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = keras.Model(*hard_sharing(TRUNK, _tasks(), SHAPE))
    assert model.get_layer("trunk_dense").compute_dtype == "bfloat16"


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


def test_forty_attributes_are_two_layers() -> None:
    tasks = TaskSet(Task.binary(f"attribute_{i}") for i in range(40))
    inputs, outputs = hard_sharing("mlp(dense=4, depth=1)", tasks, SHAPE)
    model = keras.Model(inputs, outputs)
    assert [layer.name for layer in model.layers if not layer.name.startswith("trunk_")][1:] == [
        "binary_tasks",
        "binary_tasks_split",
    ]


def test_stock_keras_trains_it() -> None:
    tasks = _tasks().subset(["age", "hat", "smile", "eyes"])
    model = keras.Model(*hard_sharing(TRUNK, tasks, SHAPE))
    model.compile("adam", **tasks.compile_args())
    generator = np.random.default_rng(0)
    labels = {
        "age": generator.integers(0, 3, 16),
        "hat": generator.integers(0, 2, (16, 1)),
        "smile": generator.integers(0, 2, (16, 1)),
        "eyes": generator.random((16, 4), "float32"),
    }
    losses = model.fit(_images(16), labels, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_saved_and_loaded(tmp_path: Path) -> None:
    model = keras.Model(*hard_sharing(TRUNK, _tasks(), SHAPE))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    before, after = model(_images()), loaded(_images())
    for name in before:
        np.testing.assert_allclose(after[name], before[name], rtol=1e-6, atol=1e-7)


def test_a_trunk_of_ones_own_is_shared_not_copied() -> None:
    images = keras.Input(SHAPE)
    mine = keras.Model(images, layers.Dense(5, name="mine")(layers.Flatten()(images)))
    model = keras.Model(*hard_sharing(mine, _tasks(), SHAPE))
    assert model.get_layer("mine") is mine.get_layer("mine")


def test_one_binary_task_alone() -> None:
    inputs, outputs = hard_sharing(TRUNK, TaskSet([Task.binary("hat")]), SHAPE)
    model = keras.Model(inputs, outputs)
    assert model.layers[-1].name == "hat"
    assert model.output["hat"].shape == (None, 1)


def test_unknown_trunk() -> None:
    with pytest.raises(ValueError, match=r"Unknown trunk.*Choices: .*cnn"):
        hard_sharing("transformer", _tasks(), SHAPE)
