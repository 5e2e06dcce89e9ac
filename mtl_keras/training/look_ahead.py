"""Look-ahead: how a step of the optimizer on one task alone changes the losses of all tasks, and statistics of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mtl_keras.analysis.affinity import Affinity
from mtl_keras.distribution import Replicas
from mtl_keras.training.gradients import MeasuredSteps, SharedGroup
from mtl_keras.training.groups import running_sum


class AffinityStatistics(MeasuredSteps):
    """Running sums of affinities over the measured steps, kept in variables so that no step waits for the device.

    Args:
        tasks: the number of tasks.

    Attributes:
        sources: number of tasks whose effect is measured in each measured step.
        turns: `(tasks,)` variable: how often the effect of each task was measured since `compile`.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.sources = 1
        pairs = (tasks, tasks)
        self._totals, self._squares, self._counts = (
            running_sum(f"affinity_{name}", pairs) for name in ("totals", "squares", "counts")
        )
        self.turns = running_sum("affinity_turns", (tasks,))

    @property
    def variables(self) -> list[keras.Variable]:
        """The sums."""
        return [self._totals, self._squares, self._counts]

    def next_source(self, eligible: Any) -> Any:
        """Chooses the task whose effect was measured least often; the first one of several.

        Args:
            eligible: `(tasks,)` booleans.

        Returns:
            `(tasks,)` float32: 1 for the task, else 0; only zeros if no task is eligible.
        """
        first = ops.argmin(ops.where(eligible, self.turns.value, np.inf))
        chosen = ops.cast(ops.logical_and(ops.arange(eligible.shape[0]) == first, eligible), "float32")
        self.turns.assign_add(chosen)
        return chosen

    def add(self, source: Any, before: Any, after: Any, known: Any) -> None:
        """Adds the affinities `1 - after / before` of one source to the running sums.

        Losses that are not above 0 have no ratio, and are left out, as are those that are not finite.

        Args:
            source: `(tasks,)` float32: 1 for the source, else 0.
            before: `(tasks,)` losses before the step on the source.
            after: `(tasks,)` losses after it.
            known: `(tasks,)` booleans: the tasks that are counted.
        """
        before, after = (ops.cast(losses, "float32") for losses in (before, after))
        finite = ops.logical_and(ops.isfinite(before), ops.isfinite(after))
        known = ops.logical_and(ops.logical_and(known, before > 0), finite)
        values = ops.where(known, 1 - ops.divide_no_nan(after, before), 0.0)
        for variable, row in zip(self.variables, (values, values**2, ops.cast(known, "float32")), strict=True):
            variable.assign_add(source[:, None] * row[None, :])

    def summary(self, tasks: Sequence[str]) -> Affinity:
        """Returns the affinities over the steps since the last reset.

        Args:
            tasks: the names of the tasks.
        """
        return Affinity.from_sums(tasks, *(ops.convert_to_numpy(variable.value) for variable in self.variables))


class LookAhead:
    """Measures affinities in a training step, and leaves the model and the optimizer as they were.

    Args:
        statistics: the statistics, to which the affinities are added.
        model: the compiled `MultiTaskModel`.
        replicas: the replicas that run the step together.
        groups: the variables that the tasks of the step share.
    """

    def __init__(
        self,
        statistics: AffinityStatistics,
        model: Any,
        replicas: Replicas,
        groups: Sequence[SharedGroup],
    ) -> None:
        self._statistics, self._model, self._replicas = statistics, model, replicas
        self._shared = [variable for group in groups for variable in group.variables]
        count = len(model.task_names)
        # For each shared variable, the tasks whose step moves it.
        self._moved_by = {id(variable): _mask(group.tasks, count) for group in groups for variable in group.variables}
        self._sharing = np.any([np.zeros(count, bool), *self._moved_by.values()], axis=0)

    def measure(
        self,
        losses: Any,
        counted: Any,
        gradients: Callable[[Any], Sequence[Any]],
        losses_again: Callable[[], Any],
    ) -> None:
        """Measures the effect of one or several tasks in turn.

        Args:
            losses: `(tasks,)` losses of the batch, over all replicas.
            counted: `(tasks,)` booleans: which tasks ran and had labels.
            gradients: function `(weights of the losses (tasks,))` -> this replica's gradients of the shared variables,
                multiplied by the loss scale.
            losses_again: function that runs the forward pass of the batch again, as for `losses`, and returns the
                losses `(tasks,)` over all replicas.
        """
        if not self._shared:
            return
        optimizer = self._model.optimizer
        counted = tf.logical_and(counted, self._sharing)
        trained = self._model.trainable_variables
        state = [*trained, *optimizer.variables]
        saved = values_of(state)
        eligible = counted
        for _ in range(min(self._statistics.sources, int(self._sharing.sum()))):
            source = self._statistics.next_source(eligible)
            eligible = tf.logical_and(eligible, source == 0)
            step = tf.identity(optimizer.iterations)
            found = self._replicas.all_reduce_sum(gradients(source))
            optimizer.apply_gradients(list(zip(found, self._shared, strict=True)))
            # Mixed precision may skip a step.
            known = tf.logical_and(counted, optimizer.iterations > step)
            self._undo_other_moves(trained, saved, source)
            after = losses_again()
            assign_all(state, saved)
            self._statistics.add(source, losses, after, known)

    def _undo_other_moves(self, trained: Sequence[keras.Variable], saved: Sequence[Any], source: Any) -> None:
        """Restores the variables that a step on the source alone would not move, such as private ones.

        Momentum moves variables without a gradient, and averaging of weights moves those of all tasks.
        """
        optimizer = getattr(self._model.optimizer, "inner_optimizer", self._model.optimizer)
        averages = getattr(optimizer, "use_ema", False)
        for variable, value in zip(trained, saved, strict=False):
            moved_by = self._moved_by.get(id(variable))
            if moved_by is None and averages:
                variable.assign(value)
            elif moved_by is not None and not moved_by.all():
                moved = tf.reduce_any(tf.logical_and(moved_by, source > 0))
                variable.assign(tf.where(moved, variable.value, value))


@contextmanager
def replayed(variables: Sequence[keras.Variable], state: Sequence[Any]) -> Iterator[None]:
    """Sets variables to an earlier state, so that a forward pass draws the same numbers, and restores them after it."""
    now = values_of(variables)
    assign_all(variables, state)
    yield
    assign_all(variables, now)


def values_of(variables: Sequence[keras.Variable]) -> list[Any]:
    """Returns the current values of variables."""
    return [tf.identity(variable.value) for variable in variables]


def assign_all(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    """Assigns a value to each variable."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _mask(tasks: Sequence[int], count: int) -> np.ndarray:
    """Returns `(count,)` booleans that are true for some tasks."""
    return np.isin(np.arange(count), tasks)
