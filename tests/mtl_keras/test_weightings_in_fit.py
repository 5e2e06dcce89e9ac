"""Weightings in `MultiTaskModel.fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mtl_keras import MultiTaskModel, weightings

TASKS = ("b", "c", "a")  # not in the order of the alphabet
METHODS = ["dwa(temperature=0.1)", "gls", "uncertainty(learning_rate=0.05)"]
X = np.random.default_rng(0).normal(size=(32, 2)).astype("float32")
Y = {"a": X[:, 0], "b": X[:, 1] * 2 + 1, "c": X.sum(1) * 3}


def model_of(weighting: Any = "static", optimizer: Any = None, **arguments: Any) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    x = layers.Dense(3, activation="tanh", name="trunk")(inputs)
    model = MultiTaskModel(inputs, {task: layers.Dense(1, name=task)(x) for task in TASKS})
    arguments = {"optimizer": optimizer or keras.optimizers.SGD(0.05), "run_eagerly": True, **arguments}
    model.compile(loss="mse", metrics=["mae"], weighting=weighting, **arguments)
    return model


def fit(model: MultiTaskModel, epochs: int = 3, **arguments: Any) -> dict[str, list[float]]:
    arguments = {"batch_size": 32, "shuffle": False, "verbose": 0, **arguments}
    return model.fit(X, arguments.pop("y", Y), epochs=epochs, **arguments).history


def state_of(model: MultiTaskModel) -> dict[str, np.ndarray]:
    """The weighting's state as it is saved: its rows are those of tasks a, b, c."""
    store: dict[str, Any] = {}
    model.training_setup.save_own_variables(store)
    return {key: np.array(value) for key, value in store.items() if key.startswith("weighting_")}


def assert_same(found: MultiTaskModel, expected: MultiTaskModel, atol: float = 0.0) -> None:
    for one, other in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)
    states = state_of(found), state_of(expected)
    assert set(states[0]) == set(states[1])
    for name in states[0]:
        np.testing.assert_allclose(states[0][name], states[1][name], rtol=0, atol=atol)


@pytest.mark.parametrize("method", METHODS)
def test_a_step_is_that_of_the_logged_weights(method: str) -> None:
    model, plain = model_of(method), model_of()
    fit(model, epochs=3, batch_size=16)
    plain.set_weights(model.get_weights())
    logs = fit(model, epochs=1)
    weights = {task: logs[f"{task}_weight"][0] for task in TASKS}
    plain.set_task_weights(weights)
    expected = fit(plain, epochs=1)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=1e-5)
    assert len({round(weight, 3) for weight in weights.values()}) == 3
    assert model.task_weights == {"a": 1.0, "b": 1.0, "c": 1.0}


def test_uncertainty_follows_its_formula() -> None:
    weighting = weightings.Uncertainty(learning_rate=0.05)
    model = model_of(weighting)
    state = weighting.initial_state(3)
    for _ in range(4):
        logs = fit(model, epochs=1)
        losses = np.array([logs[f"{task}_loss"][0] for task in sorted(TASKS)], "float32")
        expected = 0.5 * np.exp(-np.array(state["log_variances"]))
        np.testing.assert_allclose([logs[f"{task}_weight"][0] for task in sorted(TASKS)], expected, rtol=1e-4)
        state = weighting.step(state, losses=losses).state
    np.testing.assert_allclose(state_of(model)["weighting_log_variances"], state["log_variances"], rtol=1e-3, atol=1e-5)


def test_dwa_remembers_training_losses() -> None:
    model = model_of("dwa")
    logs = fit(model, batch_size=16, validation_data=(X[:8], {task: 5 + y[:8] for task, y in Y.items()}))
    model.evaluate(X, {task: -y for task, y in Y.items()}, verbose=0)
    for name, epoch in (("last", 2), ("last_but_one", 1)):
        expected = [logs[f"{task}_loss"][epoch] for task in sorted(TASKS)]
        np.testing.assert_allclose(state_of(model)[f"weighting_{name}"], expected, rtol=1e-6)
    assert logs["a_weight"][:2] == pytest.approx([1, 1])
    rates = {task: logs[f"{task}_loss"][1] / logs[f"{task}_loss"][0] for task in TASKS}
    total = sum(np.exp(rate / 2) for rate in rates.values())
    assert logs["a_weight"][2] == pytest.approx(3 * np.exp(rates["a"] / 2) / total, rel=1e-5)


def test_several_steps_per_execution_are_those_of_eager_mode() -> None:
    eager, compiled = model_of(METHODS[2]), model_of(METHODS[2], steps_per_execution=4, run_eagerly=False)
    logs, others = (fit(model, epochs=1, batch_size=4) for model in (eager, compiled))
    assert_same(eager, compiled, atol=1e-5)
    for name, values in logs.items():
        assert others[name] == pytest.approx(values, abs=1e-4), name
    assert [entry.traces for entry in compiled.specializations] == [1]


def test_resumed_training_is_the_same(tmp_path: Path) -> None:
    def adam() -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(0.01, clipnorm=1.0)

    through, stopped = model_of(METHODS[0], adam()), model_of(METHODS[0], adam())
    fit(through, epochs=4)

    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                self.model.save(tmp_path / "model.keras")

    # Without validation: the weighting must have seen the epoch's losses when the callback saves.
    fit(stopped, epochs=3, callbacks=[Save()])
    resumed = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    assert resumed.weighting == weightings.get(METHODS[0])
    assert_same(resumed, stopped)
    fit(resumed, epochs=4, initial_epoch=3)
    assert_same(resumed, through)


@pytest.mark.parametrize(("method", "most"), [(METHODS[0], 8), (METHODS[2], 1)])
def test_the_head_and_the_state_of_a_dropped_task_do_not_change(method: str, most: int) -> None:
    model = model_of(method, "adam", max_specializations=most)
    fit(model, epochs=1)
    model.set_task_weights({"c": 0.0})
    head, state = model.get_layer("c").get_weights(), state_of(model)
    logs = fit(model, epochs=1)
    assert logs["c_weight"] == logs["c_active"] == [0]
    assert np.isnan(logs["c_loss"]).all()
    assert min(logs["a_weight"] + logs["b_weight"]) > 0
    for before, after in zip(head, model.get_layer("c").get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)
    for name, after in state_of(model).items():
        np.testing.assert_array_equal(after[2], state[name][2])
        assert (after[:2] != state[name][:2]).all()


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_task_without_labels_has_no_share(method: str) -> None:
    model, expected = model_of(method), model_of(method)
    logs = fit(model, y={**Y, "b": np.full(32, np.nan, "float32")}, epochs=2)
    expected.set_task_weights({"b": 0.0})
    fit(expected, epochs=2)
    assert_same(model, expected, atol=1e-6)
    assert logs["b_loss"] == logs["b_weight"] == [0, 0]
    assert logs["b_active"] == [1, 1]


def test_a_step_that_overflows_does_not_change_the_state() -> None:
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-4), initial_scale=3e38)
    model = model_of("uncertainty", optimizer)
    large = {task: 100 * y for task, y in Y.items()}
    before = model.get_weights()
    fit(model, epochs=1, y=large)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any(entry.any() for entry in state_of(model).values())
    fit(model, epochs=14, y=large)
    assert (state_of(model)["weighting_steps"] > 0).all()
    assert (state_of(model)["weighting_steps"] == int(optimizer.iterations)).all()


def test_static_weights_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("static weights are not asked for")

    monkeypatch.setattr(weightings.Static, "update", refuse)
    model = model_of("static", loss_weights={"b": 0.5})
    assert fit(model, epochs=1)["b_weight"] == [0.5]
    assert state_of(model) == {}
    assert model.weighting == weightings.Static() == model_of().weighting


def test_state_is_not_part_of_the_network(tmp_path: Path) -> None:
    model, plain = model_of("uncertainty"), model_of()
    fit(model, epochs=1)
    assert [v.path for v in model.variables] == [v.path for v in plain.variables]
    assert [v.shape for v in model.weights] == [v.shape for v in plain.weights]
    model.export(tmp_path / "export", verbose=False)
    exported = tf.saved_model.load(str(tmp_path / "export")).variables
    assert not [variable.name for variable in exported if "weighting" in variable.name]


def test_weights_go_between_models_with_and_without_a_weighting(tmp_path: Path) -> None:
    trained, plain, other = model_of("uncertainty"), model_of(), model_of("dwa")
    fit(trained)
    trained.save_weights(tmp_path / "trained.weights.h5")
    plain.load_weights(tmp_path / "trained.weights.h5")
    plain.save_weights(tmp_path / "plain.weights.h5")
    state = state_of(trained)
    trained.load_weights(tmp_path / "plain.weights.h5")
    other.load_weights(tmp_path / "trained.weights.h5")
    for model in (trained, other):
        for one, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(one, expected)
    np.testing.assert_equal(state_of(trained), state)
    assert not any(entry.any() for entry in state_of(other).values())


def test_state_goes_by_the_name_of_the_task(tmp_path: Path) -> None:
    model = model_of("dwa")
    fit(model)
    model.save_weights(tmp_path / "model.weights.h5")
    inputs = keras.Input((2,))
    x = layers.Dense(3, activation="tanh", name="trunk")(inputs)
    other = MultiTaskModel(inputs, {task: layers.Dense(1, name=task)(x) for task in sorted(TASKS)})
    other.compile(loss="mse", weighting="dwa")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_equal(state_of(other), state_of(model))
    assert len(set(state_of(model)["weighting_last"])) == 3
