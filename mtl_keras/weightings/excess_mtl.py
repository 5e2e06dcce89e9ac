"""ExcessMTL: higher weights for tasks that are far from their optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, Direction, State, StepInputs, Weighting
from mtl_keras.weightings.simplex import mask_inactive, masked_softmax
from mtl_keras.weightings.state import zeros

_EPSILON = 1e-7
# The squares of these entries, and their sums, must stay below 3e38.
_LARGEST_ENTRY = 1e18
_LARGEST_SUM = 1e37
_LARGEST_RATIO = 1e6


@WEIGHTINGS.register
@dataclass(frozen=True)
class ExcessMTL(Weighting):
    """Weights tasks by excess risk: how much a loss can still fall, estimated with a diagonal curvature.

    With the sum S_k of the squared gradients g_k of the steps so far, the excess risk of task k is

        e_k = sum over coordinates of g_k^2 / sqrt(S_k + 1e-7);  w_k <- w_k exp(step_size e_k / e_k(1)),

    where e_k(1) is the excess risk in its first step. The combined gradient is sum_k w_k g_k. The w_k start at 1 and
    add up to the number of tasks. A single task keeps its gradient.

    Scaling a loss scales its gradient but, except for the 1e-7, changes no weight. For a task whose gradients have all
    been 0, e_k(1) is unknown and w_k does not change. In a step with inactive tasks, the weights of the active tasks
    are scaled to add up to their number, and afterwards back to their previous sum. Ratios of excess risks above 1e6
    count as 1e6.

    The state has one number per task and coordinate.

    Args:
        step_size: step size of the weights, >= 0; 0 for equal weights.

    Raises:
        ValueError: for a step size that is not a finite number >= 0.

    References:
        Y. He et al., *Robust Multi-Task Learning with Excess Risks*, ICML 2024, algorithm 1,
        https://arxiv.org/abs/2402.02009, https://openreview.net/forum?id=JzWFmMySpn. The sum of the weights and the
        default step size are those of LibMTL.
    """

    step_size: float = number_field(0.01, minimum=0)

    needs = frozenset({"jacobian"})

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 marks an unknown excess risk.
        return {"squares": np.zeros((tasks, coordinates), "float32"), **zeros(tasks, "first", "log_weights")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        jacobian, active = inputs.jacobian, inputs.active
        old, first, log_weights = (
            ops.cast(state[name], jacobian.dtype) for name in ("squares", "first", "log_weights")
        )
        square = ops.square(ops.clip(jacobian, -_LARGEST_ENTRY, _LARGEST_ENTRY))
        squares = ops.minimum(old + square, _LARGEST_SUM)
        excess = ops.sum(square / ops.sqrt(squares + _EPSILON), axis=1)
        # A task without a first step has the ratio 0.
        ratio = ops.minimum(ops.divide_no_nan(excess, first), _LARGEST_RATIO)
        before = mask_inactive(log_weights, active)
        raised = mask_inactive(log_weights + self.step_size * ratio, active)
        count = ops.sum(ops.cast(active, jacobian.dtype))
        weights = count * masked_softmax(raised, active)
        return Direction(ops.matmul(weights, jacobian), weights), {
            "squares": ops.where(active[:, None], squares, old),
            "first": ops.where(ops.logical_and(active, first == 0), excess, first),
            "log_weights": ops.where(active, raised - ops.logsumexp(raised) + ops.logsumexp(before), log_weights),
        }
