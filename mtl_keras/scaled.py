"""Numbers in any unit, judged in standard deviations of the labels, so that they weigh as much as other tasks do."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtl_keras.metrics import SampleStatistics


@keras.saving.register_keras_serializable("mtl_keras")
class ScaledLoss(keras.losses.Loss):
    """A loss of labels and predictions that are both divided by a number.

    With the squared error and the labels' standard deviation, the best constant prediction has a loss of 1.

    Args:
        loss: the name of a loss of Keras', `"mse"` or `"huber"`.
        scale: what labels and predictions `(batch, size)` are divided by, > 0.
        name: name of the loss.
        reduction: how Keras reduces it over the batch.
        dtype: dtype of the loss.
    """

    def __init__(
        self,
        loss: str = "mse",
        scale: float = 1.0,
        name: str = "scaled_loss",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.loss = loss
        self.scale = scale
        self._function = keras.losses.get(loss)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss `(batch,)` of each sample."""
        return self._function(y_true / self.scale, y_pred / self.scale)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss": self.loss, "scale": self.scale, "dtype": self.dtype}


@keras.saving.register_keras_serializable("mtl_keras")
class ScaledError(SampleStatistics):
    """Mean absolute error, divided by a number: with the labels' standard deviation, one without a unit.

    Args:
        scale: what the error is divided by, > 0.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    _direction = "down"

    def __init__(self, scale: float = 1.0, name: str = "scaled_mae", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.scale = scale

    def size(self, output_shape: tuple[int | None, ...]) -> int:
        """Returns 2."""
        return 2

    def statistics(self, y_true: Any, y_pred: Any) -> Any:
        """Returns `(..., 2)`: a sample's mean error over its numbers, and 1."""
        errors = ops.abs(ops.cast(y_pred, self.dtype) - ops.cast(y_true, self.dtype)) / self.scale
        error = ops.mean(errors, axis=-1)
        return ops.stack([error, ops.ones_like(error)], axis=-1)

    def value(self, totals: Any) -> Any:
        """Returns the mean error `(...)`."""
        return totals[..., 0] / totals[..., 1]

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype, "scale": self.scale}
