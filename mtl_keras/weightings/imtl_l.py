"""IMTL-L: weights that bring all losses to the same size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.adam import adam, adam_state
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting

# A loss that stays at 0 would drive its weight to infinity, and infinity times 0 is NaN.
_LARGEST = 20.0
# Adam squares the gradient and would not recover from an infinite square.
_STEEPEST = 1e6


@WEIGHTINGS.register
@dataclass(frozen=True)
class IMTLL(Weighting):
    """Impartial multi-task learning, loss balance: learns a factor per loss that scales it to 1.

    With s_t the logarithm of the factor, sum_t L_t exp(s_t) - s_t is minimised in the network's weights and in s. The
    weight of task t is p_t exp(s_t), where p_t is its preference (which does not affect the training of s_t). s_t
    starts at 0 and converges to exp(s_t) = 1 / L_t: each task then adds p_t to the total, whatever the unit of its
    loss.

    The method is `Uncertainty` with -s instead of s and without the factor 1/2: because Adam is invariant to the scale
    of a gradient, its weights are twice those of `Uncertainty` at the same learning rate, except for the epsilon of
    Adam.

    Adam trains the s with a separate learning rate, independent of the model's optimizer, and updates each only in the
    steps in which its task runs. They stay between -20 and 20. For losses > 0.

    Args:
        learning_rate: learning rate of the s, > 0: roughly the largest change of each s in one step.

    Raises:
        ValueError: for a learning rate that is not a finite number above 0.

    References:
        L. Liu, Y. Li, Z. Kuang, J.-H. Xue, Y. Chen, W. Yang, Q. Liao, W. Zhang, *Towards Impartial Multi-Task
        Learning*, ICLR 2021, section 3.2, https://openreview.net/forum?id=IMPnRXEWpvr, with e for the base a.
    """

    NAME: ClassVar[str] = "imtl_l"

    learning_rate: float = 0.001

    def __post_init__(self) -> None:
        if check_number("learning_rate", self.learning_rate, 0) == 0:
            raise ValueError(f"learning_rate must be above 0. Received: learning_rate={self.learning_rate!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"log_scales": np.zeros(tasks, "float32"), **adam_state(tasks)}

    def gradient(self, losses: Any, state: State) -> Any:
        """Returns the derivative `(tasks,)` of the objective with respect to the s of each task."""
        return losses * ops.exp(ops.cast(state["log_scales"], losses.dtype)) - 1

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        weights = ops.exp(ops.cast(state["log_scales"], seen.losses.dtype))
        moves = ops.logical_and(seen.active, ops.isfinite(seen.losses))
        gradient = ops.clip(self.gradient(seen.losses, state), -_STEEPEST, _STEEPEST)
        moved, moments = adam(state["log_scales"], gradient, state, self.learning_rate, moves)
        return weights, {"log_scales": ops.clip(moved, -_LARGEST, _LARGEST), **moments}
