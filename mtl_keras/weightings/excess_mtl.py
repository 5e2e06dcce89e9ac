"""More weight for the tasks that are still far from their best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Direction, Seen, State, Weighting

_EPSILON = 1e-7
# Their squares, and the sums of these, must stay below 3e38.
_LARGEST_ENTRY = 1e18
_LARGEST_SUM = 1e37
_LARGEST_RATIO = 1e6


@WEIGHTINGS.register
@dataclass(frozen=True)
class ExcessMTL(Weighting):
    """Weights by excess risk: how much a task's loss could still fall, by a diagonal estimate of its curvature.

    With the sum S_k of the squared gradients g_k of the steps so far, the excess risk of task k is

        e_k = sum over coordinates of g_k^2 / sqrt(S_k + 1e-7);  w_k <- w_k exp(step_size e_k / e_k(1)),

    where e_k(1) is that of its first step. The combined gradient is sum_k w_k g_k. The w_k start at 1 and add up to
    the number of tasks. A single task keeps its gradient.

    A loss that is scaled scales its gradient, but (but for the 1e-7) no weight. A task whose gradient is 0 has no
    first step yet, and its w_k stays. In a step without some tasks, the weights of the others are scaled to add up to
    their number, and afterwards back to what they had together. Ratios of excess risks above 1e6 count as 1e6.

    Remembers one number a task for each coordinate.

    Args:
        step_size: of the weights, >= 0; 0 for equal weights.

    Raises:
        ValueError: for a step size that is not a finite number >= 0.

    References:
        Y. He et al., *Robust Multi-Task Learning with Excess Risks*, ICML 2024, algorithm 1,
        https://openreview.net/forum?id=JzWFmMySpn. The sum of the weights and the default step size are those of
        LibMTL.
    """

    step_size: float = 0.01

    needs = frozenset({"jacobian"})

    def __post_init__(self) -> None:
        check_number("step_size", self.step_size, 0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 stands for an excess risk that is not known yet.
        return {
            "squares": np.zeros((tasks, coordinates), "float32"),
            "first": np.zeros(tasks, "float32"),
            "log_weights": np.zeros(tasks, "float32"),
        }

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        jacobian, active = seen.jacobian, seen.active
        old, first, log_weights = (
            ops.cast(state[name], jacobian.dtype) for name in ("squares", "first", "log_weights")
        )
        square = ops.square(ops.clip(jacobian, -_LARGEST_ENTRY, _LARGEST_ENTRY))
        squares = ops.minimum(old + square, _LARGEST_SUM)
        excess = ops.sum(square / ops.sqrt(squares + _EPSILON), axis=1)
        # A task without a first step has the ratio 0.
        ratio = ops.minimum(ops.divide_no_nan(excess, first), _LARGEST_RATIO)
        before = ops.where(active, log_weights, -1e38)
        raised = ops.where(active, log_weights + self.step_size * ratio, -1e38)
        count = ops.sum(ops.cast(active, jacobian.dtype))
        total = ops.logsumexp(raised)
        weights = ops.where(active, ops.exp(raised - total) * count, 0.0)
        return Direction(ops.matmul(weights, jacobian), weights), {
            "squares": ops.where(active[:, None], squares, old),
            "first": ops.where(ops.logical_and(active, first == 0), excess, first),
            "log_weights": ops.where(active, raised - total + ops.logsumexp(before), log_weights),
        }
