"""`StopOnNonFinite`: stops training when a task's loss is NaN or infinite, and names the task."""

from __future__ import annotations

from collections.abc import Mapping

import keras


class NonFiniteLoss(ArithmeticError):
    """The training loss of a task became NaN or infinite.

    Args:
        task: name of the task.
        step: the first training step with such a loss, counted from 0.
    """

    def __init__(self, task: str, step: int) -> None:
        super().__init__(
            f"The loss of task {task!r} is not finite at training step {step}. Look for NaN or very large "
            "numbers in the inputs and its labels, or lower the learning rate or the task's weight."
        )
        self.task, self.step = task, step


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises `NonFiniteLoss`, naming the task and the step, once a task's training loss is NaN or infinite.

    Unlike `keras.callbacks.TerminateOnNaN`, it names the task and does not wait for the device at every step.

    Args:
        every: number of training executions between checks; the end of each epoch is checked too.

    Raises:
        ValueError: if `every` is not a positive number.
    """

    def __init__(self, every: int = 50) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every must be a number of executions >= 1. Received: every={every!r}")
        self.every = every
        self._executions = 0

    def __repr__(self) -> str:
        return f"StopOnNonFinite(every={self.every})"

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._executions += 1
        if self._executions % self.every == 0:
            self._check()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check()

    def _check(self) -> None:
        first_steps = self.model.nonfinite_losses
        if first_steps:
            task, step = min(first_steps.items(), key=lambda entry: entry[1])
            raise NonFiniteLoss(task, step)
