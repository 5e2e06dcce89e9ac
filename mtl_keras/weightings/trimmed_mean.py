"""Trimmed mean of the gradients: omits the extremes of each coordinate."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, Direction, State, StepInputs, Weighting


@WEIGHTINGS.register
@dataclass(frozen=True)
class TrimmedMean(Weighting):
    """Coordinate-wise trimmed mean: omits the largest and smallest entries of the tasks in each coordinate.

    With n tasks in the step, the middle n - 2 `trim` entries are averaged: for three tasks and `trim=1` this is the
    median. If a step has fewer than 2 `trim` + 1 tasks, all entries are averaged, because none would be left; a model
    with fewer tasks in total triggers a warning. A single task keeps its gradient.

    A single gradient, however large, cannot move the result away from the others; scaling a gradient moves its entries
    to the ends. The weights in the logs add up to 1: they are proportional to the share of coordinates in which the
    task's entry is not trimmed (equal entries at the border all count).

    Args:
        trim: number of entries omitted at each end, an integer >= 0; 0 for the mean.

    Raises:
        ValueError: for a `trim` that is not an integer >= 0.

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
                f"trimmed_mean(trim={self.trim}) needs at least {2 * self.trim + 1} tasks; with {tasks} it averages "
                "all gradients.",
                stacklevel=2,
            )
        return {}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        jacobian, active = inputs.jacobian, inputs.active
        tasks = jacobian.shape[0]
        count = ops.sum(ops.cast(active, "int32"))
        cut = ops.where(count > 2 * self.trim, self.trim, 0)
        ranks = np.arange(tasks, dtype="int32")
        middle = ops.logical_and(ranks >= cut, ranks < count - cut)[:, None]
        # Inactive tasks come last.
        ordered = ops.sort(ops.where(active[:, None], jacobian, np.inf), axis=0)
        vector = ops.divide_no_nan(
            ops.sum(ops.where(middle, ordered, 0.0), axis=0), ops.cast(count - 2 * cut, jacobian.dtype)
        )
        least = ops.min(ops.where(middle, ordered, np.inf), axis=0)
        most = ops.max(ops.where(middle, ordered, -np.inf), axis=0)
        untrimmed = ops.logical_and(ops.logical_and(jacobian >= least, jacobian <= most), active[:, None])
        shares = ops.sum(ops.cast(untrimmed, jacobian.dtype), axis=1)
        return Direction(vector, ops.divide_no_nan(shares, ops.sum(shares))), state
