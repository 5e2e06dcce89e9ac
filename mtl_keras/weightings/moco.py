"""MoCo: min-norm weights of moving averages of the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, Direction, State, StepInputs, Weighting
from mtl_keras.weightings.gramian import row_norms
from mtl_keras.weightings.simplex import masked_softmax
from mtl_keras.weightings.state import zeros

# Products of tracked gradients, which are scaled by the losses, must stay below 3e38.
_LARGEST_LOSS = 1e15


@WEIGHTINGS.register
@dataclass(frozen=True)
class MoCo(Weighting):
    """Multi-objective gradient with correction: tracks each gradient and takes one step towards the min-norm weights.

    In step t, with gradients scaled to the length of the losses, h_k = L_k g_k / |g_k|:

        y_k <- y_k - beta / t^beta_sigma (y_k - h_k),  y_k = 0 at first;
        lambda <- softmax(lambda - gamma / t^gamma_sigma (Y Y' + rho I) lambda),  lambda_k = 1/K at first;

    the combined gradient is sum_k lambda_k y_k. Weights in the logs: lambda, which add up to 1. y_k is a moving
    average, so a single task has the weight 1, but the update differs from its gradient in that step.

    The length of a gradient does not matter; scaling a loss scales its h_k. For losses > 0: a loss below 0 counts as 0,
    above 1e15 as 1e15. For a zero gradient h_k = 0. Each task counts only the steps in which it runs. In a step with
    inactive tasks, the lambda of the active tasks are scaled to add up to 1, and afterwards back to their previous sum.

    The state has one number per task and coordinate.

    Args:
        beta: rate of the moving average in the first step, from 0 to 1.
        beta_sigma: how fast it falls, >= 0.
        gamma: step size of lambda in the first step, >= 0.
        gamma_sigma: how fast it falls, >= 0.
        rho: regularisation of lambda, >= 0.

    Raises:
        ValueError: for values out of range.

    References:
        H. Fernando et al., *Mitigating Gradient Bias in Multi-objective Learning: A Provably Convergent Approach*, ICLR
        2023, algorithm 1, https://arxiv.org/abs/2210.12624, https://openreview.net/forum?id=dLAYGdKTi2. The softmax
        instead of a projection, the normalised gradients and the defaults are those of LibMTL, which adds 1e-8 to
        |g_k|.
    """

    NAME: ClassVar[str] = "moco"
    needs = frozenset({"jacobian"})

    beta: float = number_field(0.5, minimum=0, maximum=1)
    beta_sigma: float = number_field(0.5, minimum=0)
    gamma: float = number_field(0.1, minimum=0)
    gamma_sigma: float = number_field(0.5, minimum=0)
    rho: float = number_field(0.0, minimum=0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # `shares` are lambda times the number of tasks, so initial values do not depend on which other tasks run.
        return {
            "tracked": np.zeros((tasks, coordinates), "float32"),
            "shares": np.ones(tasks, "float32"),
            **zeros(tasks, "steps"),
        }

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        jacobian, losses, active = inputs.jacobian, inputs.weighted_losses, inputs.active
        old, shares, steps = (ops.cast(state[name], jacobian.dtype) for name in ("tracked", "shares", "steps"))
        active_rows = active[:, None]
        step = ops.where(active, steps + 1, 1.0)
        lengths = ops.where(ops.isnan(losses), 0.0, ops.clip(losses, 0.0, _LARGEST_LOSS))
        gradients = ops.divide_no_nan(jacobian, row_norms(jacobian)[:, None]) * lengths[:, None]
        moved = old + (self.beta * step**-self.beta_sigma)[:, None] * (gradients - old)
        tracked = ops.where(active_rows, moved, 0.0)

        active_shares = ops.where(active, shares, 0.0)
        total = ops.sum(active_shares)
        weights = ops.divide_no_nan(active_shares, total)
        slope = ops.matmul(tracked, ops.matmul(weights, tracked)) + self.rho * weights
        weights = masked_softmax(weights - self.gamma * step**-self.gamma_sigma * slope, active)
        return Direction(ops.matmul(weights, tracked), weights), {
            "tracked": ops.where(active_rows, moved, old),
            "shares": ops.where(active, weights * total, shares),
            "steps": ops.where(active, step, steps),
        }
