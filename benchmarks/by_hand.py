"""A training loop as one writes it by hand: a `tf.function` step of losses, gradients and an optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from mtl_keras.tasks import Task, TaskSet


class ByHand:
    """Trains a Functional model without `fit`, metrics, missing labels or dropped tasks.

    Args:
        inputs: symbolic inputs.
        outputs: task name -> symbolic output.
        tasks: the tasks.
    """

    def __init__(self, inputs: Any, outputs: Any, tasks: TaskSet) -> None:
        self.model = keras.Model(inputs, outputs)
        self._tasks = tasks
        self._optimizer = keras.optimizers.Adam()
        self._optimizer.build(self.model.trainable_variables)
        self.step = tf.function(self._step, autograph=False)
        self._next = tf.function(lambda iterator: self.step(*next(iterator)), autograph=False)

    def __call__(self, iterator: Iterator[Any]) -> float:
        """Takes a step with the next batch; returns the sum of the losses."""
        return float(self._next(iterator))

    def _step(self, images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = self.model(images, training=True)
            losses = [tf.reduce_mean(_loss(task, labels[name], outputs[name])) for name, task in self._tasks.items()]
            total = tf.add_n(losses)
        variables = self.model.trainable_variables
        gradients = tape.gradient(total, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return total


def _loss(task: Task, labels: Any, outputs: Any) -> Any:
    if task.head == "reconstruction":
        return tf.square(outputs - labels)
    if task.shape == (1,):
        return keras.losses.binary_crossentropy(tf.cast(labels, "float32")[:, None], outputs)
    return keras.losses.sparse_categorical_crossentropy(labels, outputs)
