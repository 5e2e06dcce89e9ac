"""Metrics computed from sums over samples, so that one array holds the sums of many tasks.

A `SampleStatistics` metric defines what each sample adds to the sums (`statistics`) and the metric of the sums
(`value`). Both work on any leading axes: `(batch,)` in stock Keras, `(batch, tasks)` in a `mtl_keras.MultiTaskModel`,
which keeps the sums of all tasks side by side. They are ordinary `keras.metrics.Metric` objects and work in
`keras.Model.compile` too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


class SampleStatistics(keras.metrics.Metric):
    """A metric whose state is the sum, over labelled samples, of a vector of statistics.

    Args:
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    _direction = "up"

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._totals: Any = None
        self._source: Callable[[], Any] | None = None

    @abstractmethod
    def size(self, output_shape: tuple[int | None, ...]) -> int:
        """Returns the number of statistics of a task with outputs `(batch, *output_shape)`."""

    @abstractmethod
    def statistics(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the statistics that each sample adds to the sums.

        Args:
            y_true: labels `(..., *label shape)`, none missing.
            y_pred: predictions `(..., *output shape)`.

        Returns:
            Statistics `(..., statistics)`.
        """

    @abstractmethod
    def value(self, totals: Any) -> Any:
        """Returns the metric `(...)` of summed statistics `(..., statistics)`; NaN where nothing was summed."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch: `y_true` and `y_pred` `(batch, ...)`, `sample_weight` `(batch,)` or `None`."""
        y_pred = ops.convert_to_tensor(y_pred)
        if self._totals is None:
            self._totals = self.add_weight(shape=(self.size(y_pred.shape[1:]),), initializer="zeros", name="totals")
        self._source = None
        statistics = ops.cast(self.statistics(ops.convert_to_tensor(y_true), y_pred), self.dtype)
        if sample_weight is not None:
            weight = ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
            statistics = statistics * weight
        self._totals.assign_add(ops.sum(statistics, axis=0))

    def result(self) -> Any:
        """Returns the metric over all samples since the last reset."""
        if self._source is not None:
            return self.value(self._source())
        return 0.0 if self._totals is None else self.value(self._totals)

    def read_from(self, sums: keras.Variable, row: int) -> None:
        """Makes `result` read a row of sums `(tasks, statistics)` that a training step keeps for similar tasks."""
        self._source = lambda: sums.value[row]

    @property
    def sums(self) -> Any:
        """The sums `(statistics,)`."""
        return self._totals.value

    def set_sums(self, sums: Any) -> None:
        """Sets the sums `(statistics,)`."""
        if self._totals is None:
            self._totals = self.add_weight(shape=np.shape(sums), initializer="zeros", name="totals")
        self._totals.assign(sums)


@keras.saving.register_keras_serializable("mtl_keras")
class BalancedAccuracy(SampleStatistics):
    """Mean recall: the share of correctly predicted samples of each class, averaged over the classes.

    A constant prediction scores 1 / classes however unbalanced the labels are. Classes without samples are left out
    of the mean.

    Labels are `(batch,)` or `(batch, 1)`; predictions `(batch, 1)` (one probability) or `(batch, classes)`.

    Args:
        threshold: probability from which a binary prediction counts as positive.
        name: name of the metric in the logs.
        dtype: dtype of the sums.

    References:
        Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010, equation 1.
    """

    def __init__(self, threshold: float = 0.5, name: str = "balanced_accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.threshold = threshold

    def size(self, output_shape: tuple[int | None, ...]) -> int:
        """Returns 2 * classes."""
        return 2 * max(2, int(output_shape[-1] or 1))

    def statistics(self, y_true: Any, y_pred: Any) -> Any:
        """Returns `(..., 2 * classes)`: correct samples of each class, then samples of each class."""
        if y_pred.shape[-1] == 1:
            classes, predicted = 2, ops.cast(y_pred[..., 0] >= self.threshold, "int32")
        else:
            classes, predicted = y_pred.shape[-1], ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        if len(y_true.shape) == len(y_pred.shape):
            y_true = y_true[..., 0]
        true = ops.one_hot(ops.cast(y_true, "int32"), classes, dtype=self.dtype)
        return ops.concatenate([true * ops.one_hot(predicted, classes, dtype=self.dtype), true], axis=-1)

    def value(self, totals: Any) -> Any:
        """Returns the mean recall `(...)` of the classes that occurred."""
        correct, count = ops.split(totals, 2, axis=-1)
        recall = ops.divide_no_nan(correct, count)
        present = ops.cast(count > 0, totals.dtype)
        return ops.sum(recall, axis=-1) / ops.sum(present, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "threshold": self.threshold}


class _MeanError(SampleStatistics):
    """Mean error over samples."""

    _direction = "down"

    def __init__(self, scale: float, name: str, dtype: Any) -> None:
        super().__init__(name=name, dtype=dtype)
        self.scale = scale

    @abstractmethod
    def errors(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the error `(...)` of each sample; arguments as for `statistics`, in the metric's dtype."""

    def size(self, output_shape: tuple[int | None, ...]) -> int:
        """Returns 2."""
        return 2

    def statistics(self, y_true: Any, y_pred: Any) -> Any:
        """Returns `(..., 2)`: a sample's error, and 1."""
        errors = self.errors(ops.cast(y_true, self.dtype), ops.cast(y_pred, self.dtype))
        return ops.stack([errors, ops.ones_like(errors)], axis=-1)

    def value(self, totals: Any) -> Any:
        """Returns the mean error `(...)`."""
        return totals[..., 0] / totals[..., 1]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "scale": self.scale}


@keras.saving.register_keras_serializable("mtl_keras")
class PointError(_MeanError):
    """Mean Euclidean distance between true and predicted points.

    Labels and predictions are `(batch, 2 * points)`: x0, y0, x1, y1, ...

    Args:
        scale: factor of the distances, e.g. the side of the image in pixels when the coordinates are in [0, 1].
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    def __init__(self, scale: float = 1.0, name: str = "point_error", dtype: Any = None) -> None:
        super().__init__(scale, name, dtype)

    def errors(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a sample's mean distance over its points."""
        squares = ops.square(y_pred - y_true)
        return ops.mean(ops.sqrt(squares[..., 0::2] + squares[..., 1::2]), axis=-1) * self.scale


@keras.saving.register_keras_serializable("mtl_keras")
class ScaledError(_MeanError):
    """Mean absolute error divided by `scale`; it has no unit if that is the labels' standard deviation.

    Args:
        scale: divisor of the error, > 0.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    def __init__(self, scale: float = 1.0, name: str = "scaled_mae", dtype: Any = None) -> None:
        super().__init__(scale, name, dtype)

    def errors(self, y_true: Any, y_pred: Any) -> Any:
        """Returns a sample's mean error over its outputs."""
        return ops.mean(ops.abs(y_pred - y_true) / self.scale, axis=-1)
