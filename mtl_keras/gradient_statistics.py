"""Sums over the steps in which the gradients of the tasks were looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclass(frozen=True)
class GradientSummary:
    """What is known of the tasks' gradients with respect to the variables that they share.

    Args:
        cosine: `(tasks, tasks)` mean cosine of the angle between the gradients of two tasks; NaN if they were never
            seen together, or one had no gradient.
        conflict: `(tasks, tasks)` share of the steps in which the cosine was below 0; NaN as before.
        norm: `(tasks,)` mean norm of the gradient over the steps in which it was not 0; NaN if there were none. A task
            that runs without any task that it shares variables with has the gradient 0 here.
        steps: number of steps that were looked at.
    """

    cosine: np.ndarray
    conflict: np.ndarray
    norm: np.ndarray
    steps: int

    @property
    def conflict_rate(self) -> float:
        """Mean share of conflicts over the pairs of tasks; NaN if no pair was seen."""
        return self._over_pairs(self.conflict)

    @property
    def mean_cosine(self) -> float:
        """Mean cosine over the pairs of tasks; NaN if no pair was seen."""
        return self._over_pairs(self.cosine)

    @property
    def norm_ratio(self) -> float:
        """The largest mean norm divided by the smallest that is known; NaN if there are not two."""
        known = self.norm[self.norm > 0]
        return float(known.max() / known.min()) if known.size > 1 else float("nan")

    def _over_pairs(self, table: np.ndarray) -> float:
        pairs = table[np.triu_indices(len(table), 1)]
        known = pairs[~np.isnan(pairs)]
        return float(known.mean()) if known.size else float("nan")


class GradientStatistics:
    """Takes down Gramians in variables, so that nobody waits for them within an epoch.

    Args:
        tasks: the number of tasks.

    Attributes:
        every: the gradients are looked at in every so many training steps; 0 for never.
        count: training steps since the last reset.
    """

    def __init__(self, tasks: int) -> None:
        self.every = 0
        self.count = 0
        self._cosines = _zeros(tasks, tasks)
        self._conflicts = _zeros(tasks, tasks)
        self._seen = _zeros(tasks, tasks)
        self._norms = _zeros(tasks)
        self._steps = _zeros()

    def due(self, steps: int) -> list[bool]:
        """Returns which of the next steps to look at: the first after a reset, and each `every`-th from it."""
        first, self.count = self.count, self.count + steps
        return [self.every > 0 and place % self.every == 0 for place in range(first, first + steps)]

    def add(self, gramian: Any, active: Any) -> None:
        """Takes down a step; one whose Gramian is not finite is left out.

        Args:
            gramian: `(tasks, tasks)` inner products of the gradients of the unweighted losses.
            active: `(tasks,)` booleans: which tasks ran and had labels.
        """
        finite = ops.all(ops.isfinite(gramian))
        norms = ops.sqrt(ops.maximum(ops.where(finite, ops.diagonal(gramian), 0.0), 0.0))
        there = ops.cast(ops.logical_and(active, norms > 0), "float32")
        pairs = there[:, None] * there[None, :]
        # One after the other: the product of two small norms may be 0 where they are not.
        scaled = ops.divide_no_nan(ops.where(finite, gramian, 0.0), norms[:, None])
        cosines = ops.divide_no_nan(scaled, norms[None, :]) * pairs
        self._cosines.assign_add(ops.clip(cosines, -1.0, 1.0))
        self._conflicts.assign_add(ops.cast(cosines < 0, "float32"))
        self._seen.assign_add(pairs)
        self._norms.assign_add(norms * there)
        self._steps.assign_add(ops.cast(finite, "float32"))

    @property
    def variables(self) -> list[keras.Variable]:
        """The sums."""
        return [self._cosines, self._conflicts, self._seen, self._norms, self._steps]

    def reset(self) -> None:
        """Forgets all steps; the next one is counted as the first."""
        self.count = 0
        for variable in self.variables:
            variable.assign(ops.zeros_like(variable))

    def summary(self) -> GradientSummary:
        """Returns the means over the steps since the last reset."""
        cosines, conflicts, seen, norms, steps = (ops.convert_to_numpy(variable.value) for variable in self.variables)
        with np.errstate(invalid="ignore"):
            return GradientSummary(cosines / seen, conflicts / seen, norms / np.diagonal(seen), int(steps))


def _zeros(*shape: int) -> keras.Variable:
    return keras.Variable(np.zeros(shape, "float32"), trainable=False, dtype="float32")
