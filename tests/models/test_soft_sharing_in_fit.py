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
INPUTS = {"cnn(filters=2, dense=4)": (32, 32, 1), "mlp(dense=8)": (12,)}
WEIGHTINGS = ("cagrad", "pcgrad(representation=True)", "uncertainty")
RNG = np.random.default_rng(0)
LABELS = {
    "item": np.array([0, 1, 2, 3, -1, 1, 0, 2]),  # -1: no label
    "worn": np.array([1, 0, 1, np.nan, 0, 1, 1, 0], "float32"),
}


def model_of(name: str, trunk: str) -> MultiTaskModel:
    return MultiTaskModel(*network(f"{name}({trunk})", TASKS, INPUTS[trunk]))


def data_of(trunk: str) -> np.ndarray:
    return RNG.random((8, *INPUTS[trunk]), "float32")


@pytest.mark.parametrize("trunk", INPUTS)
@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_predicts_the_same_after_saving_and_exporting(name: str, trunk: str, tmp_path: Path) -> None:
    x = data_of(trunk)
    for weighting in WEIGHTINGS:
        model = model_of(name, trunk)
        model.compile("adam", **TASKS.compile_args(), weighting=weighting)
        before = [variable.numpy() for variable in model.trainable_variables]
        history = model.fit(x, LABELS, batch_size=4, epochs=2, verbose=0, callbacks=[TaskScheduler("dst", seed=1)])
        assert np.isfinite(history.history["loss"]).all(), weighting
        moved = [(new.numpy() != old).any() for new, old in zip(model.trainable_variables, before)]
        assert np.mean(moved) > 0.7, weighting
    predicted = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    export(model, tmp_path / "saved_model")
    export(model, tmp_path / "model.onnx", "onnx")
    parity(model, tmp_path / "saved_model", x)
    onnx = load_export(tmp_path / "model.onnx")
    for task in TASKS:
        np.testing.assert_allclose(loaded.predict(x, verbose=0)[task], predicted[task], atol=1e-5)
        np.testing.assert_allclose(onnx(x)[task], predicted[task], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_dropped_task_keeps_what_only_it_uses(name: str) -> None:
    trunk = "mlp(dense=8)"
    model = model_of(name, trunk)
    model.compile(keras.optimizers.AdamW(weight_decay=0.1), **TASKS.compile_args(), run_eagerly=True)
    model.fit(data_of(trunk), LABELS, batch_size=4, verbose=0)  # slots that are not 0
    owned = graph.ownership(model.outputs_by_task)
    private = [entry.variable for entry in owned if not entry.reached[:, 0].any()]
    others = [entry.variable for entry in owned if entry.reached[:, 0].any() and entry.variable.trainable]
    assert private
    before = [[variable.numpy() for variable in each] for each in (private, others)]
    model.set_task_weights({"worn": 0.0})
    model.fit(data_of(trunk), LABELS, batch_size=4, verbose=0)
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
