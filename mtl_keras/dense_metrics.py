"""Metrics of dense tasks: segmentation, depth and surface normals, over the valid pixels.

They are ordinary `keras.metrics.Metric` objects. Their state is a vector of sums over pixels, so a result is that of
all pixels of the set, however it is divided into batches or over devices. Published tables often show the mean of the
results of single batches instead: `per_batch=True` gives that.

Labels are `(batch, height, width)` class indices or `(batch, height, width, channels)` floats, predictions
`(batch, height, width, channels)`. Sample weights may be `(batch,)` or `(batch, height, width)`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, ClassVar, Literal

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_bool, check_integer, check_positive, unknown_value

_BINS = 180_000  # of 0.001 degrees


class DenseMetric(keras.metrics.Metric):
    """A metric computed from sums over pixels: by default the mean of a number for each pixel.

    Args:
        per_batch: whether the result is the mean over the batches of the metric of each, rather than the metric of all
            pixels. Batches without a valid pixel do not count.
        name: name of the metric in the logs; by default `NAME`.
        dtype: dtype of the sums.

    Attributes:
        NAME: the default name.
    """

    NAME: ClassVar[str]

    def __init__(self, per_batch: bool = False, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name or self.NAME, dtype=dtype)
        check_bool("per_batch", per_batch)
        self.per_batch = per_batch
        self.totals = self.add_variable((2 if per_batch else self.size(),), "zeros", name="totals")

    def size(self) -> int:
        """Returns the number of sums."""
        return 2

    @abstractmethod
    def valid(self, y_true: Any) -> Any:
        """Returns which pixels have a label, booleans `(batch, height, width)`."""

    @abstractmethod
    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a number for each pixel, `(batch, height, width)`."""

    def sums(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """Returns the sums `(size,)` over the pixels of a batch, with weights `(batch, height, width)`."""
        values = ops.where(weight > 0, ops.cast(self.pixels(y_true, y_pred), weight.dtype), 0.0)
        return ops.stack([ops.sum(weight * values), ops.sum(weight)])

    def value(self, totals: Any) -> Any:
        """Returns the metric of sums `(size,)`; NaN if there was no pixel."""
        return _ratio(totals[0], totals[1])

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        valid = self.valid(y_true)
        weight = ops.cast(valid, self.dtype)
        if sample_weight is not None:
            own = ops.cast(sample_weight, self.dtype)
            if len(own.shape) > len(weight.shape):
                own = ops.squeeze(own, axis=-1)
            weight = weight * ops.reshape(own, (*ops.shape(own), *(1,) * (len(weight.shape) - len(own.shape))))
        # NaN x 0 is NaN, so that a label that is not valid is replaced.
        mask = valid if len(y_true.shape) == len(valid.shape) else valid[..., None]
        sums = self.sums(ops.where(mask, y_true, ops.zeros_like(y_true)), y_pred, weight)
        if self.per_batch:
            value = self.value(sums)
            known = ops.logical_not(ops.isnan(value))
            sums = ops.stack([ops.where(known, value, 0.0), ops.cast(known, value.dtype)])
        self.totals.assign_add(ops.cast(sums, self.dtype))

    def result(self) -> Any:
        """Returns the metric since the last reset; NaN if there was no valid pixel."""
        return _ratio(self.totals[0], self.totals[1]) if self.per_batch else self.value(self.totals.value)

    def get_config(self) -> dict[str, Any]:
        return {"per_batch": self.per_batch, "name": self.name, "dtype": self.dtype}


def _ratio(total: Any, count: Any) -> Any:
    """Returns `total / count`, NaN where `count` is 0."""
    return ops.where(count > 0, total / ops.where(count > 0, count, 1.0), np.nan)


class _SegmentationMetric(DenseMetric):
    """A metric of class indices `(batch, height, width)` or `(batch, height, width, 1)`."""

    _direction = "up"

    def __init__(self, ignore: int = -1, per_batch: bool = False, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(per_batch, name, dtype)
        self.ignore = ignore

    def valid(self, y_true: Any) -> Any:
        return _classes(y_true) != self.ignore

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        """Returns 1 where the class is predicted, 0 elsewhere."""
        return ops.cast(ops.argmax(y_pred, axis=-1), "int32") == _classes(y_true)

    def get_config(self) -> dict[str, Any]:
        return {"ignore": self.ignore, **super().get_config()}


def _classes(y_true: Any) -> Any:
    return ops.cast(_without_channel(y_true), "int32")


def _without_channel(values: Any) -> Any:
    """Returns values `(batch, height, width)` or `(batch, height, width, 1)` without the last axis."""
    return ops.squeeze(values, axis=-1) if len(values.shape) > 3 else values


@keras.saving.register_keras_serializable("mtl_keras")
class PixelAccuracy(_SegmentationMetric):
    """Share of the labelled pixels whose class is predicted.

    Args:
        ignore: the label of pixels without a class.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    NAME = "pixel_accuracy"


@keras.saving.register_keras_serializable("mtl_keras")
class MeanIoU(_SegmentationMetric):
    """Mean over the classes of the intersection over union: `correct / (labelled + predicted - correct)` pixels.

    Classes that are neither in the labels nor in the predictions are left out of the mean.

    Args:
        classes: number of classes: the channels of the predictions, which are probabilities or logits.
        ignore: the label of pixels without a class.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.

    Example:

    ```python
    metric = MeanIoU(2)
    metric.update_state([[[0, 1, -1]]], keras.ops.one_hot([[[0, 0, 1]]], 2))
    metric.by_class()  # class 0: 1 of 2 pixels, class 1: 0 of 1
    ```
    """

    NAME = "mean_iou"

    def __init__(
        self, classes: int, ignore: int = -1, per_batch: bool = False, name: str | None = None, dtype: Any = None
    ) -> None:
        self.classes = check_integer("classes", classes, 1)
        super().__init__(ignore, per_batch, name, dtype)

    def size(self) -> int:
        return self.classes**2

    def sums(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """Returns the confusion matrix `(classes * classes,)`, a row for each class of the labels."""
        cells = _classes(y_true) * self.classes + ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        return ops.segment_sum(ops.reshape(weight, (-1,)), ops.reshape(cells, (-1,)), self.classes**2)

    def value(self, totals: Any) -> Any:
        iou = self._by_class(totals)
        known = ops.logical_not(ops.isnan(iou))
        return _ratio(ops.sum(ops.where(known, iou, 0.0)), ops.sum(ops.cast(known, iou.dtype)))

    def by_class(self) -> Any:
        """Returns the intersection over union of each class, `(classes,)`; NaN for a class that did not occur.

        Raises:
            ValueError: with `per_batch`, which keeps no sums over pixels.
        """
        if self.per_batch:
            raise ValueError("by_class needs the sums over all pixels. Received: per_batch=True")
        return self._by_class(self.totals.value)

    def _by_class(self, totals: Any) -> Any:
        confusion = ops.reshape(totals, (self.classes, self.classes))
        correct = ops.diagonal(confusion)
        return _ratio(correct, ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1) - correct)

    def get_config(self) -> dict[str, Any]:
        return {"classes": self.classes, **super().get_config()}


class _DepthMetric(DenseMetric):
    """A metric of distances `(batch, height, width)` or `(batch, height, width, 1)`, in the unit of the labels."""

    def __init__(self, invalid: float | None, per_batch: bool, name: str, dtype: Any) -> None:
        super().__init__(per_batch, name, dtype)
        self.invalid = invalid

    def valid(self, y_true: Any) -> Any:
        depth = _without_channel(y_true)
        known = ops.logical_not(ops.isnan(depth))
        return known if self.invalid is None else ops.logical_and(known, depth != self.invalid)

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        return self.compare(*(ops.cast(_without_channel(depth), self.dtype) for depth in (y_true, y_pred)))

    @abstractmethod
    def compare(self, true: Any, predicted: Any) -> Any:
        """Returns a number for each pixel; arguments and result are `(batch, height, width)`."""

    def get_config(self) -> dict[str, Any]:
        return {"invalid": self.invalid, **super().get_config()}


@keras.saving.register_keras_serializable("mtl_keras")
class DepthError(_DepthMetric):
    """Error of depth.

    Args:
        kind: `"absolute"`: mean of `|p - g|`; `"relative"`: mean of `|p - g| / g`; `"rmse"`: root of the mean of
            `(p - g)^2`, for predictions `p` and labels `g`.
        invalid: the label of pixels without depth, besides NaN; `None` if every number is a depth.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs; by default `depth_error`, `relative_error` or `rmse`.
        dtype: dtype of the sums.

    Raises:
        ValueError: for an unknown kind.
    """

    _direction = "down"

    def __init__(
        self,
        kind: Literal["absolute", "relative", "rmse"] = "absolute",
        invalid: float | None = 0.0,
        per_batch: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        names = {"absolute": "depth_error", "relative": "relative_error", "rmse": "rmse"}
        if kind not in names:
            raise unknown_value("kind of DepthError", kind, names)
        super().__init__(invalid, per_batch, name or names[kind], dtype)
        self.kind = kind

    def compare(self, true: Any, predicted: Any) -> Any:
        error = ops.abs(predicted - true)
        return error / true if self.kind == "relative" else ops.square(error) if self.kind == "rmse" else error

    def value(self, totals: Any) -> Any:
        mean = super().value(totals)
        return ops.sqrt(mean) if self.kind == "rmse" else mean

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind, **super().get_config()}


@keras.saving.register_keras_serializable("mtl_keras")
class DepthAccuracy(_DepthMetric):
    """Share of the pixels whose predicted depth is within a factor of the true one: `max(p / g, g / p) < threshold`.

    Published tables have the thresholds 1.25, 1.25^2 and 1.25^3.

    Args:
        threshold: the factor, > 0.
        invalid: the label of pixels without depth, besides NaN; `None` if every number is a depth.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs; by default `within_<threshold>`.
        dtype: dtype of the sums.
    """

    _direction = "up"

    def __init__(
        self,
        threshold: float = 1.25,
        invalid: float | None = 0.0,
        per_batch: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.threshold = check_positive("threshold", threshold)
        super().__init__(invalid, per_batch, name or f"within_{threshold:g}", dtype)

    def compare(self, true: Any, predicted: Any) -> Any:
        ratio = ops.maximum(predicted / true, true / predicted)
        return ops.logical_and(ratio < self.threshold, predicted > 0)

    def get_config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, **super().get_config()}


class _NormalMetric(DenseMetric):
    """A metric of the angle between true and predicted surface normals `(batch, height, width, 3)`.

    True normals are unit vectors, or zeros where there is none. Predicted ones may have any length.
    """

    def valid(self, y_true: Any) -> Any:
        known = ops.logical_not(ops.any(ops.isnan(y_true), axis=-1))
        return ops.logical_and(known, ops.any(y_true != 0, axis=-1))

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the angles in degrees."""
        true, predicted = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        cosine = ops.sum(true * ops.normalize(predicted, axis=-1), axis=-1)
        return ops.arccos(ops.clip(cosine, -1.0, 1.0)) * (180 / math.pi)


@keras.saving.register_keras_serializable("mtl_keras")
class AngularError(_NormalMetric):
    """Mean angle between true and predicted surface normals, in degrees.

    Args:
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    NAME = "angle"
    _direction = "down"


@keras.saving.register_keras_serializable("mtl_keras")
class MedianAngularError(_NormalMetric):
    """Median angle between true and predicted surface normals, in degrees; of two middle ones the lower.

    It is read from a histogram with bins of 0.001 degrees, which can be summed over batches and devices.

    Args:
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    NAME = "median_angle"
    _direction = "down"

    def size(self) -> int:
        return _BINS

    def sums(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """Returns the histogram `(180000,)` of the angles."""
        bins = ops.minimum(ops.cast(self.pixels(y_true, y_pred) * (_BINS / 180), "int32"), _BINS - 1)
        return ops.segment_sum(ops.reshape(weight, (-1,)), ops.reshape(bins, (-1,)), _BINS)

    def value(self, totals: Any) -> Any:
        until = ops.cumsum(totals)
        middle = ops.argmax(until * 2 >= until[-1])  # the first bin with half of the pixels below its end
        return ops.where(until[-1] > 0, (ops.cast(middle, totals.dtype) + 0.5) * (180 / _BINS), np.nan)


@keras.saving.register_keras_serializable("mtl_keras")
class AngularAccuracy(_NormalMetric):
    """Share of the pixels whose predicted surface normal is within an angle of the true one.

    Published tables have the angles 11.25, 22.5 and 30 degrees.

    Args:
        degrees: the angle, > 0.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs; by default `within_<degrees>`.
        dtype: dtype of the sums.
    """

    _direction = "up"

    def __init__(
        self, degrees: float = 11.25, per_batch: bool = False, name: str | None = None, dtype: Any = None
    ) -> None:
        self.degrees = check_positive("degrees", degrees)
        super().__init__(per_batch, name or f"within_{degrees:g}", dtype)

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        """Returns 1 within the angle, 0 elsewhere."""
        return super().pixels(y_true, y_pred) < self.degrees

    def get_config(self) -> dict[str, Any]:
        return {"degrees": self.degrees, **super().get_config()}
