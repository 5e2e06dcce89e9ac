"""Metrics of surface normals."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_positive
from mtl_keras.dense_metrics.base import DenseMetric, histogram

_BINS = 180_000  # of 0.001 degrees


class _NormalMetric(DenseMetric):
    """A metric of the angle between true and predicted surface normals `(batch, height, width, 3)`.

    True normals are unit vectors, or zeros where there is none. Predicted ones may have any length.
    """

    def valid(self, y_true: Any) -> Any:
        return _dot(y_true, y_true) > 0  # false for NaN too

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the angles in degrees."""
        true, predicted = ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype)
        square = _dot(predicted, predicted)
        cosine = _dot(true, predicted) * ops.rsqrt(ops.where(square > 0, square, 1.0))
        return ops.arccos(ops.clip(cosine, -1.0, 1.0)) * (180 / math.pi)


def _dot(one: Any, other: Any) -> Any:
    # Faster than a sum over the last axis, which is short.
    x, y, z = (one[..., axis] * other[..., axis] for axis in range(3))
    return x + y + z


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
        return histogram(bins, weight, _BINS)

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
