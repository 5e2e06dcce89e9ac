"""Multi-Krum: the mean of the gradients that are closest to the others."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import check_bool, checked_field, integer_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import ROUNDING, TINY, GramianWeighting


@WEIGHTINGS.register
@dataclass(frozen=True)
class Krum(GramianWeighting):
    """Multi-Krum: averages the gradients that are closest to their nearest neighbours.

    The score of a task is the sum of the distances from its gradient to the N - b - 2 nearest others, for N active
    tasks; as in TorchJD, distances are not squared unless `squared` is true, as in the paper. The s tasks with the
    lowest scores have the weight 1/s, all others 0. Tasks that tie for the last place share its weight. (With three
    tasks and b = 0, the two nearest gradients always tie.)

    A task whose gradient becomes much larger or smaller than the others' loses its weight. With fewer active tasks than
    b + 3 or s, weights are 1/N; a model with fewer tasks in total triggers a warning.

    Args:
        n_byzantine: b, the number of gradients that may be arbitrary, an integer >= 0.
        n_selected: s, the number of averaged gradients, an integer >= 1.
        squared: whether distances are squared.

    Raises:
        ValueError: for numbers out of these ranges.

    References:
        P. Blanchard, E. M. El Mhamdi, R. Guerraoui, J. Stainer, *Machine Learning with Adversaries: Byzantine Tolerant
        Gradient Descent*, NeurIPS 2017, section 4,
        https://proceedings.neurips.cc/paper/2017/file/f4b9ec30ad9f68f89b29639786cb62ef-Paper.pdf.
    """

    n_byzantine: int = integer_field(0, minimum=0)
    n_selected: int = integer_field(1, minimum=1)
    squared: bool = checked_field(False, check_bool)

    @property
    def _min_tasks(self) -> int:
        return max(self.n_byzantine + 3, self.n_selected)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        if tasks < self._min_tasks:
            warnings.warn(
                f"krum(n_byzantine={self.n_byzantine}, n_selected={self.n_selected}) needs at least "
                f"{self._min_tasks} tasks; with {tasks} it averages all gradients.",
                stacklevel=2,
            )
        return {}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        tasks, min_tasks = gramian.shape[0], self._min_tasks
        ones = ops.cast(active, gramian.dtype)
        count = ops.sum(ones)
        squares = ops.diagonal(gramian)
        largest = ops.maximum(ops.max(squares), TINY)
        distances = ops.relu(squares[:, None] + squares[None, :] - 2.0 * gramian) / largest
        if not self.squared:
            distances = ops.sqrt(distances)
        pair = ops.logical_and(active[:, None], active[None, :])
        pair = ops.logical_and(pair, np.eye(tasks) == 0)
        nearest = ops.sort(ops.where(pair, distances, np.inf), axis=1)
        counted = ops.arange(tasks, dtype=gramian.dtype) < count - self.n_byzantine - 2
        scores = ops.sum(ops.where(counted[None, :], nearest, 0.0), axis=1)
        scores = ops.where(active, scores, np.inf)
        # The s-th lowest score: tasks below it are selected, tasks tied with it share the remaining places.
        last = ops.sort(scores)[min(self.n_selected, tasks) - 1]
        below = ops.cast(scores < last - ROUNDING, gramian.dtype)
        ties = ops.cast(ops.abs(scores - last) <= ROUNDING, gramian.dtype)
        places_left = self.n_selected - ops.sum(below)
        chosen = (below + ties * places_left / ops.maximum(ops.sum(ties), 1.0)) / self.n_selected
        return ops.where(count >= min_tasks, chosen, ones / ops.maximum(count, 1.0)), state
