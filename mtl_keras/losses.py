"""Losses that Keras does not have."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from mtl_keras.checks import unknown_value
from mtl_keras.keras_private import set_keras_mask


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


@keras.saving.register_keras_serializable("mtl_keras")
class SegmentationLoss(keras.losses.Loss):
    """Mean cross-entropy over the labelled pixels of the batch.

    It is `keras.losses.SparseCategoricalCrossentropy(ignore_class=ignore)`, but computed from the logits of a softmax
    output, as Keras does without `ignore_class`. From probabilities, the gradient of pixels whose class has a
    probability below 1e-7 is 0.

    Labels are class indices `(batch, height, width)`, predictions probabilities `(batch, height, width, classes)`.

    Args:
        ignore: the label of pixels without a class.
        name: name of the loss.
        reduction: how Keras reduces it over the labelled pixels.
        dtype: dtype of the loss.
    """

    def __init__(
        self,
        ignore: int = -1,
        name: str = "segmentation_loss",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.ignore = ignore

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the cross-entropy `(batch, height, width)` of each pixel, 0 where it has no label."""
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, axis=-1)
        valid = y_true != self.ignore
        values = ops.sparse_categorical_crossentropy(ops.where(valid, y_true, 0), y_pred)
        return _masked(ops.where(valid, values, 0.0), valid)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ignore": self.ignore, "dtype": self.dtype}


@keras.saving.register_keras_serializable("mtl_keras")
class DepthLoss(keras.losses.Loss):
    """Mean error of depth over the valid pixels of the batch.

    Labels and predictions are `(batch, height, width, 1)`, or both `(batch, height, width)`.

    Args:
        kind: `"absolute"`: `|p - g|`; `"squared"`: `(p - g)^2`, for predictions `p` and labels `g`.
        invalid: the label of pixels without depth, besides NaN; `None` if every number is a depth.
        name: name of the loss.
        reduction: how Keras reduces it over the valid pixels.
        dtype: dtype of the loss.

    Raises:
        ValueError: for an unknown kind.

    References:
        S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, equation 6,
        https://arxiv.org/abs/1803.10704
    """

    def __init__(
        self,
        kind: Literal["absolute", "squared"] = "absolute",
        invalid: float | None = 0.0,
        name: str = "depth_loss",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if kind not in ("absolute", "squared"):
            raise unknown_value("kind of DepthLoss", kind, ("absolute", "squared"))
        self.kind, self.invalid = kind, invalid

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the error `(batch, height, width)` of each pixel, 0 where it is not valid."""
        if len(y_true.shape) > 3:
            y_true, y_pred = ops.squeeze(y_true, axis=-1), ops.squeeze(y_pred, axis=-1)
        valid = ops.logical_not(ops.isnan(y_true))
        if self.invalid is not None:
            valid = ops.logical_and(valid, y_true != self.invalid)
        error = ops.where(valid, y_pred - y_true, 0.0)
        return _masked(ops.abs(error) if self.kind == "absolute" else ops.square(error), valid)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "invalid": self.invalid, "dtype": self.dtype}


@keras.saving.register_keras_serializable("mtl_keras")
class NormalLoss(keras.losses.Loss):
    """Mean of `1 - cos(angle)` between true and predicted surface normals, over the valid pixels of the batch.

    Labels are unit vectors `(batch, height, width, 3)`, zeros or NaN where there is none. Predictions may have any
    length; a prediction of zeros counts as one at a right angle.

    Args:
        name: name of the loss.
        reduction: how Keras reduces it over the valid pixels.
        dtype: dtype of the loss.

    References:
        S. Liu, E. Johns, A. J. Davison, CVPR 2019, equation 7, https://arxiv.org/abs/1803.10704
    """

    def __init__(self, name: str = "normal_loss", reduction: str = "sum_over_batch_size", dtype: Any = None) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns `1 - cos(angle)` of each pixel, `(batch, height, width)`, 0 where it is not valid."""
        valid = ops.sum(ops.square(y_true), axis=-1) > 0  # false for NaN too
        true = ops.where(valid[..., None], y_true, 0.0)
        square = ops.sum(ops.square(y_pred), axis=-1)
        # Without a root of 0, whose gradient is not finite.
        cosine = ops.sum(true * y_pred, axis=-1) * ops.rsqrt(ops.where(square > 0, square, 1.0))
        return _masked(ops.where(valid, 1.0 - cosine, 0.0), valid)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dtype": self.dtype}


def _masked(values: Any, valid: Any) -> Any:
    """Returns values that Keras reduces over the valid ones only."""
    set_keras_mask(values, valid)
    return values
