"""The gradient of one task, bent no more than it takes to let the others progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.pseudoinverse import cosines_of
from mtl_keras.weightings.solvers import nonnegative_qp, share_equally

# How far a constraint may be from holding, relative to the largest one.
_VIOLATION = 1e-6
# A squared norm this far below that of its parts is rounding.
_CANCELLED = 1e-14
# Norms are remembered in float32.
_LARGEST = 1e38


@WEIGHTINGS.register
@dataclass(frozen=True)
class PCD(GramianWeighting):
    """Priority-constrained descent: follows the primary task's gradient, as far as every other task progresses too.

    Gradients are normalised to n_i = g_i / sqrt(v_i + eps), where v_i is the moving average of |g_i|^2, corrected for
    its start at 0. Of all d with n_j . d >= tau |n_j|^2 for each other task j, the one closest to the primary n_1 is
    taken, and scaled to the norm of g_1. tau is the share that each task must have of the progress that its own
    normalised gradient would give it.

    The primary task has a weight above 0, the others have weights from 0 on. If the gradient of a task that is not
    primary is scaled by a constant in all steps, the update stays the same (up to eps).

    If the gradient of the primary task is zero, there is no update. If no d satisfies all constraints, the update is
    the primary's gradient alone. In a step in which the primary task is not active there is nothing to follow: the
    update is the mean of the active gradients. A gradient of zero demands nothing. (A square not above 1e-24 times the
    largest counts as zero.) If d is zero up to rounding, there is no update.

    Args:
        tau: share of the progress, from 0 to 1.
        beta: decay of the moving averages, from 0 to below 1.
        eps: added to them, >= 0.
        primary: the index of the primary task in the order of the tasks, an integer >= 0.

    Raises:
        ValueError: for numbers out of these ranges, and when it is called for `primary` tasks or fewer.

    References:
        *Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical Multi-Objective Optimization*,
        TMLR 2026, https://arxiv.org/abs/2606.29521.
    """

    tau: float = 0.02
    beta: float = 0.999
    eps: float = 1e-8
    primary: int = 0

    NAME: ClassVar[str] = "pcd"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("tau", self.tau, 0, 1)
        if check_number("beta", self.beta, 0, 1) == 1:
            raise ValueError(f"beta must be below 1. Received: beta={self.beta!r}")
        check_number("eps", self.eps, 0)
        if check_number("primary", self.primary, 0) % 1:
            raise ValueError(f"primary must be an integer. Received: primary={self.primary!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        if self.primary >= tasks:
            raise ValueError(f"primary must be the index of one of the {tasks} tasks. Received: primary={self.primary}")
        return {"norms": np.zeros(tasks, "float32"), "steps": np.zeros(tasks, "float32")}

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        gramian, active = seen.gramian, seen.active
        squares = ops.maximum(ops.diagonal(gramian), 0.0)
        steps = ops.cast(state["steps"], "float64") + 1.0
        average = self.beta * ops.square(ops.cast(state["norms"], "float64")) + (1.0 - self.beta) * squares
        usual = average / (1.0 - self.beta**steps) + self.eps
        # The norms of the normalised gradients.
        lengths = ops.sqrt(ops.where(usual > 0, squares / ops.where(usual > 0, usual, 1.0), 0.0))
        cosines, inverse_norms = cosines_of(gramian)
        amounts = _bend(cosines, self.tau * lengths, lengths[self.primary], self.primary, inverse_norms > 0)
        square = ops.sum(amounts * ops.sum(cosines * amounts[None, :], axis=-1))
        stands = square > _CANCELLED * ops.square(ops.sum(amounts))
        length = ops.where(stands, ops.rsqrt(ops.where(stands, square, 1.0)), 0.0)
        weights = amounts * length * inverse_norms * ops.sqrt(squares[self.primary])
        ones = ops.cast(active, "float64")
        weights = ops.where(active[self.primary], weights, ones / ops.maximum(ops.sum(ones), 1.0))
        norms = ops.cast(ops.minimum(ops.sqrt(average), _LARGEST), state["norms"].dtype)
        return weights, {
            "norms": ops.where(active, norms, state["norms"]),
            "steps": ops.where(active, ops.cast(steps, state["steps"].dtype), state["steps"]),
        }


def _bend(cosines: Any, least: Any, length: Any, primary: int, some: Any) -> Any:
    """Returns how much of each unit gradient `(tasks,)` is in the direction: 1 of the primary, >= 0 of the others.

    Args:
        cosines: `(tasks, tasks)` of the gradients.
        least: `(tasks,)` components that the direction must have along them.
        length: norm of the primary's normalised gradient.
        primary: its index.
        some: `(tasks,)` whether a gradient is not zero.
    """
    unit = np.eye(cosines.shape[0])[primary]
    others = ops.logical_and(some, unit == 0)
    asked = least / ops.where(length > 0, length, 1.0) - cosines[primary]
    among = ops.where(ops.logical_and(others[:, None], others[None, :]), cosines, 0.0)
    amounts = share_equally(among, nonnegative_qp(among, -asked, others))
    lacking = ops.where(others, asked - ops.sum(cosines * amounts[None, :], axis=-1), 0.0)
    met = ops.max(lacking) <= _VIOLATION * ops.maximum(ops.max(ops.where(others, ops.abs(asked), 0.0)), 1.0)
    # Where the constraints contradict each other, the multipliers grow without bound.
    return unit + ops.where(ops.logical_and(met, ops.all(ops.isfinite(amounts))), amounts, 0.0)
