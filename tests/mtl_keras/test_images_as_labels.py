"""Losses of images are means over the labelled pixels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import losses

from mtl_keras import MultiTaskModel

SAMPLES, SIDE = 6, 4
# Those that are summed over whole images at once, and one that is not.
LOSSES = [
    losses.MeanSquaredError(),
    losses.MeanAbsoluteError(),
    losses.Huber(0.3),
    losses.LogCosh(),
    losses.MeanSquaredLogarithmicError(),
    losses.MeanAbsolutePercentageError(),
    losses.BinaryCrossentropy(),
]


def model_of(loss: losses.Loss) -> MultiTaskModel:
    """Two images from one vector, so that they are computed together."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,))
    pixels = keras.layers.Dense(2 * SIDE * SIDE * 3, activation="sigmoid")(inputs)
    images = keras.layers.Reshape((2, SIDE, SIDE, 3))(pixels)
    model = MultiTaskModel(inputs, {"one": images[:, 0], "two": images[:, 1]})
    model.compile(keras.optimizers.SGD(0.1), loss=loss, metrics=["mae"], weighted_metrics=["mse"], run_eagerly=True)
    return model


def data(holes: bool) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    y = {name: rng.random((SAMPLES, SIDE, SIDE, 3), "float32") for name in ("one", "two")}
    if holes:
        y["one"][0] = np.nan  # a sample without labels
        y["one"][1, 2, 1] = np.nan  # a pixel
        y["one"][2, 0, 0, 1] = np.nan  # a channel: the pixel has no label
    weights = {"two": rng.random(SAMPLES).astype("float32")}
    return rng.normal(size=(SAMPLES, 5)).astype("float32"), y, weights


def expected(loss: losses.Loss, true: np.ndarray, pred: Any, weight: np.ndarray) -> Any:
    """The loss of a task, pixel by pixel."""
    labelled = np.isfinite(true).all(-1)
    filled = np.where(labelled[..., None], true, 0.5).astype("float32")
    values = tf.where(labelled, loss.call(filled, pred), 0.0)
    share = labelled.mean((1, 2)).astype("float32")
    return tf.reduce_sum(tf.reduce_mean(values, (1, 2)) * weight) / tf.reduce_sum(share)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_step_on_images(loss: losses.Loss) -> None:
    model = model_of(loss)
    x, y, weights = data(holes=True)
    weight = {"one": np.ones(SAMPLES, "float32"), **weights}
    with tf.GradientTape() as tape:
        predicted = model(x, training=True)
        each = {name: expected(loss, y[name], predicted[name], weight[name]) for name in y}
        total = tf.add_n(list(each.values()))
    gradients = tape.gradient(total, [variable.value for variable in model.trainable_variables])
    after = [np.array(v) - 0.1 * np.array(g) for v, g in zip(model.trainable_variables, gradients, strict=True)]

    logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    assert logs["loss"] == pytest.approx(float(total), rel=1e-5)
    for name in y:
        assert logs[f"{name}_loss"] == pytest.approx(float(each[name]), rel=1e-5)
        labelled = np.isfinite(y[name]).all(-1)
        distance = np.abs(y[name] - predicted[name].numpy()).mean(-1)
        assert logs[f"{name}_mae"] == pytest.approx(distance[labelled].mean(), rel=1e-5)
    for found, wanted in zip(model.get_weights(), after, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_weights_of_pixels() -> None:
    model = model_of(losses.MeanSquaredError())
    x, y, _ = data(holes=False)
    weight = np.random.default_rng(1).random((SAMPLES, SIDE, SIDE)).astype("float32")
    squares = np.square(y["one"] - model.predict(x, verbose=0)["one"]).mean(-1)
    logs = model.test_on_batch(x, y, sample_weight={"one": weight, "two": weight}, return_dict=True)
    assert logs["one_loss"] == pytest.approx((squares * weight).mean(), rel=1e-5)
    assert logs["one_mse"] == pytest.approx((squares * weight).sum() / weight.sum(), rel=1e-5)
