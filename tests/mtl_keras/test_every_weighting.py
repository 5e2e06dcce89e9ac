"""Each weighting at work in a model whose active tasks change from step to step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mtl_keras import MultiTaskModel
from mtl_keras.weightings import WEIGHTINGS

TASKS = ("b", "c", "a")  # not in the order of the alphabet
STEPS = ("abc", "ac", "bc", "abc", "c", "ab")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 2)).astype("float32")
Y = {task: RNG.integers(0, 2, (8, 1)).astype("float32") for task in TASKS}


def new_model(name: str) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    trunk = layers.Dense(3, activation="tanh")(inputs)
    model = MultiTaskModel(inputs, {task: layers.Dense(1, activation="sigmoid")(trunk) for task in TASKS})
    # One function for all sets of tasks: each that is compiled takes a second or two.
    model.compile("adam", loss="binary_crossentropy", weighting=name, max_specializations=1)
    return model


def train(model: MultiTaskModel, steps: tuple[str, ...]) -> list[np.ndarray]:
    weights = []
    for running in steps:
        model.set_task_weights({task: 0.5 * (task in running) for task in TASKS})
        model.reset_metrics()
        logs = model.train_on_batch(X, Y, return_dict=True)
        weights.append(np.array([logs[f"{task}_weight"] for task in TASKS]))
    return weights


def all_state(model: MultiTaskModel) -> dict[str, Any]:
    store: dict[str, Any] = {}
    model.training_setup.save_own_variables(store)
    weights = {f"weight {place}": value for place, value in enumerate(model.get_weights())}
    return {**{name: np.array(value) for name, value in store.items()}, **weights}


@pytest.mark.parametrize("name", WEIGHTINGS.names)
def test_trains_through_dropping_and_a_restart_without_a_retrace(name: str, tmp_path: Path) -> None:
    model = new_model(name)
    weights = train(model, STEPS[:3])
    model.save(tmp_path / "model.keras")
    left = all_state(model)
    weights += train(model, STEPS[3:])
    assert all(np.isfinite(value).all() for value in all_state(model).values())
    # That training goes on from it as it would have is tested elsewhere: a step is a function of the state.
    found = all_state(keras.models.load_model(tmp_path / "model.keras"))
    assert set(found) == set(left)
    for key in left:
        np.testing.assert_array_equal(found[key], left[key], err_msg=key)
    assert [entry.traces for entry in model.specializations] == [1]
    for running, row in zip(STEPS, weights, strict=True):
        assert all(row[TASKS.index(task)] == 0 for task in TASKS if task not in running)
        assert np.isfinite(row).all()
