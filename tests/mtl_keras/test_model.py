"""The arguments and the logs of `MultiTaskModel`; that it trains like `keras.Model` is tested in `tests/drop_in/`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, metrics

from mtl_keras import MultiTaskModel

X = np.linspace(-1, 1, 32, dtype="float32").reshape(16, 2)
Y = {"item": (X[:, 0] > 0).astype("int32"), "group": X.sum(1), "size": X[:, 1]}


def model_of(**arguments: Any) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    x = layers.Dense(4, activation="relu")(inputs)
    item = layers.Dense(2, activation="softmax", name="item")(x)
    outputs = {"item": item, "group": layers.Dense(1, name="group")(x), "size": layers.Dense(1, name="size")(x)}
    model = MultiTaskModel(inputs, outputs)
    defaults = {
        "optimizer": keras.optimizers.SGD(0.1),
        "loss": {"item": "sparse_categorical_crossentropy", "group": "mse", "size": "mae"},
        "metrics": {"item": ["accuracy", "sparse_top_k_categorical_accuracy"], "group": [metrics.MeanAbsoluteError()]},
        "run_eagerly": True,
    }
    model.compile(**{**defaults, **arguments})
    return model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"itm": "mse"}}, "Unknown task in `loss`. Did you mean 'item'.*Choices: group, item, size"),
        ({"metrics": {"grup": ["mae"]}}, "Unknown task in `metrics`. Did you mean 'group'"),
        ({"weighted_metrics": {"grup": ["mae"]}}, "Unknown task in `weighted_metrics`. Did you mean 'group'"),
        ({"loss_weights": {"sise": 1.0}}, "Unknown task in `loss_weights`. Did you mean 'size'"),
        ({"class_weight": {"itm": {0: 1.0}}}, "Unknown task in `class_weight`. Did you mean 'item'"),
        ({"loss": ["mse", "mse"]}, "`loss` must be a dict.*each of the 3 outputs: group, item, size. Received: "),
        ({"loss_weights": [1.0, 1.0]}, "`loss_weights` must be a dict from task to value, or a list with one entry"),
        ({"loss_weights": 2.0}, "`loss_weights` must be a dict from task to weight, or a list. Received: 2.0"),
        ({"metrics": [["mae"], ["mae"]]}, "`metrics` must be a dict from task to metrics, or one list. Received: "),
        ({"metrics": "mae"}, "`metrics` must be a dict from task to metrics, or a list. Received: 'mae'"),
        ({"missing_labels": {"item": 1}}, "`missing_labels` of task 'item' must be True or False. Received: 1"),
        ({"metrics": {"item": [metrics.MeanAbsoluteError(name="loss")]}}, "Received twice: item_loss"),
        ({"class_weight": {"item": {2: 1.0}}}, "`class_weight` of task 'item' must name classes 0 to 1. Received: 2"),
        ({"class_weight": {"item": {0: -1.0}}}, "must be a finite number >= 0. Received: -1.0"),
        ({"weighting": "dwaa"}, r"Unknown weighting. Did you mean 'dwa'\? Received: 'dwaa'"),
        ({"max_specializations": 0}, "`max_specializations` must be >= 1. Received: 0"),
    ],
)
def test_compile_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


@pytest.mark.parametrize(
    ("arguments", "y", "message"),
    [
        ({}, Y["item"], "Labels must be a dict with the keys item, group, size. Received: "),
        ({"loss": "mse", "metrics": None}, {**Y, "item": np.zeros((16, 3))}, r"'item'.*\(batch, 2\).*: \(batch, 3\)"),
        ({}, {**Y, "item": np.zeros((16, 2))}, r"of task 'item'.*shape \(batch, 2\).*labels of the shape \(batch\)"),
        ({"loss": None, "metrics": None}, Y, r"No loss to compute. Provide a `loss` argument in `compile\(\)`"),
    ],
)
def test_fit_errors(arguments: dict[str, Any], y: Any, message: str) -> None:
    model = model_of(**arguments)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, verbose=0)


def test_one_loss_and_one_list_of_metrics_for_all_tasks() -> None:
    both = [metrics.MeanAbsoluteError(name="mae"), metrics.RootMeanSquaredError(name="rmse")]
    inputs = keras.Input((2,))
    model = MultiTaskModel(inputs, {"b": layers.Dense(1)(inputs), "a": layers.Dense(1)(inputs)})
    # A list of two would be one entry for each of the two outputs, as in Keras.
    model.compile(loss="mse", metrics=[*both, metrics.MeanSquaredError(name="error")], run_eagerly=True)
    logs = model.evaluate(X, {"a": X[:, 0], "b": X[:, 1]}, verbose=0, return_dict=True)
    predicted = model.predict(X, verbose=0)
    for i, task in enumerate(("a", "b")):
        error = X[:, i] - predicted[task][:, 0]
        assert logs[f"{task}_mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
        assert logs[f"{task}_rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)


def test_lists_are_in_the_order_of_the_alphabet() -> None:
    lists = {"loss": ["mse", "sparse_categorical_crossentropy", "mae"], "loss_weights": [2.0, 3.0, 4.0]}
    model = model_of(**lists, metrics=[["mae"], ["accuracy"], []])
    assert model.task_weights == {"group": 2.0, "item": 3.0, "size": 4.0}
    logs, named = (each.test_on_batch(X, Y, return_dict=True) for each in (model, model_of()))
    assert {"group_mae", "item_accuracy"} < set(logs)
    for task in Y:
        assert logs[f"{task}_loss"] == pytest.approx(named[f"{task}_loss"], rel=1e-6)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_outputs_without_a_loss_are_predicted_but_not_trained() -> None:
    model = model_of(loss={"item": "sparse_categorical_crossentropy"}, metrics=None)
    assert model.task_names == ("item",)
    before = {task: model.get_layer(task).get_weights()[0] for task in Y}
    logs = model.train_on_batch(X, Y, return_dict=True)
    changed = {task: (model.get_layer(task).get_weights()[0] != kernel).any() for task, kernel in before.items()}
    assert changed == {"item": True, "group": False, "size": False}
    assert set(logs) == {"loss", "mtl_score", "item_loss", "item_weight", "item_active"}
    assert set(model.predict(X, verbose=0)) == {"item", "group", "size"}


def test_logs_of_an_epoch_in_which_active_tasks_change() -> None:
    model = model_of()

    class Weights(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.set_task_weights({"item": 1.0, "group": 2.0 * (batch < 1), "size": 0.0})

    history = model.fit(X, Y, 4, verbose=0, callbacks=[Weights()], validation_data=(X, Y)).history
    logs = {name: values[0] for name, values in history.items()}
    assert [logs[f"{task}_weight"] for task in Y] == [1.0, 0.5, 0.0]
    assert [logs[f"{task}_active"] for task in Y] == [1.0, 0.25, 0.0]
    assert np.isnan(logs["size_loss"])
    assert np.isfinite([logs["group_loss"], logs["val_size_loss"], logs["loss"], logs["mtl_score"]]).all()
    assert logs["val_loss"] == pytest.approx(logs["val_item_loss"], rel=1e-5)
    assert logs["mtl_score"] == pytest.approx((logs["item_accuracy"] - logs["group_mean_absolute_error"]) / 2, rel=1e-5)
    assert not {"val_item_weight", "val_item_active"} & set(logs)


def test_mtl_score_is_the_mean_of_the_primary_metrics_in_their_good_direction() -> None:
    model = model_of()
    assert model.primary_metrics == {"item": "accuracy", "group": "mean_absolute_error"}
    logs = model.evaluate(X, Y, verbose=0, return_dict=True)
    parts = [logs["item_accuracy"], -logs["group_mean_absolute_error"], -logs["size_loss"]]
    assert logs["mtl_score"] == pytest.approx(np.mean(parts), rel=1e-5)


def test_the_loss_of_an_evaluation_leaves_out_dropped_tasks() -> None:
    model = model_of()
    model.set_task_weights({"size": 0.0})
    logs = model.evaluate(X, {**Y, "size": np.full(16, np.inf)}, verbose=0, return_dict=True)
    assert np.isinf(logs["size_loss"])
    assert logs["loss"] == pytest.approx(logs["item_loss"] + logs["group_loss"], rel=1e-5)


def test_nonfinite_losses_name_the_task_and_the_step() -> None:
    model = model_of()
    group = Y["group"].copy()
    group[9] = np.inf
    model.fit(X, {**Y, "group": group}, 4, shuffle=False, verbose=0, epochs=2)
    assert model.nonfinite_losses["group"] == 2


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_compiling_again_resets_functions_and_task_weights() -> None:
    model = model_of()
    model.set_task_weights({"item": 0.0})
    model.train_on_batch(X, Y)
    model.compile(loss={"group": "mse"}, run_eagerly=True)
    assert model.specializations == []
    assert model.task_weights == {"group": 1.0}
    assert set(model.train_on_batch(X, Y, return_dict=True)) >= {"group_loss", "group_active"}


def test_losses_of_an_evaluation_are_means_over_samples_and_not_over_batches() -> None:
    model = model_of(metrics=None)
    expected = model.test_on_batch(X[:12], {task: labels[:12] for task, labels in Y.items()}, return_dict=True)
    logs = model.evaluate(X[:12], {task: labels[:12] for task, labels in Y.items()}, 8, verbose=0, return_dict=True)
    for name in ("loss", "item_loss", "group_loss", "size_loss"):
        assert logs[name] == pytest.approx(expected[name], rel=1e-5)
