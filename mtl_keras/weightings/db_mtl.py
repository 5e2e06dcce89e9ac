"""DB-MTL: gradients of the log-losses, averaged over the steps and scaled to equal length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.checks import check_fraction, checked_field, number_field
from mtl_keras.weightings.base import WEIGHTINGS, Direction, State, StepInputs, Weighting
from mtl_keras.weightings.gramian import row_norms
from mtl_keras.weightings.state import zeros

_EPSILON = 1e-8
# The weights are only logged, but must be finite.
_LARGEST_WEIGHT = 1e30


@WEIGHTINGS.register
@dataclass(frozen=True)
class DBMTL(Weighting):
    """Dual balancing: takes the logarithm of each loss, and scales all gradients to the longest one.

    In step t, with the gradients h_k = g_k / (L_k + 1e-8) of the log-losses:

        b_k <- h_k + beta / t^beta_sigma (b_k - h_k),  b_k = 0 at first;  a_k = max_j |b_j| / |b_k|;

    the combined gradient is sum_k a_k b_k. Weights in the logs: a_k / (L_k + 1e-8), the factor of g_k if `beta=0`. b_k
    has no bias correction, so the first steps are short (1 - `beta` of the gradient's length), also for a single task,
    which follows the gradient of its log-loss averaged over the steps.

    Changing the unit of a loss changes nothing; neither does a task weight, unless it is 0. For losses > 0: a loss
    below 0 counts as 0. Each task counts only the steps in which it runs; a b_k that is 0 stays 0.

    The state has one number per task and coordinate.

    Args:
        beta: weight of the old average in the first step, from 0 (no average) to below 1.
        beta_sigma: how fast this weight falls, >= 0; 0 for never.

    Raises:
        ValueError: for values out of range.

    References:
        B. Lin et al., *Dual-Balancing for Multi-Task Learning*, 2023, https://arxiv.org/abs/2308.12029. The defaults
        are those of LibMTL, which adds 1e-8 to |b_k| as well.
    """

    NAME: ClassVar[str] = "db_mtl"
    needs = frozenset({"jacobian"})

    beta: float = checked_field(0.9, check_fraction)
    beta_sigma: float = number_field(0.0, minimum=0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"average": np.zeros((tasks, coordinates), "float32"), **zeros(tasks, "steps")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        jacobian, losses, active = inputs.jacobian, inputs.weighted_losses, inputs.active
        old, steps = (ops.cast(state[name], jacobian.dtype) for name in ("average", "steps"))
        active_rows = active[:, None]
        step = ops.where(active, steps + 1, 1.0)
        slope = ops.where(ops.isnan(losses), 0.0, 1 / (ops.maximum(losses, 0.0) + _EPSILON))
        gradients = jacobian * slope[:, None]
        moved = gradients + (self.beta * step**-self.beta_sigma)[:, None] * (old - gradients)
        tracked = ops.where(active_rows, moved, 0.0)
        norms = row_norms(tracked)
        longest = ops.max(norms)
        # Do not use the ratio of two norms here: it may overflow.
        vector = longest * ops.sum(ops.divide_no_nan(tracked, norms[:, None]), axis=0)
        weights = ops.minimum(ops.divide_no_nan(longest, norms) * slope, _LARGEST_WEIGHT)
        new = {"average": ops.where(active_rows, moved, old), "steps": ops.where(active, step, steps)}
        return Direction(vector, weights), new
