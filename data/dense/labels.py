"""The form of the labels of each kind of task: shape, dtype, and which of them are missing."""

from __future__ import annotations

import math

import numpy as np

from mtl_keras.tasks import Task


def label_shape(task: Task) -> tuple[int, ...]:
    """Returns the shape of one label; that of a dense task has the size of the images."""
    if task.head == "segmentation":
        return task.shape[:2]
    return () if task.head in ("classification", "binary") else task.shape


def label_dtype(task: Task) -> np.dtype:
    """Returns the dtype of labels: int32 for classes, float32 otherwise."""
    return np.dtype(np.int32 if task.head in ("classification", "segmentation") else np.float32)


def compact_dtype(task: Task) -> np.dtype:
    """Returns the smallest dtype that holds the labels exactly, to cache them."""
    if task.head == "mask":
        return np.dtype(np.float16)
    if task.head == "segmentation":
        values = (task.shape[-1] - 1, -1 if task.invalid is None else int(task.invalid))
        for kind in (np.int8, np.int16):
            if np.iinfo(kind).min <= min(values) and max(values) <= np.iinfo(kind).max:
                return np.dtype(kind)
    return label_dtype(task)


def has_label(task: Task, labels: np.ndarray) -> np.ndarray:
    """Returns which examples have a label, bool (examples,).

    For dense tasks, those with at least one labelled pixel; for others, those without a missing value.

    Args:
        task: the task.
        labels: (examples, ...), as `DenseSource` documents.
    """
    known: np.ndarray = labels >= 0 if task.head == "classification" else np.isfinite(labels)
    if task.is_dense and task.invalid is not None:
        known = np.logical_and(known, labels != task.invalid)
    rows = known.reshape(len(labels), math.prod(labels.shape[1:]))
    return np.asarray(rows.any(axis=1) if task.is_dense else rows.all(axis=1))
