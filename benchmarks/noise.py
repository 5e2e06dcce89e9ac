"""What benchmarks train on."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtl_keras.tasks import TaskSet

SHAPE = (32, 32, 3)


def batches(tasks: TaskSet, size: int, shape: tuple[int, int, int] = SHAPE) -> tf.data.Dataset:
    """Returns one batch of `size` noise images `(height, width, channels)`, with labels by task, over and over."""
    rng = np.random.default_rng(0)
    images = rng.random((size, *shape), "float32")
    labels = {
        name: images if task.head == "reconstruction" else rng.integers(0, 2, size, dtype="int32")
        for name, task in tasks.items()
    }
    options = tf.data.Options()
    options.autotune.enabled = (
        False  # with it, the end of an epoch may wait for the tuner, for as long as the epoch took
    )
    return tf.data.Dataset.from_tensors((images, labels)).cache().repeat().prefetch(2).with_options(options)
