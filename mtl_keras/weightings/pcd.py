"""PCD: bends the gradient of one task just enough to let the other tasks progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import check_fraction, checked_field, integer_field, number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting, cosines_of
from mtl_keras.weightings.solvers import nonnegative_qp, share_equally
from mtl_keras.weightings.state import zeros

# Largest violation of a constraint, relative to the largest constraint.
_VIOLATION = 1e-6
# A squared norm this much smaller than that of its terms is rounding error.
_CANCELLED = 1e-14
# Norms are stored in float32.
_LARGEST = 1e38


@WEIGHTINGS.register
@dataclass(frozen=True)
class PCD(GramianWeighting):
    """Priority-constrained descent: follows the primary task's gradient while every other task also progresses.

    Gradients are normalised to n_i = g_i / sqrt(v_i + eps), where v_i is the bias-corrected moving average of |g_i|^2.
    Of all d with n_j . d >= tau |n_j|^2 for each other task j, the one closest to the primary n_1 is taken and scaled
    to the norm of g_1. tau is the share that each task must have of the progress along its own normalised gradient.

    The primary task has a weight above 0, the others have weights >= 0. Scaling the gradient of a non-primary task by a
    constant in all steps does not change the update (up to eps).

    If the gradient of the primary task is zero, there is no update. If no d satisfies all constraints, the update is
    the primary gradient alone. In a step in which the primary task is inactive, the update is the mean of the active
    gradients. A zero gradient adds no constraint. (A squared norm not above 1e-24 times the largest counts as zero.) If
    d is zero up to rounding, there is no update.

    Args:
        tau: required share of the progress, from 0 to 1.
        beta: decay of the moving averages, from 0 to below 1.
        eps: added to them, >= 0.
        primary: the index of the primary task in the order of the tasks, an integer >= 0.

    Raises:
        ValueError: for numbers out of these ranges, and when called with `primary` tasks or fewer.

    References:
        *Not All Objectives Are Born Equal: Priority-Constrained Descent for Hierarchical Multi-Objective Optimization*,
        TMLR 2026, https://arxiv.org/abs/2606.29521.
    """

    tau: float = number_field(0.02, minimum=0, maximum=1)
    beta: float = checked_field(0.999, check_fraction)
    eps: float = number_field(1e-8, minimum=0)
    primary: int = integer_field(0, minimum=0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        if self.primary >= tasks:
            raise ValueError(f"primary must be the index of one of the {tasks} tasks. Received: primary={self.primary}")
        return zeros(tasks, "norms", "steps")

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        squares = ops.maximum(ops.diagonal(gramian), 0.0)
        steps = ops.cast(state["steps"], "float64") + 1.0
        average = self.beta * ops.square(ops.cast(state["norms"], "float64")) + (1.0 - self.beta) * squares
        mean_squares = average / (1.0 - self.beta**steps) + self.eps
        # The norms of the normalised gradients.
        lengths = ops.sqrt(ops.where(mean_squares > 0, squares / ops.where(mean_squares > 0, mean_squares, 1.0), 0.0))
        cosines, inverse_norms = cosines_of(gramian)
        amounts = _coefficients(cosines, self.tau * lengths, lengths[self.primary], self.primary, inverse_norms > 0)
        square = ops.sum(amounts * ops.sum(cosines * amounts[None, :], axis=-1))
        is_reliable = square > _CANCELLED * ops.square(ops.sum(amounts))
        length = ops.where(is_reliable, ops.rsqrt(ops.where(is_reliable, square, 1.0)), 0.0)
        weights = amounts * length * inverse_norms * ops.sqrt(squares[self.primary])
        ones = ops.cast(active, "float64")
        weights = ops.where(active[self.primary], weights, ones / ops.maximum(ops.sum(ones), 1.0))
        norms = ops.cast(ops.minimum(ops.sqrt(average), _LARGEST), state["norms"].dtype)
        return weights, {
            "norms": ops.where(active, norms, state["norms"]),
            "steps": ops.where(active, ops.cast(steps, state["steps"].dtype), state["steps"]),
        }


def _coefficients(cosines: Any, min_components: Any, length: Any, primary: int, nonzero: Any) -> Any:
    """Returns the coefficients `(tasks,)` of the unit gradients in the direction: 1 for the primary, >= 0 for others.

    Args:
        cosines: `(tasks, tasks)` of the gradients.
        min_components: `(tasks,)` smallest allowed components of the direction along the gradients.
        length: norm of the primary's normalised gradient.
        primary: index of the primary task.
        nonzero: `(tasks,)` booleans: whether a gradient is not zero.
    """
    unit = np.eye(cosines.shape[0])[primary]
    others = ops.logical_and(nonzero, unit == 0)
    required = min_components / ops.where(length > 0, length, 1.0) - cosines[primary]
    other_cosines = ops.where(ops.logical_and(others[:, None], others[None, :]), cosines, 0.0)
    amounts = share_equally(other_cosines, nonnegative_qp(other_cosines, -required, others))
    shortfall = ops.where(others, required - ops.sum(cosines * amounts[None, :], axis=-1), 0.0)
    satisfied = ops.max(shortfall) <= _VIOLATION * ops.maximum(ops.max(ops.where(others, ops.abs(required), 0.0)), 1.0)
    # If the constraints contradict each other, the multipliers grow without bound.
    return unit + ops.where(ops.logical_and(satisfied, ops.all(ops.isfinite(amounts))), amounts, 0.0)
