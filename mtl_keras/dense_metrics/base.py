"""`DenseMetric`: the base class of metrics over pixels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_bool

_MANY_BINS = 10_000


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
        return ratio(totals[0], totals[1])

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
        return ratio(self.totals[0], self.totals[1]) if self.per_batch else self.value(self.totals.value)

    def get_config(self) -> dict[str, Any]:
        return {"per_batch": self.per_batch, "name": self.name, "dtype": self.dtype}


def ratio(total: Any, count: Any) -> Any:
    """Returns `total / count`, NaN where `count` is 0."""
    return ops.where(count > 0, total / ops.where(count > 0, count, 1.0), np.nan)


def without_channel(values: Any) -> Any:
    """Returns values `(batch, height, width)` or `(batch, height, width, 1)` without the last axis."""
    return ops.squeeze(values, axis=-1) if len(values.shape) > 3 else values


def histogram(bins: Any, weight: Any, count: int) -> Any:
    """Returns the sum of the weights in each of `count` bins.

    Args:
        bins: indices `(batch, height, width)`, int32.
        weight: weights of the same shape.
        count: number of bins.
    """
    # By example, then summed, if there are few bins: TensorFlow divides segments, not pixels, among the cores.
    examples = ops.shape(bins)[0] if count < _MANY_BINS else 1
    segments = bins + count * ops.reshape(ops.arange(examples, dtype="int32"), (-1, 1, 1))
    sums = ops.segment_sum(ops.reshape(weight, (-1,)), ops.reshape(segments, (-1,)), examples * count)
    return ops.sum(ops.reshape(sums, (-1, count)), axis=0)
