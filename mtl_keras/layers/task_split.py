"""`TaskSplit`: splits the output of a fused head into one tensor per task."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable("mtl_keras")
class TaskSplit(keras.layers.Layer):
    """Splits `(batch, tasks * units)` into one `(batch, units)` tensor per task.

    Directly after a `keras.layers.Dense`, it makes a fused head: one matrix product for all tasks.
    `mtl_keras.MultiTaskModel` trains the whole matrix at once and never splits it. The columns of the `Dense` layer's
    kernel and bias are then private to their tasks: those of a dropped task do not change.

    Args:
        tasks: number of tasks, which have equal consecutive shares of the last axis.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        ValueError: if the last axis cannot be divided into `tasks` equal shares.

    Example:

    ```python
    scores = keras.layers.Dense(3, activation="sigmoid")(features)
    hat, glasses, smile = TaskSplit(3)(scores)
    ```
    """

    def __init__(self, tasks: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if tasks < 1:
            raise ValueError(f"TaskSplit needs `tasks` >= 1. Received: tasks={tasks}")
        self.tasks = int(tasks)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None or input_shape[-1] % self.tasks:
            raise ValueError(
                f"TaskSplit(tasks={self.tasks}) needs an input (batch, units * {self.tasks}). "
                f"Received: input_shape={input_shape}"
            )
        self.built = True

    def call(self, inputs: Any) -> list[Any]:
        """Returns `tasks` tensors `(batch, units)`."""
        return keras.ops.split(inputs, self.tasks, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> list[tuple[int | None, ...]]:
        return [(input_shape[0], int(input_shape[-1] or 0) // self.tasks)] * self.tasks

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "tasks": self.tasks}
