"""Missing labels: NaN in float labels, -1 in integer labels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

# Their integer labels are -1 and 1, so -1 cannot mean "missing".
_SIGNED_LABELS = ("hinge", "squared_hinge", "categorical_hinge")


def align(y_true: Any, y_pred: Any, *, class_indices: bool) -> Any:
    """Gives labels the rank that losses expect of them.

    Args:
        y_true: labels `(batch, ...)`.
        y_pred: predictions `(batch, ..., classes or channels)`.
        class_indices: whether labels are class indices, which have no last axis.

    Returns:
        Labels of the rank of `y_pred`, or one less for class indices.
    """
    rank = len(y_pred.shape) - class_indices
    if len(y_true.shape) == rank + 1 and y_true.shape[-1] == 1:
        return ops.squeeze(y_true, axis=-1)
    if len(y_true.shape) == rank - 1 and y_pred.shape[-1] == 1:
        return ops.expand_dims(y_true, axis=-1)
    return y_true


def present(y_true: Any, loss_name: str = "", ignore_class: int | None = None) -> Any:
    """Returns `(batch, ...)` booleans: which labels are there.

    Args:
        y_true: labels `(batch, ...)`; NaN (floats) or -1 (signed integers) is "no label".
        loss_name: name of the loss function; for the hinge losses -1 is a label.
        ignore_class: a class index that is "no label" too.
    """
    if ignore_class is not None:
        return ops.logical_and(present(y_true, loss_name), ops.not_equal(y_true, ignore_class))
    dtype = keras.backend.standardize_dtype(y_true.dtype)
    if dtype.startswith(("float", "bfloat")):
        return ops.logical_not(ops.isnan(y_true))
    if dtype.startswith("int") and loss_name not in _SIGNED_LABELS:
        return ops.not_equal(y_true, -1)
    return ops.ones_like(y_true, dtype="bool")


def separate(
    y_true: Any, loss_name: str = "", ignore_class: int | None = None, *, by_vector: bool = False, fill: Any = None
) -> tuple[Any, Any]:
    """Separates labels from the knowledge of which of them are there.

    Args:
        y_true: labels `(batch, ...)`.
        loss_name: as for `present`.
        ignore_class: as for `present`.
        by_vector: whether the last axis of dense labels (the channels of a pixel, say) is there or missing as a whole.
        fill: `(batch, ...)` what missing labels are replaced by; 0, which every loss accepts, if there is none.

    Returns:
        The labels, missing ones replaced (NaN x 0 is NaN), and `(batch, ...)` booleans: which are there. These lack the
        last axis of dense float labels `by_vector`.
    """

    def masked() -> tuple[Any, Any]:
        mask = present(y_true, loss_name, ignore_class)
        instead = ops.zeros_like(y_true) if fill is None else ops.cast(fill, y_true.dtype)
        if not dense:
            return ops.where(mask, y_true, instead), mask
        mask = ops.all(mask, axis=-1)
        return ops.where(mask[..., None], y_true, instead), mask

    is_float = keras.backend.standardize_dtype(y_true.dtype).startswith(("float", "bfloat"))
    dense = by_vector and is_float and len(y_true.shape) > 2 and ignore_class is None
    if not dense:
        return masked()
    # An image a sample is much to mask, and rarely has a hole. One sum tells: it is NaN if any label is.
    everything = ops.ones(ops.shape(y_true)[:-1], "bool")
    return ops.cond(ops.isnan(ops.sum(y_true)), masked, lambda: (y_true, everything))
