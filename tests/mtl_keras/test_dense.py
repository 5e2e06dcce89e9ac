"""Metrics and losses of dense tasks, against NumPy and scikit-learn, with pixels without labels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import jaccard_score

from mtl_keras import MultiTaskModel
from mtl_keras.dense_metrics import (
    AngularAccuracy,
    AngularError,
    DenseMetric,
    DepthAccuracy,
    DepthError,
    MaskIoU,
    MeanIoU,
    MedianAngularError,
    PixelAccuracy,
)
from mtl_keras.losses import DepthLoss, NormalLoss, SegmentationLoss

SAMPLES, CLASSES = 14, 4
ABSOLUTE = 0.001  # tolerance: the width of the bins of the median
RNG = np.random.default_rng(0)
SHAPE = (SAMPLES, 6, 5)
SCORES = RNG.random((*SHAPE, CLASSES), "float32")
SEGMENTS = np.where(RNG.random(SHAPE) < 0.6, SCORES.argmax(-1), RNG.integers(-1, CLASSES, SHAPE)).astype("int32")
SEGMENTS[3] = -1  # a sample without labels
DEPTH = np.where(RNG.random(SHAPE) < 0.2, 0, RNG.uniform(1, 9, SHAPE)).astype("float32")[..., None]
DEPTH[5, 0, 0] = np.nan
DISTANCES = (np.nan_to_num(DEPTH, nan=3) * RNG.uniform(0.6, 1.6, (*SHAPE, 1)) - 0.2).astype("float32")
NORMALS = RNG.normal(size=(*SHAPE, 3)).astype("float32")
NORMALS /= np.linalg.norm(NORMALS, axis=-1, keepdims=True)
VECTORS = (3 * NORMALS + RNG.normal(size=NORMALS.shape)).astype("float32")
NORMALS[RNG.random(SHAPE) < 0.3] = 0
MASK = np.where(RNG.random((*SHAPE, 1)) < 0.2, np.nan, RNG.random((*SHAPE, 1)) < 0.4).astype("float32")
CHANCES = RNG.random((*SHAPE, 1), "float32")

Arrays = tuple[np.ndarray, np.ndarray]


def iou(true: np.ndarray, scores: np.ndarray) -> Any:
    known = true >= 0
    predicted = scores.argmax(-1)[known]
    present = np.union1d(true[known], predicted)
    return jaccard_score(true[known], predicted, labels=present, average="macro") if known.any() else np.nan


def mask_iou(true: np.ndarray, chances: np.ndarray) -> Any:
    known = ~np.isnan(true)
    return jaccard_score(true[known], chances[known] > 0.5)


def depth(function: Callable[[np.ndarray, np.ndarray], Any]) -> Callable[..., Any]:
    def metric(true: np.ndarray, predicted: np.ndarray) -> Any:
        known = (true != 0) & ~np.isnan(true)
        return function(true[known].astype("float64"), predicted[known])

    return metric


def angle(function: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    def metric(true: np.ndarray, predicted: np.ndarray) -> Any:
        known = (true != 0).any(-1)
        unit = predicted / np.linalg.norm(predicted.astype("float64"), axis=-1, keepdims=True)
        return function(np.degrees(np.arccos(np.clip((true * unit).sum(-1)[known], -1, 1))))

    return metric


def lower_median(values: np.ndarray) -> Any:
    return np.quantile(values, 0.5, method="inverted_cdf") if values.size else np.nan


SEGMENTATION, DISTANCE, NORMAL = (SEGMENTS, SCORES), (DEPTH, DISTANCES), (NORMALS, VECTORS)
CASES: dict[str, tuple[Callable[..., DenseMetric], Arrays, Callable[..., Any]]] = {
    "mean_iou": (lambda **kwargs: MeanIoU(CLASSES, **kwargs), SEGMENTATION, iou),
    "pixel_accuracy": (PixelAccuracy, SEGMENTATION, lambda t, p: (p.argmax(-1) == t)[t >= 0].mean()),
    "mask_iou": (MaskIoU, (MASK, CHANCES), mask_iou),
    "depth_error": (DepthError, DISTANCE, depth(lambda t, p: np.abs(p - t).mean())),
    "relative_error": (
        lambda **kwargs: DepthError("relative", **kwargs), DISTANCE, depth(lambda t, p: (np.abs(p - t) / t).mean())
    ),
    "rmse": (
        lambda **kwargs: DepthError("rmse", **kwargs), DISTANCE, depth(lambda t, p: np.sqrt(((p - t) ** 2).mean()))
    ),
    "within_1.25": (
        DepthAccuracy, DISTANCE, depth(lambda t, p: ((p > 0) & (np.maximum(p / t, t / p) < 1.25)).mean())
    ),
    "angle": (AngularError, NORMAL, angle(np.mean)),
    "median_angle": (MedianAngularError, NORMAL, angle(lower_median)),
    "within_11.25": (AngularAccuracy, NORMAL, angle(lambda angles: (angles < 11.25).mean())),
    "within_30": (lambda **kwargs: AngularAccuracy(30, **kwargs), NORMAL, angle(lambda angles: (angles < 30).mean())),
}  # fmt: skip


@pytest.mark.parametrize("batch", [SAMPLES, 1, 2, 7])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")  # of NumPy, for the sample of -1
def test_a_metric_is_that_of_all_pixels_or_the_mean_over_batches(name: str, batch: int) -> None:
    make, (true, predicted), expected = CASES[name]
    pooled, each = make(), make(per_batch=True)
    assert (pooled.name, each.name) == (name, name)
    parts = [(true[i : i + batch], predicted[i : i + batch]) for i in range(0, SAMPLES, batch)]
    for part in parts:
        pooled.update_state(*part)
        each.update_state(*part)
    assert float(pooled.result()) == pytest.approx(expected(true, predicted), rel=1e-4, abs=ABSOLUTE)
    by_batch = np.nanmean([expected(*part) for part in parts])
    assert float(each.result()) == pytest.approx(by_batch, rel=1e-4, abs=ABSOLUTE)


@pytest.mark.parametrize("name", CASES)
def test_sample_weights_configs_and_no_pixel(name: str) -> None:
    make, (true, predicted), expected = CASES[name]
    metric = type(made := make()).from_config(made.get_config())
    assert np.isnan(metric.result())
    ignored = -1 if "iou" in name or name == "pixel_accuracy" else 0
    metric.update_state(np.full_like(true, ignored), predicted)
    assert np.isnan(metric.result())
    chosen = np.arange(SAMPLES) % 2
    metric.update_state(true, predicted, chosen)
    wanted = expected(true[chosen > 0], predicted[chosen > 0])
    assert float(metric.result()) == pytest.approx(wanted, rel=1e-4, abs=ABSOLUTE)
    by_pixel = make()
    by_pixel.update_state(true, predicted, np.broadcast_to(chosen[:, None, None], SHAPE))
    assert float(by_pixel.result()) == pytest.approx(float(metric.result()))


def test_the_median_is_exact_to_half_a_bin() -> None:
    angles = np.radians([10.0, 20.0, 30.0])
    true = np.array([[[[1.0, 0.0, 0.0]] * 3]])
    predicted = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=-1)[None, None]
    metric = MedianAngularError()
    metric.update_state(true, 5 * predicted)
    assert float(metric.result()) == pytest.approx(20, abs=0.001)


def test_iou_by_class() -> None:
    metric = MeanIoU(3, ignore=255)
    metric.update_state([[[0, 1, 255]]], keras.ops.one_hot([[[0, 0, 1]]], 3))
    np.testing.assert_array_equal(metric.by_class(), [0.5, 0, np.nan])
    assert float(metric.result()) == 0.25
    with pytest.raises(ValueError, match=r"by_class needs the sums over all pixels\. Received: per_batch=True"):
        MeanIoU(3, per_batch=True).by_class()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DepthError("relativ"), "Unknown kind of DepthError. Did you mean 'relative'? Received: 'relativ'"),
        (lambda: DepthLoss("l1"), "Unknown kind of DepthLoss. Received: 'l1'. Choices: absolute, squared"),
        (lambda: MeanIoU(0), "classes must be"),
        (lambda: AngularAccuracy(-3), "degrees must be"),
        (lambda: PixelAccuracy(per_batch=2), "per_batch must be"),
    ],
)
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_losses_are_means_over_the_valid_pixels_of_a_batch() -> None:
    known = (DEPTH != 0) & ~np.isnan(DEPTH)
    error = (DISTANCES - DEPTH)[known]
    assert float(DepthLoss()(DEPTH, DISTANCES)) == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert float(DepthLoss("squared")(DEPTH, DISTANCES)) == pytest.approx((error**2).mean(), rel=1e-5)
    unit = VECTORS / np.linalg.norm(VECTORS, axis=-1, keepdims=True)
    cosine = (unit * NORMALS).sum(-1)[(NORMALS != 0).any(-1)]
    assert float(NormalLoss()(NORMALS, VECTORS)) == pytest.approx(1 - cosine.mean(), rel=1e-5)
    assert float(NormalLoss()(0 * NORMALS, VECTORS)) == float(DepthLoss()(0 * DEPTH, DISTANCES)) == 0


def test_the_loss_of_segmentation_is_that_of_keras_from_logits() -> None:
    logits = tf.constant(100 * SCORES)  # the probabilities of some labels are 0 in float32

    def loss_and_gradient(loss: keras.losses.Loss, softmax: bool) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(SEGMENTS, keras.activations.softmax(logits) if softmax else logits)
        return value, tape.gradient(value, logits)

    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    value, gradient = loss_and_gradient(expected, softmax=False)
    ours, its_gradient = loss_and_gradient(SegmentationLoss(), softmax=True)
    assert float(ours) == pytest.approx(float(value), rel=1e-6)
    np.testing.assert_allclose(its_gradient, gradient, atol=1e-7)
    assert float(SegmentationLoss(7)(np.full(SHAPE, 7), SCORES)) == 0


def test_gradients_are_finite_and_zero_where_nothing_is_known() -> None:
    for loss, true, shape in ((DepthLoss(), DEPTH, DISTANCES.shape), (NormalLoss(), NORMALS, VECTORS.shape)):
        predicted = tf.zeros(shape)
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            value = loss(true, predicted)
        gradient = tape.gradient(value, predicted).numpy()
        assert np.isfinite(gradient).all()
        known = ((true != 0) & ~np.isnan(true)).any(-1)
        assert not gradient[~known].any()
        assert gradient[known].any(-1).all()


@pytest.mark.parametrize("kind", [MultiTaskModel, keras.Model])
def test_three_dense_tasks_in_fit(kind: type[keras.Model]) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 3))
    features = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    channels = {"segments": CLASSES, "depth": 1, "normals": 3}
    model = kind(inputs, {name: keras.layers.Conv2D(size, 1, name=name)(features) for name, size in channels.items()})
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={
            "segments": keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1),
            "depth": DepthLoss(),
            "normals": NormalLoss(),
        },
        metrics={
            "segments": [MeanIoU(CLASSES), PixelAccuracy()],
            "depth": [DepthError(), DepthAccuracy()],
            "normals": [AngularError(), MedianAngularError()],
        },
    )
    labels = {"segments": SEGMENTS, "depth": DEPTH, "normals": NORMALS}
    before = model.evaluate(VECTORS, labels, batch_size=4, verbose=0, return_dict=True)
    model.fit(VECTORS, labels, batch_size=7, epochs=15, verbose=0)
    after = model.evaluate(VECTORS, labels, batch_size=4, verbose=0, return_dict=True)
    assert after["normals_angle"] < 0.7 * before["normals_angle"]
    assert after["depth_depth_error"] < 0.8 * before["depth_depth_error"]
    predicted = model.predict(VECTORS, verbose=0)
    for name, metric in (("normals", AngularError()), ("segments", MeanIoU(CLASSES)), ("depth", DepthError())):
        metric.update_state(labels[name], predicted[name])
        assert after[f"{name}_{metric.name}"] == pytest.approx(float(metric.result()), rel=1e-4), name
