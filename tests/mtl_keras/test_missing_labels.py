"""Missing labels: NaN in floats, -1 in integers; losses and metrics are those of the labelled samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses, metrics

from mtl_keras import MultiTaskModel
from mtl_keras.metrics import BalancedAccuracy, PointError

SAMPLES = 32
SIDE = 2


def graph() -> tuple[Any, dict[str, Any]]:
    """A head for each kind of label; no state that depends on the batch."""
    inputs = keras.Input((5,))
    x = layers.Dense(6, activation="tanh", name="trunk")(inputs)
    pixels = layers.Reshape((SIDE, SIDE, 3))(layers.Dense(SIDE * SIDE * 3, name="pixels_dense")(x))
    return inputs, {
        "kind": layers.Dense(3, activation="softmax", name="kind")(x),
        "flag": layers.Dense(1, activation="sigmoid", name="flag")(x),
        "bit": layers.Dense(1, activation="sigmoid", name="bit")(x),
        "point": layers.Dense(4, name="point")(x),
        "pixels": layers.Softmax(name="pixels")(pixels),
        "picture": layers.Reshape((SIDE, SIDE, 1), name="picture")(layers.Dense(SIDE * SIDE, name="picture_dense")(x)),
        "side": layers.Dense(1, activation="tanh", name="side")(x),
    }


def arguments() -> dict[str, Any]:
    return {
        "loss": {
            "kind": "sparse_categorical_crossentropy",
            "flag": "binary_crossentropy",
            "bit": "binary_crossentropy",
            "point": "mse",
            "pixels": losses.SparseCategoricalCrossentropy(),
            "picture": "mae",
            "side": "hinge",
        },
        "metrics": {
            "kind": ["accuracy", BalancedAccuracy()],
            "flag": ["accuracy", metrics.AUC(name="auc"), BalancedAccuracy()],
            "bit": ["accuracy", BalancedAccuracy(), metrics.Precision(name="precision")],
            "point": [PointError(), "mae", metrics.RootMeanSquaredError(name="rmse")],
            "pixels": ["accuracy", metrics.MeanIoU(3, sparse_y_pred=False, name="iou")],
            "picture": ["mse"],
            "side": ["mae"],
        },
    }


def model_of(**more: Any) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    model = MultiTaskModel(*graph())
    model.compile(keras.optimizers.SGD(0.5), **arguments(), **more)
    return model


def full_data() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(SAMPLES, 5)).astype("float32"), {
        "kind": rng.integers(0, 3, SAMPLES),
        "flag": rng.integers(0, 2, SAMPLES).astype("float32"),
        "bit": rng.integers(0, 2, (SAMPLES, 1)).astype("int8"),
        "point": rng.normal(size=(SAMPLES, 4)).astype("float32"),
        "pixels": rng.integers(0, 3, (SAMPLES, SIDE, SIDE)).astype("int32"),
        "picture": rng.random((SAMPLES, SIDE, SIDE, 1), "float32"),
        "side": rng.choice([-1, 1], SAMPLES),
    }


def without_labels(labels: np.ndarray, missing: np.ndarray) -> np.ndarray:
    found = labels.copy()
    found[missing] = -1 if labels.dtype.kind == "i" else np.nan
    return found


SOME = np.random.default_rng(2).random(SAMPLES) < 0.4
TASKS = tuple(arguments()["loss"])
MAY_LACK = TASKS[:-1]


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    return model_of()


@pytest.fixture(scope="module")
def start(model: MultiTaskModel) -> list[np.ndarray]:
    return model.get_weights()


def labels_without(y: dict[str, np.ndarray], missing: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {task: without_labels(labels, missing[task]) if task in missing else labels for task, labels in y.items()}


def test_labelled_samples_alone_count(model: MultiTaskModel, start: list[np.ndarray]) -> None:
    """Every other task lacks the labels that the others have; batches have different numbers of them."""
    x, y = full_data()
    missing = {task: (SOME, ~SOME)[place % 2] for place, task in enumerate(MAY_LACK)}
    expected = [
        model.evaluate(x[rows], {k: v[rows] for k, v in y.items()}, 8, verbose=0, return_dict=True)
        for rows in (~SOME, SOME)
    ]
    labels = labels_without(y, missing)
    evaluated = model.evaluate(x, labels, 8, verbose=0, return_dict=True)
    model.optimizer.learning_rate = 0.0
    trained = {name: values[0] for name, values in model.fit(x, labels, 8, shuffle=False, verbose=0).history.items()}
    model.optimizer.learning_rate = 0.5
    for place, task in enumerate(MAY_LACK):
        own = [name for name in expected[0] if name.startswith(f"{task}_")]
        assert len(own) >= 2
        for name in own:
            for logs in (evaluated, trained):
                assert logs[name] == pytest.approx(expected[place % 2][name], abs=1e-5), name


def test_a_step_with_half_the_labels_is_one_on_the_other_half() -> None:
    x, y = full_data()
    results = []
    for inputs, labels in (
        (x, labels_without(y, dict.fromkeys(MAY_LACK, SOME))),
        (x[~SOME], {k: v[~SOME] for k, v in y.items()}),
    ):
        model = model_of(run_eagerly=True)
        model.set_task_weights({"side": 0.0})  # its -1 is a label
        model.train_on_batch(inputs, labels)
        results.append(model.get_weights())
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("tasks", [MAY_LACK[::2], MAY_LACK[1::2]], ids=" ".join)
def test_a_batch_without_labels_gives_no_loss_and_no_gradient(
    tasks: tuple[str, ...], model: MultiTaskModel, start: list[np.ndarray]
) -> None:
    x, y = full_data()
    model.set_weights(start)
    own = [model.get_layer({"pixels": "pixels_dense", "picture": "picture_dense"}.get(task, task)) for task in tasks]
    before = [weight for layer in own for weight in layer.get_weights()]
    empty = labels_without(y, dict.fromkeys(tasks, SOME | ~SOME))
    logs = model.train_on_batch(x, empty, return_dict=True)
    evaluated = model.test_on_batch(x, empty, return_dict=True)
    for task in tasks:
        assert logs[f"{task}_loss"] == evaluated[f"{task}_loss"] == 0.0
    assert np.isfinite([logs["loss"], logs["mtl_score"], evaluated["loss"], evaluated["mtl_score"]]).all()
    assert not model.nonfinite_losses
    assert all(np.isfinite(value).all() for value in model.get_weights())
    for old, new in zip(before, [weight for layer in own for weight in layer.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_dropped_task_without_labels_changes_nothing() -> None:
    x, y = full_data()
    model = model_of(run_eagerly=True)
    model.set_task_weights({**dict.fromkeys(TASKS, 1.0), "kind": 0.0})
    before = model.get_layer("kind").get_weights()
    empty = {**y, "kind": np.full_like(y["kind"], -1)}
    logs = model.train_on_batch(x, empty, return_dict=True)
    assert np.isnan(logs["kind_loss"])
    assert model.test_on_batch(x, empty, return_dict=True)["kind_loss"] == 0.0
    assert np.isfinite([logs["loss"], logs["mtl_score"]]).all()
    for old, new in zip(before, model.get_layer("kind").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_single_pixels_may_be_missing(model: MultiTaskModel, start: list[np.ndarray]) -> None:
    x, y = full_data()
    model.set_weights(start)
    y["pixels"][:, 0, 0] = -1
    logs = model.evaluate(x, y, 8, verbose=0, return_dict=True)
    probabilities, labelled = model.predict(x, verbose=0)["pixels"], y["pixels"] >= 0
    chosen = np.take_along_axis(probabilities, np.maximum(y["pixels"], 0)[..., None], -1)[..., 0]
    assert logs["pixels_loss"] == pytest.approx(-np.log(chosen[labelled]).mean(), abs=1e-5)
    assert logs["pixels_accuracy"] == pytest.approx(
        (probabilities.argmax(-1) == y["pixels"])[labelled].mean(), abs=1e-5
    )
    iou = metrics.MeanIoU(3, sparse_y_pred=False)
    iou.update_state(y["pixels"][labelled], probabilities[labelled])
    assert logs["pixels_iou"] == pytest.approx(float(iou.result()), abs=1e-5)


def test_a_vector_with_a_missing_entry_is_not_labelled(model: MultiTaskModel, start: list[np.ndarray]) -> None:
    x, y = full_data()
    model.set_weights(start)
    expected = model.evaluate(x[~SOME], {k: v[~SOME] for k, v in y.items()}, 8, verbose=0, return_dict=True)
    y["point"][SOME, 2] = np.nan
    logs = model.evaluate(x, y, 8, verbose=0, return_dict=True)
    for name in ("point_loss", "point_point_error", "point_mae", "point_rmse"):
        assert logs[name] == pytest.approx(expected[name], abs=1e-5)


def test_minus_one_is_a_label_of_the_hinge_losses(model: MultiTaskModel, start: list[np.ndarray]) -> None:
    x, y = full_data()
    model.set_weights(start)
    logs = model.evaluate(x, y, 8, verbose=0, return_dict=True)
    margins = 1 - y["side"] * model.predict(x, verbose=0)["side"][:, 0]
    assert logs["side_loss"] == pytest.approx(np.maximum(margins, 0).mean(), abs=1e-5)


def test_class_weights_and_sample_weights_count_labelled_samples_only() -> None:
    x, y = full_data()
    model = model_of(run_eagerly=True, class_weight={"kind": {0: 5.0}})
    weight = np.linspace(0.1, 2, SAMPLES).astype("float32")
    model_logs = []
    for keep, labels in ((slice(None), {**y, "kind": without_labels(y["kind"], SOME)}), (~SOME, y)):
        data = x[keep], {k: v[keep] for k, v in labels.items()}, weight[keep]
        model_logs.append(model.test_on_batch(*data, return_dict=True))
    assert model_logs[0]["kind_loss"] == pytest.approx(model_logs[1]["kind_loss"], abs=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_the_ignored_class_of_a_loss_is_that_of_keras(dtype: str) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.integers(0, 3, 8)
    inputs = keras.Input((4,))
    outputs = layers.Dense(3, activation="softmax")(inputs)
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    stock, model = keras.Model(inputs, outputs), MultiTaskModel(inputs, {"kind": outputs})
    for each in (stock, model):
        each.compile(loss=loss, metrics=["accuracy"], run_eagerly=True)
    y[::2] = 255
    expected = stock.test_on_batch(x, y.astype(dtype), return_dict=True)
    logs = model.test_on_batch(x, y.astype(dtype), return_dict=True)
    assert logs["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    assert logs["kind_accuracy"] == pytest.approx(expected["accuracy"])  # Keras counts ignored samples there
