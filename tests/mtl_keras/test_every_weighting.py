"""Every weighting in a model whose active tasks change from step to step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mtl_keras import MultiTaskModel
from mtl_keras.weightings import WEIGHTINGS

TASKS = ("b", "c", "a")  # not in alphabetical order
STEPS = ("ac", "abc")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 2)).astype("float32")
Y = {task: RNG.integers(0, 2, (8, 1)).astype("float32") for task in TASKS}
# One for each set of what weightings need; for the others, compiled steps differ only in what `driver.py` traces.
COMPILED = {
    "famo": {"losses_after"},
    "graddrop": {"jacobian"},
    "mgda": {"gramian"},
    "modo": {"gramian", "two_halves"},
    "uncertainty": set(),
}


def new_model(name: str, **arguments: Any) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    trunk = layers.Dense(3, activation="tanh")(inputs)
    model = MultiTaskModel(inputs, {task: layers.Dense(1, activation="sigmoid")(trunk) for task in TASKS})
    model.compile("adam", loss="binary_crossentropy", weighting=name, **arguments)
    return model


def train(model: MultiTaskModel) -> None:
    """Trains for `STEPS`, in which other tasks are active each time."""
    for active in STEPS:
        model.set_task_weights({task: 0.5 * (task in active) for task in TASKS})
        model.reset_metrics()
        logs = model.train_on_batch(X, Y, return_dict=True)
        weights = np.array([logs[f"{task}_weight"] for task in TASKS])
        assert np.isfinite(weights).all()
        assert not weights[[task not in active for task in TASKS]].any()


def all_state(model: MultiTaskModel) -> dict[str, Any]:
    store: dict[str, Any] = {}
    model.training_setup.save_own_variables(store)
    weights = {f"weight {place}": value for place, value in enumerate(model.get_weights())}
    return {**{name: np.array(value) for name, value in store.items()}, **weights}


@pytest.mark.parametrize("name", sorted({*WEIGHTINGS.names} - {*COMPILED}))
def test_trains_while_tasks_are_dropped(name: str) -> None:
    model = new_model(name, run_eagerly=True)
    train(model)
    assert all(np.isfinite(value).all() for value in all_state(model).values())


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_steps_are_those_of_eager_mode_traced_once_and_saved(name: str, tmp_path: Path) -> None:
    assert WEIGHTINGS.get(name).needs == COMPILED[name]
    compiled, eager = new_model(name, max_specializations=1), new_model(name, run_eagerly=True)
    train(compiled)
    train(eager)
    assert [entry.traces for entry in compiled.specializations] == [1]
    found, expected = all_state(compiled), all_state(eager)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, atol=1e-5, err_msg=key)
    eager.save(tmp_path / "model.keras")
    loaded = all_state(keras.models.load_model(tmp_path / "model.keras"))
    assert set(loaded) == set(expected)
    for key in expected:
        np.testing.assert_array_equal(loaded[key], expected[key], err_msg=key)


def test_all_that_weightings_need_is_compiled() -> None:
    needs = {WEIGHTINGS.get(name).needs for name in WEIGHTINGS.names}
    assert needs == {frozenset(entry) for entry in COMPILED.values()}
