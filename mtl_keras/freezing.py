"""Undoing what a step did to the tasks that it should have left alone.

A compiled step can be run with some of its tasks at weight 0. Their gradients are then 0, but momentum, weight decay,
BatchNorm statistics and random seeds would move all the same: everything that only dropped tasks reach is put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.subgraph import Ownership


def slots(optimizer: keras.optimizers.Optimizer) -> dict[int, list[keras.Variable]]:
    """Returns the optimizer's state of each variable (momenta, averages).

    Args:
        optimizer: a built optimizer, or a `LossScaleOptimizer` around one.

    Returns:
        `id` of a model variable -> its slot variables.

    Raises:
        ValueError: if some state of the optimizer belongs neither to one variable nor to all of them.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    trained = optimizer._trainable_variables
    found: dict[int, list[keras.Variable]] = {id(variable): [] for variable in trained}
    unknown = {id(variable) for variable in optimizer.variables if variable.shape != ()}
    for values in vars(optimizer).values():
        if isinstance(values, list) and len(values) == len(trained) and values is not trained:
            for variable, slot in zip(trained, values):
                if id(slot) in unknown:
                    found[id(variable)].append(slot)
                    unknown.discard(id(slot))
    if unknown:
        raise ValueError(
            f"Tasks cannot be dropped with optimizer {optimizer.name!r}: it keeps state that MultiTaskModel cannot "
            "tell apart by variable. Use Adam, AdamW, SGD, RMSprop or another optimizer with one slot a variable."
        )
    return found


@dataclass(frozen=True)
class _Kept:
    variable: keras.Variable
    reached: np.ndarray
    value: Any


class Freezer:
    """Remembers the state of the variables that dropped tasks own, and puts it back.

    Args:
        owned: who reaches each variable; only variables that some tasks do not reach are looked after.
        optimizer: its slots are looked after with their variables.
    """

    def __init__(self, owned: Iterable[Ownership], optimizer: keras.optimizers.Optimizer) -> None:
        by_variable = slots(optimizer)
        self._watched: list[tuple[keras.Variable, np.ndarray]] = []
        for entry in owned:
            if not entry.reached.all():
                for variable in (entry.variable, *by_variable.get(id(entry.variable), ())):
                    self._watched.append((variable, _fitting(entry, variable)))

    def remember(self) -> list[_Kept]:
        """Returns the state as it is now."""
        return [_Kept(variable, reached, ops.copy(variable)) for variable, reached in self._watched]

    def restore(self, kept: Sequence[_Kept], active: Any) -> None:
        """Puts back the share of the state that no active task reaches.

        Args:
            kept: from `remember`.
            active: `(tasks,)` booleans.
        """
        for entry in kept:
            moved = ops.any(ops.logical_and(entry.reached, active), axis=-1)
            blocks = entry.reached.shape[0]
            moved = ops.repeat(moved, entry.variable.shape[-1] // blocks) if blocks > 1 else moved[0]
            entry.variable.assign(ops.where(moved, entry.variable.value, entry.value))


def _fitting(entry: Ownership, variable: keras.Variable) -> np.ndarray:
    """A slot of another shape than its variable (a factored second moment) has no columns of its own."""
    if variable.shape == entry.variable.shape:
        return entry.reached
    return np.any(entry.reached, axis=0, keepdims=True)
