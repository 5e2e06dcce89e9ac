"""Arrays with a label for every pixel of every image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from data.dense.pixel_labels import PixelLabels, Summary, infer_kind, make_labels
from mtl_keras.serialization import Spec
from mtl_keras.tasks import Task

_AXES = (3, 4)


def are_pixel_labels(values: np.ndarray) -> bool:
    """Returns whether an array has the axes (examples, height, width) or (examples, height, width, channels)."""
    return values.ndim in _AXES and values.dtype.kind in "buif"


def infer_pixel_labels(name: str, values: np.ndarray) -> PixelLabels:
    """Returns the task that labels are meant for, and how they are stored.

    Args:
        name: the task's name.
        values: (examples, height, width) or (examples, height, width, channels).

    Raises:
        ValueError: if the task cannot be inferred.
    """
    found = [Summary.of(one) for one in values]
    try:
        return make_labels(name, Spec(infer_kind(name, found)), found)
    except ValueError as cause:
        raise ValueError(
            f"task {name!r} {cause}. Pass a Task, as Task.segmentation({name!r}, 5). "
            f"Received: {values.dtype} {values.shape}"
        ) from cause


def stored_labels(task: Task, values: np.ndarray) -> PixelLabels:
    """Returns how the labels of a given dense task are stored: 255 is 1 in a mask that has no 1."""
    if task.head != "mask" or not are_pixel_labels(values):
        return PixelLabels(task, task.invalid)
    return replace(make_labels(task.name, Spec("mask"), [Summary.of(one) for one in values]), task=task)


def decode_pixels(where: str, labels: PixelLabels, values: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Returns the labels of all images as `data.dense.source.DenseSource` documents them.

    Args:
        where: the argument that has them, for messages.
        labels: how they are stored.
        values: (examples, height, width) or (examples, height, width, channels).
        images: (examples, height, width, channels).

    Raises:
        ValueError: for labels of another size than the images, or invalid values; the message names the example.
    """
    name = labels.task.name
    if values.ndim not in _AXES or values.shape[:3] != images.shape[:3]:
        size = ", ".join(map(str, images.shape[:3]))
        raise ValueError(
            f"`{where}` of task {name!r} must be ({size}) or ({size}, channels), the size of the images. "
            f"Received: {values.shape}"
        )
    try:
        # All images below each other are one image.
        decoded = labels.decode(values.reshape(-1, *values.shape[2:]))
    except ValueError:
        for number, one in enumerate(values):
            try:
                labels.decode(one)
            except ValueError as cause:
                raise ValueError(f"`{where}` of task {name!r} {cause} at example {number}") from cause
        raise
    return decoded.reshape(*images.shape[:3], *decoded.shape[2:])
