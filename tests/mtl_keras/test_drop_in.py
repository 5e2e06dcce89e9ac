"""`MultiTaskModel` in the place of `keras.Model`: the same weights, losses and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, losses, metrics, ops

from mtl_keras import MultiTaskModel, TaskSplit

SAMPLES, BATCH = 48, 8


def squared(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def absolute(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


class Doubled(losses.BinaryCrossentropy):
    """A subclass of a loss whose name says less than it does."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 2.0 * super().call(y_true, y_pred)


def many_heads() -> tuple[Any, dict[str, Any]]:
    """A trunk with dropout, BatchNorm and a regularizer, and a head for each way to describe a loss."""
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu", kernel_regularizer="l2")(inputs)
    x = layers.Dropout(0.3, seed=1)(layers.BatchNormalization()(x))
    bits = TaskSplit(3)(layers.Dense(3, activation="sigmoid")(x))
    outputs = {
        "soft": layers.Dense(3, activation="softmax")(x),
        "logits": layers.Dense(3)(x),
        "flag": layers.Dense(1, activation="sigmoid")(x),
        "flag_logit": layers.Dense(1)(x),
        "value": layers.Dense(1)(x),
        "vector": layers.Dense(4)(x),
        "one_hot": layers.Dense(3, activation="softmax")(x),
        "custom": layers.Dense(2)(x),
        "doubled": layers.Dense(1, activation="sigmoid")(x),
        "hinge": layers.Dense(1, activation="tanh")(x),
    }
    return inputs, {**outputs, "bit0": bits[0], "bit1": bits[1], "bit2": bits[2]}


def many_arguments() -> dict[str, Any]:
    return {
        "loss": {
            "soft": "sparse_categorical_crossentropy",
            "logits": losses.SparseCategoricalCrossentropy(from_logits=True),
            "flag": "binary_crossentropy",
            "flag_logit": losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
            "value": "mse",
            "vector": losses.Huber(),
            "one_hot": losses.CategoricalFocalCrossentropy(),
            "custom": squared,
            "doubled": Doubled(),
            "hinge": "hinge",
            "bit0": "binary_crossentropy",
            "bit1": "binary_crossentropy",
            "bit2": "crossentropy",
        },
        "loss_weights": {**dict.fromkeys(many_heads()[1], 1.0), "soft": 2.0, "vector": 0.5},
        "metrics": {
            "soft": ["accuracy"],
            "logits": ["acc", metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
            "flag": ["accuracy", metrics.AUC(name="auc")],
            "flag_logit": [metrics.BinaryAccuracy(threshold=0.0)],
            "value": ["mae", metrics.RootMeanSquaredError()],
            "vector": "mae",
            "one_hot": ["accuracy", metrics.F1Score(average="macro", name="f1")],
            "custom": [absolute],
            "bit0": ["accuracy"],
            "bit1": ["accuracy"],
            "bit2": ["accuracy"],
        },
        "weighted_metrics": {
            "soft": ["sparse_categorical_crossentropy", "accuracy"],
            "flag": ["mae", metrics.AUC(name="auc")],
            "bit0": ["accuracy"],
            "bit1": ["accuracy"],
        },
    }


def many_labels(rng: np.random.Generator, n: int = SAMPLES) -> dict[str, np.ndarray]:
    return {
        "soft": rng.integers(0, 3, n),
        "logits": rng.integers(0, 3, (n, 1)).astype("uint8"),
        "flag": rng.integers(0, 2, n).astype("float32"),
        "flag_logit": rng.integers(0, 2, (n, 1)),
        "value": rng.normal(size=n).astype("float32"),
        "vector": rng.normal(size=(n, 4)),
        "one_hot": np.eye(3, dtype="float32")[rng.integers(0, 3, n)],
        "custom": rng.integers(0, 4, (n, 2)),
        "doubled": rng.integers(0, 2, (n, 1)) > 0,
        "hinge": rng.choice([-1, 1], (n, 1)),
        "bit0": rng.integers(0, 2, n),
        "bit1": rng.integers(0, 2, n),
        "bit2": rng.integers(0, 2, n).astype("float32"),
    }


def two_inputs() -> tuple[Any, dict[str, Any]]:
    """Three heads, two of them fused, on two inputs."""
    inputs = {"left": keras.Input((4,), name="left"), "right": keras.Input((3,), name="right")}
    left = layers.Dense(6, activation="relu", kernel_regularizer="l2")(inputs["left"])
    both = layers.Concatenate()([left, inputs["right"]])
    x = layers.Dropout(0.2, seed=2)(layers.BatchNormalization()(layers.Dense(6, activation="relu")(both)))
    bit0, bit1 = TaskSplit(2)(layers.Dense(2, activation="sigmoid")(x))
    return inputs, {"kind": layers.Dense(3, activation="softmax")(left), "bit1": bit1, "bit0": bit0}


def two_inputs_data(n: int = SAMPLES) -> tuple[Any, dict[str, np.ndarray]]:
    rng = np.random.default_rng(7)
    x = {"left": rng.normal(size=(n, 4)).astype("float32"), "right": rng.normal(size=(n, 3)).astype("float32")}
    return x, {"kind": rng.integers(0, 3, n), "bit1": rng.integers(0, 2, n), "bit0": rng.integers(0, 2, n)}


SMOOTH = losses.BinaryCrossentropy(label_smoothing=0.1)
TWO_INPUTS: dict[str, Any] = {
    "loss": {"kind": "sparse_categorical_crossentropy", "bit1": SMOOTH, "bit0": SMOOTH},
    "metrics": {"kind": ["accuracy"], "bit1": ["accuracy"], "bit0": ["accuracy"]},
}


def twins(
    graph: Callable[[], Any], arguments: Callable[[], dict[str, Any]], **more: Any
) -> tuple[keras.Model, MultiTaskModel]:
    """A stock model and a multi-task model that begin alike."""
    pair = []
    for kind in (keras.Model, MultiTaskModel):
        keras.utils.set_random_seed(0)
        model = kind(*graph())
        model.compile(keras.optimizers.Adam(0.01), **arguments(), **more)
        pair.append(model)
    return pair[0], pair[1]


def assert_same_logs(stock: dict[str, Any], ours: dict[str, Any]) -> None:
    for name, value in stock.items():
        assert ours[name] == pytest.approx(value, rel=1e-5, abs=1e-5), name


def assert_same_weights(stock: keras.Model, ours: keras.Model, atol: float = 1e-6) -> None:
    for expected, found in zip(stock.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_every_kind_of_loss_and_metric() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(SAMPLES, 6)).astype("float32"), many_labels(rng)
    weights = {task: rng.random(SAMPLES) for task in y}
    stock, ours = twins(many_heads, many_arguments, run_eagerly=True)
    logs = []
    for model in (stock, ours):
        keras.utils.set_random_seed(3)
        logs.append(model.fit(x, y, batch_size=16, verbose=0, sample_weight=weights).history)
    assert_same_weights(stock, ours)
    assert_same_logs(*logs)
    assert set(logs[1]) - set(logs[0]) == {
        "mtl_score",
        *(f"{task}_{part}" for task in y for part in ("weight", "active")),
    }


def batches() -> tf.data.Dataset:
    weights = np.linspace(0, 2, SAMPLES, dtype="float32")
    return tf.data.Dataset.from_tensor_slices((*two_inputs_data(), weights)).batch(BATCH)


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return SAMPLES // BATCH

    def __getitem__(self, index: int) -> Any:
        x, y = two_inputs_data()
        part = slice(index * BATCH, (index + 1) * BATCH)
        return {k: v[part] for k, v in x.items()}, {k: v[part] for k, v in y.items()}


@pytest.mark.parametrize(
    ("data", "compile_arguments"),
    [(batches, {"steps_per_execution": 4}), (lambda: Batches(), {"run_eagerly": True})],
    ids=["tf_data_with_weights_4_steps", "py_dataset_eagerly"],
)
def test_ways_to_pass_data_and_to_compile(data: Callable[[], Any], compile_arguments: dict[str, Any]) -> None:
    stock, ours = twins(two_inputs, lambda: {**TWO_INPUTS, **compile_arguments})
    logs = []
    for model in (stock, ours):
        keras.utils.set_random_seed(3)
        logs.append(model.fit(data(), verbose=0, shuffle=False, validation_data=data()).history)
    assert_same_weights(stock, ours)
    assert_same_logs(*logs)
    assert ours.optimizer.iterations == 6
    assert [entry.traces for entry in ours.specializations] == [6 if ours.run_eagerly else 1]


def test_on_batch_evaluate_and_predict() -> None:
    x, y = two_inputs_data(32)
    stock, ours = twins(two_inputs, lambda: TWO_INPUTS, run_eagerly=True)
    assert_same_logs(*(model.test_on_batch(x, y, return_dict=True) for model in (stock, ours)))
    assert_same_logs(*(model.train_on_batch(x, y, return_dict=True) for model in (stock, ours)))
    assert_same_logs(*(model.evaluate(x, y, 8, verbose=0, return_dict=True) for model in (stock, ours)))
    assert_same_weights(stock, ours)
    assert ours.evaluate(x, y, 8, verbose=0) == pytest.approx(stock.evaluate(x, y, 8, verbose=0), abs=1e-5)
    for task, expected in stock.predict(x, verbose=0).items():
        np.testing.assert_allclose(ours.predict(x, verbose=0)[task], expected, atol=1e-6)


def test_losses_of_a_part_batch_are_means_over_samples() -> None:
    x, y = two_inputs_data(12)
    stock, ours = twins(two_inputs, lambda: TWO_INPUTS, run_eagerly=True)
    expected = stock.test_on_batch(x, y, return_dict=True)
    assert_same_logs(expected, ours.evaluate(x, y, 8, verbose=0, return_dict=True))


def one_output(output: Callable[[Any], Any]) -> Callable[[], Any]:
    inputs = keras.Input((4,))
    return lambda: (inputs, {"only": output(layers.Dense(1, activation="sigmoid")(inputs))})


@pytest.mark.parametrize(
    ("output", "loss", "arguments"),
    [
        (lambda x: x, "binary_crossentropy", {}),
        (lambda x: x, Doubled(), {}),
        (layers.Flatten(), losses.MeanSquaredError(reduction="mean_with_sample_weight"), {}),
        (layers.Reshape(()), "mse", {"weighted": False}),
        (lambda x: x, "mse", {"jit_compile": True}),
    ],
    ids=["one_task", "subclass_of_a_loss", "weighted_mean", "output_without_axis", "xla"],
)
def test_one_output(output: Any, loss: Any, arguments: dict[str, Any]) -> None:
    x, y = two_inputs_data()
    weight = np.linspace(0, 3, SAMPLES) if arguments.pop("weighted", True) else None
    logs, models = [], twins(one_output(output), lambda: {"loss": loss, "metrics": ["mae"]}, **arguments)
    for model in models:
        logs += [model.train_on_batch(x["left"], y["bit0"], weight, return_dict=True) for _ in range(2)][1:]
    assert_same_weights(*models)
    assert logs[1]["only_loss"] == pytest.approx(logs[0]["loss"], abs=1e-5)
    assert logs[1]["loss"] == pytest.approx(logs[0]["loss"], abs=1e-5)
    assert logs[1]["only_mae"] == pytest.approx(logs[0]["mae"], abs=1e-5)


def test_class_weights_are_sample_weights_of_the_class() -> None:
    x, y = two_inputs_data()
    stock, ours = twins(two_inputs, lambda: TWO_INPUTS, run_eagerly=True)
    tables = {"kind": {0: 3.0, 2: 0.5}, "bit0": {1: 4.0}}
    ours.compile(keras.optimizers.Adam(0.01), **TWO_INPUTS, run_eagerly=True, class_weight=tables)
    weights = {task: np.array([tables.get(task, {}).get(v, 1.0) for v in labels]) for task, labels in y.items()}
    logs = []
    for model, weight in ((stock, weights), (ours, None)):
        logs.append(model.fit(x, y, BATCH, 2, 0, shuffle=False, sample_weight=weight).history)
    assert_same_weights(stock, ours)
    assert_same_logs(*logs)


def test_fused_tasks_are_what_separate_tasks_are() -> None:
    x, y = two_inputs_data()

    def separate() -> Any:
        inputs, outputs = two_inputs()
        return inputs, {task: layers.Identity()(tensor) for task, tensor in outputs.items()}

    models = []
    for graph in (two_inputs, separate):
        models.append(twins(graph, lambda: {**TWO_INPUTS, "metrics": None})[1])
        models[-1].fit(x, y, BATCH, 2, verbose=0, shuffle=False)
    assert_same_weights(*models)


def test_weights_are_exchanged_with_a_stock_model(tmp_path: Any) -> None:
    x, _ = two_inputs_data(4)
    stock, ours = keras.Model(*two_inputs()), MultiTaskModel(*two_inputs())
    ours.set_weights(stock.get_weights())
    assert_same_weights(stock, ours, atol=0)
    stock.set_weights([value + 1 for value in ours.get_weights()])
    stock.save_weights(tmp_path / "stock.weights.h5")
    ours.set_task_weights({"bit0": 0.0})
    ours.load_weights(tmp_path / "stock.weights.h5")
    assert_same_weights(stock, ours, atol=0)
    assert ours.task_weights == {"kind": 1.0, "bit1": 1.0, "bit0": 0.0}
    np.testing.assert_array_equal(stock.predict_on_batch(x)["bit0"], ours.predict_on_batch(x)["bit0"])


def test_mixed_precision_trains_and_drops() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    x, y = two_inputs_data()
    stock, ours = twins(two_inputs, lambda: TWO_INPUTS)
    for model in (stock, ours):
        model.compile(keras.optimizers.SGD(0.1), **TWO_INPUTS, run_eagerly=True)
        assert type(model.optimizer) is keras.optimizers.LossScaleOptimizer
        model.optimizer.initial_scale = 64.0  # with the default one the gradients of the stock model overflow
        model.train_on_batch(x, y)
    assert ours.optimizer.iterations == stock.optimizer.iterations == 1
    assert_same_weights(stock, ours, atol=1e-3)
    fused, kind = (next(v for v in ours.trainable_variables if v.shape == shape) for shape in ((6, 2), (6, 3)))
    before = [keras.ops.convert_to_numpy(variable.value) for variable in (fused, kind)]
    ours.set_task_weights({"kind": 0.0, "bit0": 0.0})
    assert np.isfinite(ours.train_on_batch(x, y)[0])
    after = [keras.ops.convert_to_numpy(variable.value) for variable in (fused, kind)]
    np.testing.assert_array_equal(after[1], before[1])
    np.testing.assert_array_equal(after[0][:, 0], before[0][:, 0])
    assert (after[0][:, 1] != before[0][:, 1]).any()


def test_results_after_fit_and_evaluate_are_those_of_the_logs() -> None:
    x, y = two_inputs_data()
    stock, ours = twins(two_inputs, lambda: TWO_INPUTS, run_eagerly=True)
    for model in (stock, ours):
        keras.utils.set_random_seed(3)
        history = model.fit(x, y, 16, verbose=0, shuffle=False).history
        assert float(model.get_metrics_result()["loss"]) == pytest.approx(history["loss"][-1])
        assert {metric.name: float(metric.result()) for metric in model.metrics if metric.name.endswith("loss")} == {
            name: pytest.approx(values[-1], rel=1e-5) for name, values in history.items() if name.endswith("loss")
        }
        logs = model.evaluate(x, y, 16, verbose=0, return_dict=True)
        assert float(model.get_metrics_result()["loss"]) == pytest.approx(logs["loss"])


def test_evaluating_after_a_batch_leaves_the_results_of_the_evaluation() -> None:
    x, y = two_inputs_data()
    results = []
    for model in twins(two_inputs, lambda: TWO_INPUTS, run_eagerly=True):
        model.train_on_batch(x, y)
        logs = model.evaluate(x, y, SAMPLES, verbose=0, return_dict=True)
        results.append({name: float(value) for name, value in model.get_metrics_result().items()})
        assert results[-1]["loss"] == pytest.approx(logs["loss"])
    assert_same_logs(*results)


def test_a_metric_may_be_called_as_entries_of_other_logs_end() -> None:
    x, y = two_inputs_data()
    arguments = {"loss": TWO_INPUTS["loss"], "metrics": {"kind": [metrics.SparseCategoricalAccuracy(name="my_weight")]}}
    stock, ours = twins(two_inputs, lambda: arguments, run_eagerly=True)
    for model in (stock, ours):
        model.train_on_batch(x, y)
        assert "kind_my_weight" in model.get_metrics_result()


@pytest.mark.parametrize("eager", [True, False])
def test_a_class_out_of_range_is_named_within_a_step(eager: bool) -> None:
    x, y = two_inputs_data()
    y["kind"][5] = 7
    _, ours = twins(two_inputs, lambda: TWO_INPUTS, run_eagerly=eager)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"(?s)task.*kind.*not one of its 3 classes.*5.*7"
    ) as error:
        ours.train_on_batch(x, y)
    assert "Summarized data" not in str(error.value)
