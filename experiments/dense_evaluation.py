"""Evaluates dense tasks batch by batch: only sums and a few numbers for each example are kept, no maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from mtl_keras.analysis.pixels import (
    CLASS_HEADS,
    class_iou,
    confusion_of_images,
    image_iou,
    is_labelled,
    label_map,
    mean_of_images,
    measure_images,
    pixel_errors,
    prediction_map,
    with_rank,
)
from mtl_keras.arguments import copy_metric
from mtl_keras.tasks import Task
from mtl_keras.training.spec import task_spec

ANGLES = 180
"""Bins of the histogram of angles, of one degree."""
_KEY_BITS, _KEY_BITS_OF_MANY, _FEW_CHANNELS = 20, 16, 4
"""Bits of the bins of `_Numbers`, for up to `_FEW_CHANNELS` channels and for more."""
_INTERVALS = 20


@dataclass(frozen=True)
class DenseResult:
    """The evaluation of a dense task, without its maps.

    Args:
        values: metric -> its value over all labelled pixels: the task's metrics and `"loss"`.
        baselines: metric -> that of the best constant prediction.
        losses: `(examples,)`, the mean loss of the labelled pixels of each example; NaN without any.
        measures: `(examples,)`, `mtl_keras.analysis.pixels.MEASURES` of each example; NaN if it is not defined.
        constant_measures: `(examples,)`, those of the constant prediction with the best mean.
        arrays: name -> array. Of classes `confusion` (classes, classes), pixels by true and predicted class; of
            `depth` and `dense_regression` `bins` (bins + 1,), the edges of intervals of labels, with their pixels
            `count` (bins,) and mean absolute error `mean_error` (bins,); of `normals` `angles` (180,), pixels by angle
            in degrees.
    """

    values: Mapping[str, float]
    baselines: Mapping[str, float]
    losses: np.ndarray
    measures: np.ndarray
    constant_measures: np.ndarray
    arrays: Mapping[str, np.ndarray]


class DenseEvaluation:
    """Sums over the labelled pixels of a dense task.

    Call `update` with the labels and predictions of all batches, then `update_constants` with the labels of all
    batches again, then `result`.

    Args:
        task: the task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._classes = 2 if task.head == "mask" else task.shape[-1]
        self._predicted: _Measured | None = None
        self._constants: list[_Measured] | None = None
        self._losses: list[np.ndarray] = []
        self._measures: list[np.ndarray] = []
        self._statistics: _ClassCounts | _Directions | _Numbers
        if task.head in CLASS_HEADS:
            self._statistics = _ClassCounts(task.head, self._classes)
        else:
            self._statistics = _Directions() if task.head == "normals" else _Numbers(task.shape[-1])

    def update(self, labels: Any, outputs: Any) -> None:
        """Adds a batch.

        Args:
            labels: `(batch, height, width)` or `(batch, height, width, channels)`.
            outputs: `(batch, height, width, channels)`.
        """
        labels, outputs = np.asarray(labels), np.asarray(outputs, "float32")
        true, given, known = self._labelled(labels)
        if self._predicted is None:
            self._predicted = _Measured(self._task, labels, outputs.shape[1:])
            self._step = _compiled([self._predicted], given, outputs.shape[-1])
        (losses,) = self._step(given, known.astype("float32"), outputs)
        self._losses.append(self._predicted.add(losses.numpy(), known))
        self._measures.append(self._statistics.update(true, prediction_map(self._task.head, outputs)))

    def update_constants(self, labels: Any) -> None:
        """Adds the labels of a batch to the metrics of the constant predictions."""
        labels = np.asarray(labels)
        true, given, known = self._labelled(labels)
        shape = (*known.shape, self._task.shape[-1])
        if self._constants is None:
            found = self._statistics.constants()
            self._constants = [_Measured(self._task, labels, shape[1:], each.astype("float32")) for each in found]
            self._constant_step = _compiled(self._constants, given, shape[-1])
        head = self._task.head
        predicted = np.zeros((0, *shape[1:]), "float32")
        for constant, losses in zip(self._constants, self._constant_step(given, known.astype("float32"), predicted)):
            constant.add(losses.numpy(), known)
            outputs = prediction_map(head, np.broadcast_to(np.asarray(constant.constant), shape))
            constant.measures.append(measure_images(head, true, outputs, self._classes))

    def result(self) -> DenseResult:
        """Returns the evaluation.

        Raises:
            ValueError: without a batch.
        """
        if self._predicted is None:
            raise ValueError("There is nothing to evaluate: the split is empty.")
        values = self._predicted.values()
        found = [constant.values() for constant in self._constants or ()]
        directions = self._predicted.directions
        baselines = {
            name: best_value([each[name] for each in found], directions[name]) if found else math.nan for name in values
        }
        losses, measures = np.concatenate(self._losses), np.concatenate(self._measures)
        candidates = [np.concatenate(constant.measures) for constant in self._constants or ()]
        sign = 1 if self._task.head in CLASS_HEADS else -1
        constant_measures = max(
            candidates, key=lambda each: sign * float(np.nansum(each)), default=np.full(len(measures), np.nan)
        )
        return DenseResult(values, baselines, losses, measures, constant_measures, self._statistics.arrays())

    def _labelled(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the map of labels, the labels for losses and metrics, with 0 where missing, and which are present."""
        true = label_map(self._task.head, labels, self._task.invalid)
        if true.dtype.kind == "i" and true.max(initial=-1) >= self._classes:
            raise ValueError(
                f"The labels of task {self._task.name!r} must be classes from 0 to {self._classes - 1}. "
                f"Received: {true.max()}"
            )
        known = is_labelled(true)
        given = with_rank(self._task.head, labels)
        given = given.astype("float32") if given.dtype.kind == "f" else given
        if not known.all():
            mask = known if given.ndim == known.ndim else known[..., None]
            given = np.where(mask, given, np.zeros((), given.dtype))
        return true, given, known


class _Measured:
    """The metrics and the loss of predictions.

    Args:
        task: the task.
        labels: a batch of labels.
        shape: shape of a prediction, `(height, width, channels)`.
        constant: the prediction for every pixel, `(channels,)`, if it is the same for all.
    """

    def __init__(
        self, task: Task, labels: np.ndarray, shape: Sequence[int], constant: np.ndarray | None = None
    ) -> None:
        spec = task_spec(task, labels.shape[1:], shape)
        ((self._loss, _),) = spec.losses
        # The metric objects of a task are shared, so measure with copies.
        self._metrics = {name: copy_metric(metric) for name, metric, _ in spec.metrics}
        self._total, self._pixels = 0.0, 0
        self.constant = constant
        self.measures: list[np.ndarray] = []

    @property
    def directions(self) -> dict[str, str | None]:
        """Metric -> `"up"` or `"down"`, the better direction; `None` if it is not known."""
        known = {name: getattr(metric, "_direction", None) for name, metric in self._metrics.items()}
        return {**known, "loss": "down"}

    def update(self, true: tf.Tensor, weight: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        """Updates the metrics with a batch and returns its losses, for each pixel or for each example."""
        if self.constant is not None:
            predicted = tf.broadcast_to(self.constant, tf.concat([tf.shape(weight), self.constant.shape], axis=0))
        for metric in self._metrics.values():
            metric.update_state(true, predicted, weight)
        return self._loss.call(true, predicted)

    def add(self, losses: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Adds the losses of a batch; returns the mean of each example `(batch,)`, NaN without a labelled pixel."""
        counts = known.sum(axis=(1, 2))
        if losses.shape == known.shape:
            totals = np.where(known, losses, 0).sum(axis=(1, 2), dtype="float64")
        else:  # a loss with fewer numbers than pixels
            totals = losses.reshape(len(losses), -1).mean(axis=1, dtype="float64") * counts
        self._total += float(totals.sum())
        self._pixels += int(counts.sum())
        return np.divide(totals, counts, out=np.full(len(counts), np.nan), where=counts > 0)

    def values(self) -> dict[str, float]:
        """Returns the metrics, then the loss; NaN without a labelled pixel."""
        if not self._pixels:
            return dict.fromkeys((*self._metrics, "loss"), math.nan)
        values = {name: float(metric.result()) for name, metric in self._metrics.items()}
        return {**values, "loss": self._total / self._pixels}


def _compiled(measured: Sequence[_Measured], labels: np.ndarray, channels: int) -> Callable[..., list[tf.Tensor]]:
    """Returns one function of all `_Measured.update`, from (labels, weights, predictions) to the losses of each.

    In one graph, TensorFlow computes what several metrics have in common once, such as angles, and the metrics in
    parallel.
    """
    pixels = (None, None, None)
    signature = [
        tf.TensorSpec((*pixels, *labels.shape[3:]), labels.dtype),
        tf.TensorSpec(pixels, tf.float32),
        tf.TensorSpec((*pixels, channels), tf.float32),
    ]

    @tf.function(input_signature=signature, autograph=False)
    def step(true: tf.Tensor, weight: tf.Tensor, predicted: tf.Tensor) -> list[tf.Tensor]:
        return [each.update(true, weight, predicted) for each in measured]

    return step


class _ClassCounts:
    """The confusion matrix."""

    def __init__(self, head: str, classes: int) -> None:
        self._head = head
        self._confusion = np.zeros((classes, classes), np.int64)

    def update(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        found = confusion_of_images(true, predicted, len(self._confusion))
        self._confusion += found.sum(axis=0)
        return image_iou(self._head, found)

    def constants(self) -> list[np.ndarray]:
        """Returns the shares of the classes and the most frequent class; of a mask, both classes."""
        counts = self._confusion.sum(axis=1)
        if not counts.any():
            return []
        shares = counts / counts.sum()
        if self._head == "mask":
            return [shares[1:], np.ones(1), np.zeros(1)]
        return [shares, np.eye(len(counts))[counts.argmax()]]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"confusion": self._confusion}


class _Directions:
    """The sum of true normals, how many are closest to each axis, and the histogram of angles."""

    def __init__(self) -> None:
        self._sum = np.zeros(3)
        self._closest = np.zeros(6, np.int64)  # to x, y, z, -x, -y, -z
        self._angles = np.zeros(ANGLES, np.int64)

    def update(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        known = is_labelled(true)
        normals = true[known]
        self._sum += normals.sum(axis=0, dtype="float64")
        self._closest += np.bincount(np.concatenate([normals, -normals], axis=1).argmax(axis=1), minlength=6)
        errors = pixel_errors("normals", true, predicted)
        angles = np.minimum(errors[known].astype(int), ANGLES - 1)
        self._angles += np.bincount(angles, minlength=ANGLES)
        return mean_of_images(errors)

    def constants(self) -> list[np.ndarray]:
        """Returns the mean direction, and the axis that most normals are closest to."""
        if not self._closest.any():
            return []
        axis = np.concatenate([np.eye(3), -np.eye(3)])[self._closest.argmax()]
        length = np.linalg.norm(self._sum)
        return [self._sum / length, axis] if length > 0 else [axis]

    def arrays(self) -> dict[str, np.ndarray]:
        return {"angles": self._angles}


class _Numbers:
    """The mean of each channel, and histograms of the labels: how many there are, and their absolute error."""

    def __init__(self, channels: int) -> None:
        self._sum = np.zeros(channels)
        self._bits = _KEY_BITS if channels <= _FEW_CHANNELS else _KEY_BITS_OF_MANY
        self._counts = np.zeros((channels, 2**self._bits), np.int64)
        self._errors = np.zeros((channels, 2**self._bits))

    def update(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        known = is_labelled(true)
        labels = true[known]
        self._sum += labels.sum(axis=0, dtype="float64")
        offsets = np.abs(predicted[known] - labels)
        for channel, (values, errors) in enumerate(zip(labels.T, offsets.T)):
            keys = _keys(values, self._bits)
            self._counts[channel] += np.bincount(keys, minlength=2**self._bits)
            self._errors[channel] += np.bincount(keys, errors, 2**self._bits)
        return mean_of_images(pixel_errors("depth", true, predicted))

    def constants(self) -> list[np.ndarray]:
        """Returns the mean and the median of each channel."""
        pixels = self._counts[0].sum()
        if not pixels:
            return []
        middle = [int(np.searchsorted(np.cumsum(counts), (pixels + 1) // 2)) for counts in self._counts]
        return [self._sum / pixels, _numbers(np.array(middle), self._bits).astype("float64")]

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the mean absolute error by interval of labels, over all channels."""
        counts, errors = self._counts.sum(axis=0), self._errors.sum(axis=0)
        (occupied,) = np.nonzero(counts)
        if not len(occupied):
            return {"bins": np.array([0.0, 1.0]), "count": np.zeros(1, np.int64), "mean_error": np.full(1, np.nan)}
        labels = _numbers(occupied, self._bits).astype("float64")
        low, high = float(labels[0]), float(labels[-1])
        edges = np.linspace(low, high if high > low else low + 1, _INTERVALS + 1)
        bins = np.clip(np.searchsorted(edges, labels, side="right") - 1, 0, _INTERVALS - 1)
        count = np.bincount(bins, counts[occupied], _INTERVALS)
        total = np.bincount(bins, errors[occupied], _INTERVALS)
        mean = np.divide(total, count, out=np.full(_INTERVALS, np.nan), where=count > 0)
        return {"bins": edges, "count": count.astype(np.int64), "mean_error": mean}


def _keys(values: np.ndarray, bits: int) -> np.ndarray:
    """Returns the bin of each float32: the first bits of its representation, in the order of the numbers.

    With 20 bits, a bin is at most 1/2048 of its numbers wide, whatever the range of all, which is not known before all
    are read.
    """
    whole = np.ascontiguousarray(values, "float32").view(np.uint32)
    ordered = np.where(whole >> 31, ~whole, whole | np.uint32(2**31))
    return (ordered >> (32 - bits)).astype(np.int64)


def _numbers(keys: np.ndarray, bits: int) -> np.ndarray:
    """Returns the float32 in the middle of each bin of `_keys`."""
    ordered = (keys.astype(np.uint32) << (32 - bits)) | np.uint32(2 ** (31 - bits))
    whole: np.ndarray = np.where(ordered >> 31, ordered & np.uint32(2**31 - 1), ~ordered).astype(np.uint32)
    return whole.view(np.float32)


def best_value(values: Sequence[float], direction: str | None) -> float:
    """Returns the best value of a metric; the first if its direction, `"up"` or `"down"`, is not known."""
    known = [value for value in values if not math.isnan(value)]
    return values[0] if direction is None or not known else max(known) if direction == "up" else min(known)


def iou_by_class(result: DenseResult, names: Sequence[str]) -> dict[str, float]:
    """Returns class -> intersection over union of all pixels; NaN for a class that did not occur.

    Args:
        result: the evaluation of a task of classes.
        names: names of the classes; empty to name them by their indices.
    """
    iou = class_iou(result.arrays["confusion"])
    return dict(zip(names or map(str, range(len(iou))), iou.tolist(), strict=True))
