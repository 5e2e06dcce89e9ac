"""The mean of the gradients without the extremes of each coordinate."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, Direction, Seen, State, Weighting


@WEIGHTINGS.register
@dataclass(frozen=True)
class TrimmedMean(Weighting):
    """Coordinate-wise trimmed mean: in each coordinate, leaves out the largest and smallest entries of the tasks.

    With n tasks in the step, the n - 2 `trim` entries in the middle are averaged: for three tasks and `trim=1` it is
    the median. If fewer than 2 `trim` + 1 tasks are in a step, the mean of all of theirs is taken, as nothing would be
    left otherwise; a model that never has more is warned about. A single task keeps its gradient.

    One gradient alone, however large, cannot draw the result away from the others; scaling one moves its entries to
    the ends. The weights in the logs add up to 1: they are proportional to the share of coordinates in which the
    task's entry is not trimmed (of equal entries at the border all count).

    Args:
        trim: how many entries are left out at each end, an integer >= 0; 0 for the mean.

    Raises:
        ValueError: for another `trim`.

    References:
        D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, *Byzantine-Robust Distributed Learning: Towards Optimal
        Statistical Rates*, ICML 2018, definition 2, https://arxiv.org/abs/1803.01498, with `trim` = beta m.
    """

    trim: int = 1

    needs = frozenset({"jacobian"})

    def __post_init__(self) -> None:
        if not isinstance(self.trim, int) or isinstance(self.trim, bool) or self.trim < 0:
            raise ValueError(f"trim must be an integer >= 0. Received: trim={self.trim!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        if tasks < 2 * self.trim + 1:
            warnings.warn(
                f"trimmed_mean(trim={self.trim}) leaves nothing of fewer than {2 * self.trim + 1} tasks; of {tasks} it "
                "takes the mean.",
                stacklevel=2,
            )
        return {}

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        jacobian, active = seen.jacobian, seen.active
        tasks = jacobian.shape[0]
        count = ops.sum(ops.cast(active, "int32"))
        cut = ops.where(count > 2 * self.trim, self.trim, 0)
        places = np.arange(tasks, dtype="int32")
        middle = ops.logical_and(places >= cut, places < count - cut)[:, None]
        # The tasks that are not active come last.
        ordered = ops.sort(ops.where(active[:, None], jacobian, np.inf), axis=0)
        vector = ops.divide_no_nan(
            ops.sum(ops.where(middle, ordered, 0.0), axis=0), ops.cast(count - 2 * cut, jacobian.dtype)
        )
        least = ops.min(ops.where(middle, ordered, np.inf), axis=0)
        most = ops.max(ops.where(middle, ordered, -np.inf), axis=0)
        kept = ops.logical_and(ops.logical_and(jacobian >= least, jacobian <= most), active[:, None])
        shares = ops.sum(ops.cast(kept, jacobian.dtype), axis=1)
        return Direction(vector, ops.divide_no_nan(shares, ops.sum(shares))), state
