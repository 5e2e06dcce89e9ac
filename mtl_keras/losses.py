"""Losses that Keras does not have."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("mtl_keras")
class ScaledLoss(keras.losses.Loss):
    """A Keras loss of labels and predictions that are both divided by `scale`.

    With the squared error and the labels' standard deviation, the best constant prediction has a loss of 1.

    Args:
        loss: the name of a Keras loss, `"mse"` or `"huber"`.
        scale: divisor of labels and predictions `(batch, size)`, > 0.
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
