"""Checks the values of images and labels as they are read; each error names where they are from."""

from __future__ import annotations

import numpy as np

from data.dense.labels import label_dtype
from mtl_keras.tasks import Task

_ROUNDING = 1e-3
"""How far floats of an image may leave [0, 1], by the rounding of whoever resized it; they are clipped."""


def check_image(pixels: np.ndarray, where: str) -> np.ndarray:
    """Returns images of any shape as uint8, or as float32 in [0, 1].

    Args:
        pixels: uint8 or floats.
        where: where they are from, for messages: a file.

    Raises:
        ValueError: for another dtype, NaN, or floats outside [0, 1].
    """
    if pixels.dtype == np.uint8 or not pixels.size:
        return pixels
    if pixels.dtype.kind != "f":
        raise ValueError(f"{where}: images must be uint8, or floats in [0, 1]. Received: {pixels.dtype}")
    least, greatest = float(pixels.min()), float(pixels.max())
    if not (least >= -_ROUNDING and greatest <= 1 + _ROUNDING):  # so that NaN is refused
        received = "NaN" if np.isnan(least) else f"floats from {least:g} to {greatest:g}"
        raise ValueError(f"{where}: images must be uint8, or floats in [0, 1]. Received: {received}")
    floats = pixels.astype(np.float32, copy=False)
    return floats if least >= 0 and greatest <= 1 else floats.clip(0, 1)


def check_labels(task: Task, labels: np.ndarray, where: str, *, nan: bool = True) -> np.ndarray:
    """Returns labels of any shape in the dtype of the task: int32 or float32.

    Args:
        task: their task.
        labels: numbers; classes may be floats that hold whole numbers. -1 is a missing label of a mask, and of a
            binary task if its labels are integers.
        where: where they are from, for messages: a file.
        nan: whether NaN is allowed, as a missing label, for a task of floats.

    Raises:
        ValueError: for a class that does not exist, a binary label other than 0 and 1, infinity, or NaN where it is
            not allowed.
    """
    if labels.dtype.kind not in "biuf":
        raise ValueError(f"{where}: labels must be numbers. Received: {labels.dtype}")
    if not labels.size:
        return labels.astype(label_dtype(task))
    if task.head in ("classification", "segmentation"):
        return _check_classes(task, labels, where)
    if task.head in ("binary", "mask"):
        if labels.dtype.kind == "i" or task.invalid is not None:
            labels = np.where(labels == -1, np.float32(np.nan), labels)
        wrong = labels[~((labels == 0) | (labels == 1) | np.isnan(labels))]
        if len(wrong):
            raise ValueError(f"{where}: labels must be 0 or 1, or NaN if missing. Received: {wrong[0]:g}")
    if labels.dtype.kind == "f":
        # The sum of finite numbers is finite unless it overflows, and takes no array of booleans.
        total = float(np.sum(labels, dtype=np.float64))
        if not np.isfinite(total):
            if np.isinf(labels).any():
                raise ValueError(f"{where}: labels must be finite numbers. Received: infinity")
            if not nan and np.isnan(labels).any():
                raise ValueError(f"{where}: labels must be finite numbers. Received: NaN")
    return labels.astype(label_dtype(task), copy=False)


def _check_classes(task: Task, labels: np.ndarray, where: str) -> np.ndarray:
    count = task.shape[-1]
    ignored = -1 if task.invalid is None else int(task.invalid)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError(f"{where}: classes must be whole numbers. Received: NaN or infinity")
    # Compared before the conversion: 2**32 would become 0.
    least, greatest = labels.min(), labels.max()
    if not (least >= 0 and greatest < count):
        wrong = labels[((labels < 0) | (labels >= count)) & (labels != ignored)]
        if len(wrong):
            raise ValueError(
                f"{where}: classes are from 0 to {count - 1}, and {ignored} is no class. Received: {wrong[0]:g}"
            )
    classes = labels.astype(label_dtype(task), copy=False)
    if labels.dtype.kind == "f" and not np.array_equal(classes, labels):
        wrong = labels[classes != labels]
        raise ValueError(f"{where}: classes must be whole numbers. Received: {wrong[0]:g}")
    return classes
