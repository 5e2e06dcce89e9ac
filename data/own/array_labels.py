"""Checks labels in NumPy arrays, and converts them to the label vectors of the pipeline."""

from __future__ import annotations

import numpy as np

from data.own.inference import known
from mtl_keras.serialization import unknown_value
from mtl_keras.tasks import Task


def encode(task: Task, values: np.ndarray) -> np.ndarray:
    """Returns labels as numbers.

    Args:
        task: classification, binary or regression.
        values: (examples,) or (examples, numbers): booleans, numbers, or strings from the task's `labels`. A missing
            label is -1 among integers, NaN among floats, "" or `None` among strings.

    Returns:
        float32 (examples, numbers): class indices and 0 or 1, -1 where missing; real numbers, NaN where missing.

    Raises:
        ValueError: for labels that are invalid for the task.
    """
    if len(values):
        known(task.name, values)
    if task.head == "regression":
        return _numbers(task, values)
    choices = task.labels or tuple(map(str, range(task.shape[-1])))
    if values.dtype.kind in "USO":
        return _indices(task, values, choices)
    flat = values.reshape(len(values), -1)
    if flat.shape[1] != 1:
        raise ValueError(f"labels of task {task.name!r} must be (examples,). Received: {values.shape}")
    encoded = np.nan_to_num(flat.astype(np.float64), nan=-1.0)
    classes = 2 if task.head == "binary" else task.shape[-1]
    wrong = encoded[~np.isin(encoded, np.arange(-1, classes))]
    if len(wrong):
        raise ValueError(
            f"labels of task {task.name!r} must be whole numbers from 0 to {classes - 1}, or missing (-1 or NaN). "
            f"Received: {wrong[0]:g}"
        )
    return encoded.astype(np.float32)


def _indices(task: Task, values: np.ndarray, choices: tuple[str, ...]) -> np.ndarray:
    """Returns the indices of strings; for a binary task their case is ignored."""
    fold = str.lower if task.head == "binary" else str
    index = {fold(choice): number for number, choice in enumerate(choices)} | {"": -1}
    texts = [
        "" if value is None else value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()
    ]
    for text in texts:
        if fold(text) not in index:
            raise unknown_value(f"label of task {task.name!r}", text, choices)
    return np.array([index[fold(text)] for text in texts], np.float32)[:, np.newaxis]


def _numbers(task: Task, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"labels of task {task.name!r} must be numbers. Received: {values.dtype}")
    flat = values.reshape(len(values), -1)
    if flat.shape[1:] != task.shape:
        raise ValueError(
            f"labels of task {task.name!r} must be (examples, {task.shape[-1]}), as the task's shape says. "
            f"Received: {values.shape}"
        )
    numbers = flat.astype(np.float32)
    return np.where(flat == -1, np.float32(np.nan), numbers) if flat.dtype.kind == "i" else numbers
