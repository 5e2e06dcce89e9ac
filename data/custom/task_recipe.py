"""The recipe of your own data, made from its tasks and image shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from data import images
from data.recipe import SPLITS, Recipe
from mtl_keras.checks import unknown_value
from mtl_keras.metrics import PointError
from mtl_keras.tasks import Task, TaskSet

_CHANNELS = (1, 3, 4)


def recipe_from_tasks(
    name: str,
    tasks: TaskSet,
    image_shape: Sequence[int],
    *,
    image_dtype: Any = np.uint8,
) -> Recipe:
    """Returns the recipe of a dataset whose stored labels are those of its tasks.

    The fields are the tasks' names, or `"name/0"`, `"name/1"`, ... for a regression of several numbers. A
    reconstruction has none: its label is the image. Flipping the images flips the points of `Task.landmarks` and swaps
    those named `left` and `right`; other labels do not change.

    Args:
        name: name of the dataset: letters, digits and `_`.
        tasks: the tasks that it has labels for.
        image_shape: (height, width, channels) of the model's input images; (features,) for the rows of a table.
        image_dtype: uint8, or float32 for images in [0, 1] and for rows.

    Raises:
        ValueError: for an invalid name or shape, or a task whose shape does not fit its kind.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name):
        raise ValueError(f"`name` must be a letter, then letters, digits and '_'. Received: name={name!r}")
    # `Recipe.image_shape` has the type of an image's shape.
    shape: Any = tuple(image_shape) if is_row(image_shape) else checked_image_shape(image_shape)
    for task in tasks.values():
        expected = shape if task.head == "reconstruction" else task.shape[:1]
        if task.shape != expected:
            raise ValueError(
                f"shape of task {task.name!r} must be {expected if task.head == 'reconstruction' else 'of one axis'}. "
                f"Received: {task.shape}"
            )
    dataset_name = name

    class TaskRecipe(Recipe):
        available = tasks
        version = "own"
        downloadable = False
        splits: ClassVar[Mapping[str, str]] = {split: split for split in SPLITS}
        stored_shape = shape
        image_shape = shape
        label_dtype = tf.float32
        array_dtype = image_dtype
        labels_may_be_missing = True
        no_flips = "they are the rows of a table" if is_row(shape) else ""

        @property
        def name(self) -> str:
            return dataset_name

        @property
        def fields(self) -> tuple[str, ...]:
            return tuple(field for task in tasks_with_labels(self.tasks) for field in label_fields(task))

        def number(self, field: str, values: tf.Tensor) -> tf.Tensor:
            numbers = tf.cast(values, self.label_dtype)
            return numbers if self.limits(field) is None else tf.where(tf.math.is_nan(numbers), -1.0, numbers)

        def limits(self, field: str) -> tuple[int, int] | None:
            task = self.tasks[field.partition("/")[0]]
            if task.head == "regression":
                return None
            return -1, 1 if task.head == "binary" else task.shape[0] - 1

        def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
            found = {}
            column = 0
            for task in tasks_with_labels(self.tasks):
                numbers = vectors[:, column : column + len(label_fields(task))]
                column += len(label_fields(task))
                if task.head == "classification":
                    found[task.name] = tf.cast(numbers[:, 0], tf.int32)
                elif task.head == "binary":
                    found[task.name] = tf.where(numbers[:, 0] < 0, np.nan, numbers[:, 0])
                else:
                    found[task.name] = numbers
            return found

        def mirror(self, labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            orders = {task.name: mirrored_order(task.labels) for task in self.tasks.values() if has_points(task)}
            flipped = {name: images.mirror_points(labels[name], order) for name, order in orders.items()}
            return {**labels, **flipped}

    return TaskRecipe()


def is_row(shape: Sequence[int]) -> bool:
    """Returns whether examples of this shape are the rows of a table, (features,), and not images."""
    return len(shape) == 1


def tasks_with_labels(tasks: TaskSet) -> list[Task]:
    """Returns the tasks with separate labels: all except reconstructions."""
    return [task for task in tasks.values() if task.head != "reconstruction"]


def label_fields(task: Task) -> tuple[str, ...]:
    """Returns the field names of a task's label."""
    if task.head != "regression" or task.shape == (1,):
        return (task.name,)
    return tuple(f"{task.name}/{number}" for number in range(task.shape[0]))


def checked_image_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Returns (height, width, channels) if JPEG or PNG files can have it, as exported models decode such files."""
    sizes = tuple(shape)
    if len(sizes) != 3 or not all(isinstance(size, (int, np.integer)) and size > 0 for size in sizes):
        raise ValueError(f"`image_shape` must be (height, width, channels), all > 0. Received: image_shape={shape!r}")
    if sizes[2] not in _CHANNELS:
        raise ValueError(f"images must have 1, 3 or 4 channels. Received: image_shape={shape!r}")
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def check_splits(argument: str, found: Mapping[str, object], needed: Sequence[str] = SPLITS) -> None:
    """Raises a ValueError unless a mapping has exactly one entry for each split."""
    for name in found:
        if name not in needed:
            raise unknown_value(f"split in `{argument}`", name, needed)
    for name in needed:
        if name not in found:
            raise ValueError(f"`{argument}` must have {', '.join(needed)}. Received: {', '.join(found) or 'none'}")


def has_points(task: Task) -> bool:
    """Returns whether a task is one of `Task.landmarks`."""
    return any(isinstance(metric, PointError) for metric in task.metrics) and 2 * len(task.labels) == task.shape[0]


def mirrored_order(points: Sequence[str]) -> list[int]:
    """Returns, for each point, the index of the point that replaces it in the flipped image."""
    swapped = [re.sub("left|right", lambda side: "right" if side[0] == "left" else "left", point) for point in points]
    return [points.index(other) if other in points else number for number, other in enumerate(swapped)]
