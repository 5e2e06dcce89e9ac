"""Uncertainty: weights from the learned noise of each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
class Uncertainty(Weighting):
    """Homoscedastic uncertainty: learns the noise variance of each task, and divides its loss by twice the variance.

    With s_t the logarithm of the variance, sum_t L_t exp(-s_t) / 2 + s_t / 2 is minimised in the network's weights and
    in s. The weight of task t is p_t exp(-s_t) / 2, where p_t is its preference (which does not affect the training of
    s_t). s_t starts at 0 and converges to the logarithm of the loss: each task then adds p_t / 2 to the total.

    Adam trains the s with a separate learning rate, independent of the model's optimizer, and updates each only in the
    steps in which its task runs. They stay between -20 and 20.

    Args:
        learning_rate: learning rate of the s, > 0: roughly the largest change of each s in one step.

    Raises:
        ValueError: for a learning rate that is not a finite number above 0.

    References:
        A. Kendall, Y. Gal, R. Cipolla, *Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
        Semantics*, CVPR 2018, equations 7 and 10, https://arxiv.org/abs/1705.07115. For classification the paper
        derives L_t exp(-s_t) + s_t / 2; as in LibMTL and TorchJD, all losses have the factor 1/2 here.
    """

    learning_rate: float = 0.001

    def __post_init__(self) -> None:
        if check_number("learning_rate", self.learning_rate, 0) == 0:
            raise ValueError(f"learning_rate must be above 0. Received: learning_rate={self.learning_rate!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"log_variances": np.zeros(tasks, "float32"), **adam_state(tasks)}

    def gradient(self, losses: Any, state: State) -> Any:
        """Returns the derivative `(tasks,)` of the objective with respect to the s of each task."""
        return 0.5 - 0.5 * losses * ops.exp(-ops.cast(state["log_variances"], losses.dtype))

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        weights = 0.5 * ops.exp(-ops.cast(state["log_variances"], seen.losses.dtype))
        moves = ops.logical_and(seen.active, ops.isfinite(seen.losses))
        gradient = ops.clip(self.gradient(seen.losses, state), -_STEEPEST, _STEEPEST)
        moved, moments = adam(state["log_variances"], gradient, state, self.learning_rate, moves)
        return weights, {"log_variances": ops.clip(moved, -_LARGEST, _LARGEST), **moments}
