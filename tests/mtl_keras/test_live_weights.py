"""Task weights are live: the next training step uses them, without a new trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mtl_keras import MultiTaskModel

TASKS = ("a", "b", "c")
TRACED: list[str] = []
X = np.linspace(-1, 1, 64, dtype="float32").reshape(32, 2)
Y = {"a": X[:, 0], "b": X[:, 1] * 2, "c": X.sum(1)}


@keras.saving.register_keras_serializable("tests")
def squared(y_true: Any, y_pred: Any) -> Any:
    """Is called once a trace."""
    TRACED.append("squared")
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


def model_of(**arguments: Any) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    x = layers.Dense(3, activation="relu", name="trunk")(inputs)
    model = MultiTaskModel(inputs, {task: layers.Dense(1, name=task)(x) for task in TASKS})
    # Without movement the losses stay as they are, so that the weighted loss shows the weights alone.
    model.compile(keras.optimizers.SGD(0.0), loss={"a": squared, "b": "mse", "c": "mse"}, **arguments)
    return model


class Assign(keras.callbacks.Callback):
    """Sets the weights of `a` and `b` before each execution and notes what the execution logged."""

    def __init__(self, weights: list[dict[str, float]]) -> None:
        super().__init__()
        self.weights = weights
        self.seen: list[dict[str, float]] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.reset_metrics()
        self.model.set_task_weights(self.weights[len(self.seen)])

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen.append(dict(logs))


WEIGHTS = [{"a": 1.0, "b": 1.0}, {"a": 0.25, "b": 3.0}, {"a": 7.0}, {"a": 1.5, "b": 0.5}]


def weighted(logs: dict[str, float]) -> float:
    return sum(logs[f"{task}_weight"] * logs[f"{task}_loss"] for task in TASKS)


@pytest.mark.parametrize(
    ("arguments", "reload"),
    [({"run_eagerly": True}, False), ({"steps_per_execution": 8}, True)],
    ids=["eager", "8 steps per execution, reloaded"],
)
def test_a_callback_changes_the_next_step_without_a_retrace(
    arguments: dict[str, Any], reload: bool, tmp_path: Path
) -> None:
    model = model_of(**arguments)
    if reload:
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
    callback = Assign(WEIGHTS)
    TRACED.clear()
    size = 8 // model.steps_per_execution
    model.fit(X, Y, batch_size=size, epochs=1, shuffle=False, verbose=0, callbacks=[callback])
    assert len(callback.seen) == 4
    changed: dict[str, float] = {}
    for weights, logs in zip(WEIGHTS, callback.seen, strict=True):
        changed |= weights
        assert {task: logs[f"{task}_weight"] for task in changed} == pytest.approx(changed)
        assert logs["loss"] == pytest.approx(weighted(logs), rel=1e-5)
    assert len({round(logs["loss"], 4) for logs in callback.seen}) == 4
    assert [entry.tasks for entry in model.specializations] == [TASKS]
    assert model.specializations[0].traces == len(TRACED) == (4 if model.run_eagerly else 1)
    assert (model.specializations[0].seconds > 0) is not model.run_eagerly


def test_step_rows_of_different_active_sets_in_one_execution() -> None:
    one, three = model_of(run_eagerly=True), model_of(steps_per_execution=3)
    for model in (one, three):
        model.optimizer.learning_rate = 0.1
    rows = np.array([[1, 1, 0], [0, 0, 2], [1, 1, 0], [1, 1, 1], [1, 1, 1], [2, 1, 1], [1, 3, 1], [1, 1, 0.5]])
    rows = np.append(rows, [[0, 1, 1]], axis=0)  # the data ends before the last row

    class Rows(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.set_step_weights(rows[batch : batch + self.model.steps_per_execution])

    logs = []
    for model in (one, three):
        logs.append(model.fit(X, Y, 4, shuffle=False, verbose=0, callbacks=[Rows()]).history)
    for expected, found in zip(one.get_weights(), three.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for name, values in logs[0].items():
        assert logs[1][name] == pytest.approx(values, abs=1e-5), name
    assert logs[1]["c_active"] == [6 / 8]
    assert logs[1]["c_weight"] == pytest.approx([rows[:8, 2].mean()])


def test_task_weights_are_saved_but_are_no_variables_of_the_model() -> None:
    model, store = model_of(loss_weights={"b": 0.5}), {}
    assert "task_weights" not in [variable.name for variable in model.variables]
    model.training_setup.save_own_variables(store)
    assert {name: value.tolist() for name, value in store.items()} == {"task_weights": [1.0, 0.5, 1.0]}
    model.set_task_weights({"c": 0.0})
    assert model.task_weights == {"a": 1.0, "b": 0.5, "c": 0.0}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"aa": 1.0}, r"Unknown task in `weights`\. Did you mean 'a'\? Received: 'aa'\. Choices: a, b, c"),
        ({"b": -1.0}, "`weights` of task 'b' must be a finite number >= 0. Received: -1.0"),
        ({"a": 0.0, "b": 0.0, "c": 0.0}, "At least one task must have a weight > 0"),
    ],
)
def test_impossible_task_weights(weights: dict[str, Any], message: str) -> None:
    model = model_of()
    with pytest.raises(ValueError, match=message):
        model.set_task_weights(weights)
    assert model.task_weights == {"a": 1.0, "b": 1.0, "c": 1.0}
    with pytest.raises(ValueError, match=message.replace("`weights`", "`loss_weights`")):
        model.compile(loss="mse", loss_weights=weights)


def test_impossible_step_weights() -> None:
    model = model_of(steps_per_execution=2)
    with pytest.raises(ValueError, match=r"`rows` must be finite weights >= 0 of shape \(2, 3\) \(steps, tasks\)"):
        model.set_step_weights([[1.0, 1.0, 1.0]])
