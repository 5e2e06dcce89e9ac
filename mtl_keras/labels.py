"""Missing labels: NaN in float labels, -1 in integer labels that are class indices."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableSet
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.losses import SegmentationLoss

_LOGGER = logging.getLogger("mtl_keras")


def align(y_true: Any, y_pred: Any, *, class_indices: bool) -> Any:
    """Returns labels with the rank that losses expect.

    Args:
        y_true: labels `(batch, ...)`.
        y_pred: predictions `(batch, ..., classes or channels)`.
        class_indices: whether labels are class indices, which have no last axis.

    Returns:
        Labels with the rank of `y_pred`, or one less for class indices.
    """
    rank = len(y_pred.shape) - class_indices
    if len(y_true.shape) == rank + 1 and y_true.shape[-1] == 1:
        return ops.squeeze(y_true, axis=-1)
    if len(y_true.shape) == rank - 1 and y_pred.shape[-1] == 1:
        return ops.expand_dims(y_true, axis=-1)
    return y_true


def present(y_true: Any, *, minus_one: bool, ignore_class: int | None = None) -> Any:
    """Returns `(batch, ...)` booleans: which labels are present.

    Args:
        y_true: labels `(batch, ...)`; NaN in float labels means "no label".
        minus_one: whether -1 in signed integer labels means "no label".
        ignore_class: a class index that means "no label" too.
    """
    if ignore_class is not None:
        return ops.logical_and(present(y_true, minus_one=minus_one), ops.not_equal(y_true, ignore_class))
    dtype = keras.backend.standardize_dtype(y_true.dtype)
    if dtype.startswith(("float", "bfloat")):
        return ops.logical_not(ops.isnan(y_true))
    if dtype.startswith("int") and minus_one:
        return ops.not_equal(y_true, -1)
    return ops.ones_like(y_true, dtype="bool")


def can_be_missing(dtype: Any, *, minus_one: bool) -> bool:
    """Returns whether labels of a dtype can be missing; see `present`."""
    name = keras.backend.standardize_dtype(dtype)
    return name.startswith(("float", "bfloat")) or (minus_one and name.startswith("int"))


def separate(y_true: Any, *, minus_one: bool, by_vector: bool = False, fill: Any = None) -> tuple[Any, Any]:
    """Replaces missing labels, and returns a mask of those that are present.

    Args:
        y_true: labels `(batch, ...)`.
        minus_one: as for `present`.
        by_vector: whether the last axis of dense labels (e.g. a pixel's channels) is present or missing as a whole.
        fill: `(batch, ...)` values that replace missing labels; `None` for 0, which every loss accepts.

    Returns:
        The labels, with missing ones replaced (since NaN x 0 is NaN), and `(batch, ...)` booleans: which are present.
        With `by_vector`, the booleans of dense float labels have no last axis.
    """

    def masked() -> tuple[Any, Any]:
        mask = present(y_true, minus_one=minus_one)
        replacement = ops.zeros_like(y_true) if fill is None else ops.cast(fill, y_true.dtype)
        if not dense:
            return ops.where(mask, y_true, replacement), mask
        mask = ops.all(mask, axis=-1)
        return ops.where(mask[..., None], y_true, replacement), mask

    is_float = keras.backend.standardize_dtype(y_true.dtype).startswith(("float", "bfloat"))
    dense = by_vector and is_float and len(y_true.shape) > 2
    if not dense:
        return masked()
    # Masking dense labels is slow and rarely needed: their sum shows whether any is NaN.
    all_present = ops.ones(ops.shape(y_true)[:-1], "bool")
    return ops.cond(ops.isnan(ops.sum(y_true)), masked, lambda: (y_true, all_present))


class LabelReport:
    """Checks the labels of `fit` or `evaluate` before the first step, if they are arrays.

    Args:
        training: inputs and labels to train on; `(None, None)` in `evaluate`.
        evaluated: inputs and labels of `validation_data`, or of `evaluate`.
        logged: messages that were logged before and are not repeated; those logged here are added.
    """

    def __init__(self, training: tuple[Any, Any], evaluated: tuple[Any, Any], logged: MutableSet[str]) -> None:
        self._training = training
        self._evaluated = evaluated
        self._logged = logged

    def check(self, specs: Mapping[str, Any], unpack: Callable[[Any], tuple[Any, Mapping[str, Any], Any]]) -> None:
        """Checks that labels are in range, and logs how many of each task's training labels are missing.

        Args:
            specs: `mtl_keras.training.spec.TaskSpec` by output.
            unpack: function from a batch to inputs, labels by output and weights.

        Raises:
            ValueError: for a class index or binary label out of range, naming the task and the example.
        """
        in_fit = self._training[0] is not None
        for data, where in ((self._training, ""), (self._evaluated, " of `validation_data`" if in_fit else "")):
            for name, values in unpack(data)[1].items() if data[1] is not None else ():
                if specs[name].losses and hasattr(values, "shape"):
                    array = np.asarray(values)
                    self._check_task(specs[name], array, where, training=data is self._training)

    def _check_task(self, spec: Any, array: np.ndarray, where: str, training: bool) -> None:
        missing = _missing(array, spec.minus_one) if spec.finds_missing else np.zeros(array.shape, bool)
        if training:
            _check_zeros(spec, array, missing)
        _check_range(spec, array, missing, where)
        if training and missing.any():
            self._warn(f"task {spec.name!r}: {missing.sum()} of {missing.size} labels are missing")
        elif training and not spec.finds_missing and spec.missing is None:
            unmasked = _missing(array, minus_one=int(spec.output.shape[-1] or 1) > 1)
            if unmasked.any():
                self._warn(
                    f"task {spec.name!r}: {unmasked.sum()} of {unmasked.size} labels are NaN or -1, and its loss "
                    "and metrics get them unchanged. To leave them out: "
                    f"compile(missing_labels={{{spec.name!r}: True}})"
                )

    def _warn(self, message: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            _LOGGER.warning("%s", message)


def _missing(array: np.ndarray, minus_one: bool) -> np.ndarray:
    if np.issubdtype(array.dtype, np.floating):
        return np.isnan(array) if np.isnan(array.sum()) else np.zeros(array.shape, bool)
    signed = np.issubdtype(array.dtype, np.signedinteger)
    return array == -1 if signed and minus_one else np.zeros(array.shape, bool)


def _check_range(spec: Any, array: np.ndarray, missing: np.ndarray, where: str) -> None:
    if array.dtype.kind not in "iuf":
        return
    is_segmentation = isinstance(spec.losses[0][0], SegmentationLoss)
    if spec.loss_name.startswith("sparse_") or is_segmentation:
        classes = int(spec.output.shape[-1])
        loss = spec.losses[0][0]
        ignored = loss.ignore if is_segmentation else loss._fn_kwargs.get("ignore_class")
        outside = ~missing & ((array < 0) | (array >= classes)) & (array != ignored)
        if outside.any():
            index = np.argwhere(outside)[0]
            raise ValueError(
                f"The label of task {spec.name!r} is not one of its {classes} classes, 0 to {classes - 1}. "
                f"Received: {array[tuple(index)]} at example {index[0]}{where}"
            )
    if spec.loss_name.startswith("binary_"):
        outside = ~missing & ((array < 0) | (array > 1))
        if outside.any():
            index = np.argwhere(outside)[0]
            different = np.unique(array[~missing])
            hint = f". Recode {different[0]:g} as 0 and {different[1]:g} as 1" if len(different) == 2 else ""
            raise ValueError(
                f"The label of task {spec.name!r} is not from 0 to 1, as its loss {spec.loss_name!r} needs. "
                f"Received: {array[tuple(index)]} at example {index[0]}{where}{hint}"
            )


def _check_zeros(spec: Any, array: np.ndarray, missing: np.ndarray) -> None:
    """Checks the labels to train on; a few examples to evaluate may well be without a 0."""
    is_binary = spec.loss_name.startswith("binary_") and array.dtype.kind == "i"
    if is_binary and 0 < missing.sum() < missing.size and (array[~missing] == 1).all():
        raise ValueError(
            f"The labels of the binary task {spec.name!r} must be 0 and 1, and -1 where they are missing. Received: "
            f"only -1 and 1, so that no label is 0. If -1 means 0, write (labels + 1) // 2, or use loss='hinge'"
        )
