"""Keeps the private state of dropped tasks unchanged in a step that computes them.

A compiled step can run with some of its tasks at weight 0. Their gradients are then 0, but momentum, weight decay,
BatchNorm statistics and random seeds would still change, so everything that only dropped tasks reach is restored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.training.graph import Ownership


def slots(optimizer: keras.optimizers.Optimizer) -> dict[int, list[keras.Variable]]:
    """Returns the slot variables (momenta, averages) that an optimizer has for each variable.

    Args:
        optimizer: a built optimizer, or a `LossScaleOptimizer` around one.

    Returns:
        `id` of a model variable -> its slot variables.

    Raises:
        ValueError: if the optimizer has a state array that it does not list by variable.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    trained = optimizer._trainable_variables
    found: dict[int, list[keras.Variable]] = {id(variable): [] for variable in trained}
    unknown = {id(variable) for variable in optimizer.variables if variable.shape != ()}
    # Keras optimizers keep each kind of slot in a list with one entry per trained variable.
    for values in vars(optimizer).values():
        if isinstance(values, list) and len(values) == len(trained) and values is not trained:
            for variable, slot in zip(trained, values):
                if id(slot) in unknown:
                    found[id(variable)].append(slot)
                    unknown.discard(id(slot))
    if unknown:
        raise ValueError(
            f"Tasks cannot be dropped with optimizer {optimizer.name!r}: it keeps state that MultiTaskModel cannot "
            "tell apart by variable. Use Adam, AdamW, SGD, RMSprop or another optimizer with one slot per variable."
        )
    return found


@dataclass(frozen=True)
class _Saved:
    """A copy of a variable before a step.

    Args:
        variable: the variable.
        reached: `(blocks, tasks)` booleans, as in `Ownership`.
        value: its value before the step.
    """

    variable: keras.Variable
    reached: np.ndarray
    value: Any


class DroppedState:
    """Saves variables and optimizer slots before a step, and restores those that only dropped tasks reach.

    Args:
        owned: the tasks that reach each variable. Variables that all tasks or an output without a loss
            reach are not saved.
        optimizer: the optimizer, whose slots are saved with their variables.
    """

    def __init__(self, owned: Iterable[Ownership], optimizer: keras.optimizers.Optimizer) -> None:
        by_variable = slots(optimizer)
        self._watched: list[tuple[keras.Variable, np.ndarray]] = []
        for entry in owned:
            if not (entry.reached.all() or entry.always):
                for variable in (entry.variable, *by_variable.get(id(entry.variable), ())):
                    self._watched.append((variable, _blocks_of(entry, variable)))

    def save(self) -> list[_Saved]:
        """Returns copies of the current values."""
        return [_Saved(variable, reached, ops.copy(variable)) for variable, reached in self._watched]

    def restore(self, saved: Sequence[_Saved], active: Any) -> None:
        """Restores the variables, or the blocks of their last axis, that no active task reaches.

        Args:
            saved: from `save`.
            active: `(tasks,)` booleans.
        """
        for entry in saved:
            is_active = ops.any(ops.logical_and(entry.reached, active), axis=-1)  # (blocks,)
            blocks = entry.reached.shape[0]
            is_active = ops.repeat(is_active, entry.variable.shape[-1] // blocks) if blocks > 1 else is_active[0]
            entry.variable.assign(ops.where(is_active, entry.variable.value, entry.value))


def _blocks_of(entry: Ownership, variable: keras.Variable) -> np.ndarray:
    """Returns which tasks reach the blocks `(blocks, tasks)` of a variable or of one of its slots.

    A slot of another shape than its variable (a factored second moment) is one block.
    """
    if variable.shape == entry.variable.shape:
        return entry.reached
    return np.any(entry.reached, axis=0, keepdims=True)
