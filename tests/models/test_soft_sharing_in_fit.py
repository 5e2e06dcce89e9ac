"""Every network with soft sharing trains, drops tasks, is saved and is exported, on images and on vectors."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models import network
from mtl_keras import MultiTaskModel, Task, TaskSet
from mtl_keras.callbacks import TaskScheduler
from mtl_keras.export import export, load_export, parity
from mtl_keras.training import graph

NAMES = ("cgc", "cross_stitch", "dselect_k", "ltb", "mmoe", "mtan", "nddr", "ple", "sluice", "task_routing")
TASKS = TaskSet([Task.classification("item", 4), Task.binary("worn")])
IMAGES, VECTORS = "cnn(filters=2, dense=4)", "mlp(dense=8)"
INPUTS = {IMAGES: (32, 32, 1), VECTORS: (12,)}
REPRESENTATION = "pcgrad(representation=True)"
COMPILED = [("ltb", REPRESENTATION), ("mmoe", "cagrad")]
RNG = np.random.default_rng(0)
LABELS = {
    "item": np.array([0, 1, 2, 3, -1, 1, 0, 2]),  # -1: no label
    "worn": np.array([1, 0, 1, np.nan, 0, 1, 1, 0], "float32"),
}


def model_of(name: str, trunk: str) -> MultiTaskModel:
    return MultiTaskModel(*network(f"{name}({trunk})", TASKS, INPUTS[trunk]))


def data_of(trunk: str) -> np.ndarray:
    return RNG.random((8, *INPUTS[trunk]), "float32")


def trained(name: str, trunk: str, weighting: str, run_eagerly: bool = True) -> MultiTaskModel:
    """Returns a network whose training changed its weights, while the schedule dropped tasks."""
    model = model_of(name, trunk)
    model.compile("adam", **TASKS.compile_args(), weighting=weighting, run_eagerly=run_eagerly)
    before = [variable.numpy() for variable in model.trainable_variables]
    drops = TaskScheduler("dst", seed=1)
    history = model.fit(data_of(trunk), LABELS, batch_size=4, epochs=2, verbose=0, callbacks=[drops])
    assert np.isfinite(history.history["loss"]).all()
    moved = [(new.numpy() != old).any() for new, old in zip(model.trainable_variables, before)]
    assert np.mean(moved) > 0.7
    return model


@pytest.mark.parametrize("name", NAMES)
def test_vectors_compiled_saved_and_exported(name: str, tmp_path: Path) -> None:
    model, x = trained(name, VECTORS, "uncertainty", run_eagerly=False), data_of(VECTORS)
    predicted = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")(x)
    for task in TASKS:
        np.testing.assert_allclose(loaded[task], predicted[task], atol=1e-5)
    export(model, tmp_path / "saved_model")
    parity(model, tmp_path / "saved_model", x)


@pytest.mark.parametrize("name", NAMES)
def test_images_saved_and_exported_to_onnx(name: str, tmp_path: Path) -> None:
    model, x = trained(name, IMAGES, REPRESENTATION), data_of(IMAGES)
    predicted = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")(x)
    export(model, tmp_path / "model.onnx", "onnx")
    onnx = load_export(tmp_path / "model.onnx")(x)
    for task in TASKS:
        np.testing.assert_allclose(loaded[task], predicted[task], atol=1e-5)
        np.testing.assert_allclose(onnx[task], predicted[task], atol=1e-5)


@pytest.mark.parametrize("weighting", ["cagrad", REPRESENTATION])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_weighted(name: str, weighting: str) -> None:
    # Compiled for two networks; one of them draws its branches in training.
    trained(name, VECTORS, weighting, run_eagerly=(name, weighting) not in COMPILED)


@pytest.mark.parametrize("name", NAMES)
def test_a_dropped_task_keeps_what_only_it_uses(name: str) -> None:
    model, x = model_of(name, VECTORS), data_of(VECTORS)
    model.compile(keras.optimizers.AdamW(weight_decay=0.1), **TASKS.compile_args(), run_eagerly=True)
    model.fit(x, LABELS, batch_size=8, verbose=0)  # slots that are not 0
    owned = graph.ownership(model.outputs_by_task)
    private = [entry.variable for entry in owned if not entry.reached[:, 0].any()]
    others = [entry.variable for entry in owned if entry.reached[:, 0].any() and entry.variable.trainable]
    assert private
    before = [[variable.numpy() for variable in each] for each in (private, others)]
    model.set_task_weights({"worn": 0.0})
    model.fit(x, LABELS, batch_size=8, verbose=0)
    for variable, value in zip(private, before[0]):
        np.testing.assert_array_equal(variable.numpy(), value)
    moved = [(variable.numpy() != value).any() for variable, value in zip(others, before[1])]
    assert np.mean(moved) > 0.7


@pytest.mark.parametrize("name", NAMES)
def test_outputs_follow_the_tasks_and_are_float32(name: str) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    tasks = TaskSet([*TASKS.values(), Task.regression("price", 2)])
    for chosen in (tasks.subset(["price", "worn", "item"]), tasks.subset(["worn"])):
        _, outputs = network(f"{name}(mlp(dense=8))", chosen, (12,))
        assert {task: (tuple(output.shape[1:]), output.dtype) for task, output in outputs.items()} == {
            task: (chosen[task].shape, "float32") for task in chosen
        }
        assert list(outputs) == list(chosen)
