from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_keras import MultiTaskModel
from mtl_keras.metrics import BalancedAccuracy, PointError


def mean_recall(true: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> float:
    recalls = []
    for label in np.unique(true[weight > 0]):
        of_class = weight * (true == label)
        recalls.append((of_class * (predicted == label)).sum() / of_class.sum())
    return float(np.mean(recalls))


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.integers(2, 5), st.booleans())
def test_balanced_accuracy_of_classes(seed: int, classes: int, column: bool) -> None:
    rng = np.random.default_rng(seed)
    true, scores = rng.integers(0, classes - 1, 20), rng.random((20, classes))
    weight = rng.integers(0, 3, 20) + (np.arange(20) == 0)
    metric = BalancedAccuracy()
    for part in (slice(8), slice(8, 20)):
        labels = true[part, None] if column else true[part]
        metric.update_state(labels, scores[part], weight[part])
    # The last class never occurs; it may be predicted, but is no part of the mean.
    assert float(metric.result()) == pytest.approx(mean_recall(true, scores.argmax(-1), weight), abs=1e-5)


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_balanced_accuracy_of_probabilities(threshold: float) -> None:
    rng = np.random.default_rng(0)
    true, scores = (rng.random(50) < 0.1).astype("float32"), rng.random((50, 1)).astype("float32")
    metric = BalancedAccuracy(threshold=threshold)
    metric.update_state(true, scores)
    assert float(metric.result()) == pytest.approx(mean_recall(true, scores[:, 0] >= threshold, np.ones(50)), abs=1e-6)


def test_a_constant_prediction_scores_a_half_and_nothing_scores_nan() -> None:
    metric = BalancedAccuracy()
    metric.update_state(np.array([0] * 9 + [1]), np.zeros((10, 1)))
    assert float(metric.result()) == 0.5
    metric.reset_state()
    assert np.isnan(float(metric.result()))


def test_point_error() -> None:
    rng = np.random.default_rng(0)
    true, predicted, weight = rng.random((12, 6)), rng.random((12, 6)), rng.random(12)
    metric = PointError(scale=128.0)
    metric.update_state(true[:5], predicted[:5], weight[:5])
    metric.update_state(true[5:], predicted[5:], weight[5:])
    distances = np.linalg.norm((true - predicted).reshape(12, 3, 2), axis=-1).mean(-1)
    assert float(metric.result()) == pytest.approx(128 * np.average(distances, weights=weight), rel=1e-5)


def test_the_metric_of_many_tasks_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    true, scores = rng.integers(0, 2, (20, 3, 1)), rng.random((20, 3, 1)).astype("float32")
    metric = BalancedAccuracy()
    together = metric.value(np.array(metric.statistics(true, scores)).sum(0))
    for i in range(3):
        metric.reset_state()
        metric.update_state(true[:, i], scores[:, i])
        assert float(together[i]) == pytest.approx(float(metric.result()), abs=1e-6)


def test_stock_models_take_them_and_get_the_same_values() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3)).astype("float32")
    y = {"kind": rng.integers(0, 3, 20), "point": rng.random((20, 4)).astype("float32")}
    inputs = keras.Input((3,))
    outputs = {
        "kind": keras.layers.Dense(3, activation="softmax", name="kind")(inputs),
        "point": keras.layers.Dense(4, name="point")(inputs),
    }
    logs = []
    for model in (keras.Model(inputs, outputs), MultiTaskModel(inputs, outputs)):
        model.compile(
            loss={"kind": "sparse_categorical_crossentropy", "point": "mse"},
            metrics={"kind": [BalancedAccuracy()], "point": [PointError(scale=2.0)]},
            run_eagerly=True,
        )
        logs.append(model.evaluate(x, y, 8, verbose=0, return_dict=True))
    for name in ("kind_balanced_accuracy", "point_point_error"):
        assert logs[1][name] == pytest.approx(logs[0][name], abs=1e-6)
    better, worse = logs[1]["kind_balanced_accuracy"], logs[1]["point_point_error"]
    assert logs[1]["mtl_score"] == pytest.approx((better - worse) / 2, abs=1e-6)
