"""`Filling`: brings the batches of one source into the common form of a mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from mtl_keras.tasks import TaskSet


class Filling:
    """Resizes images to one shape, and fills in missing labels for the tasks that a source does not have.

    Classes become int32, with -1 for missing; all other labels become float32, with NaN for missing.

    Args:
        tasks: the tasks of all sources.
        image_shape: (height, width, channels).
        labels: the label specs of each source.
    """

    def __init__(
        self, tasks: TaskSet, image_shape: tuple[int, int, int], labels: Sequence[Mapping[str, tf.TensorSpec]]
    ) -> None:
        self._image_shape = image_shape
        self._tasks = tasks
        self._shapes: dict[str, list[int]] = {}
        for specs in reversed(labels):
            self._shapes |= {name: spec.shape.as_list()[1:] for name, spec in specs.items()}

    def __call__(self, images: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns a batch (image, {task: labels}) with all tasks."""
        batch = tf.shape(images)[:1]
        return self._resized(images), {name: self._labels(name, labels.get(name), batch) for name in self._tasks}

    def _labels(self, name: str, labels: tf.Tensor | None, batch: tf.Tensor) -> tf.Tensor:
        classes = self._tasks[name].head == "classification"
        dtype, missing = (tf.int32, -1) if classes else (tf.float32, np.nan)
        shape = self._shapes[name]
        if labels is None:
            filled = tf.fill(tf.concat([batch, tf.constant(shape, tf.int32)], axis=0), tf.constant(missing, dtype))
            return tf.ensure_shape(filled, (None, *shape))
        numbers = tf.cast(labels, dtype)
        if labels.dtype.is_integer and not classes:
            numbers = tf.where(numbers == -1, missing, numbers)
        return tf.reshape(numbers, (-1, *shape))

    def _resized(self, images: tf.Tensor) -> tf.Tensor:
        if images.shape[1:] == self._image_shape:
            return images
        height, width, channels = self._image_shape
        if images.shape[-1] != channels:
            images = tf.image.grayscale_to_rgb(images) if channels == 3 else tf.image.rgb_to_grayscale(images)
        return tf.clip_by_value(tf.image.resize(images, (height, width), antialias=True), 0, 1)
