"""Log: the logarithms of the losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting

_EPSILON = 1e-8


@WEIGHTINGS.register
@dataclass(frozen=True)
class Log(Weighting):
    """Minimises the sum of the logarithms of the losses: only relative changes of a loss count.

    The weight of task t is p_t / (L_t + 1e-8), where p_t is its preference: the derivative of p_t log(L_t + 1e-8). It
    does not depend on the other tasks. Multiplying a loss by a number divides its weight by it: the unit of a loss does
    not matter if the loss is far above 1e-8.

    For losses > 0; a loss below 0 counts as 0. A single task has the weight p / (L + 1e-8), not p.

    References:
        B. Lin, W. Jiang, F. Ye, Y. Zhang, P. Chen, Y.-C. Chen, S. Liu, J. T. Kwok, *Dual-Balancing for Multi-Task
        Learning*, 2023, https://arxiv.org/abs/2308.12029: the loss balancing, the first of its two parts.
    """

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        return 1 / (ops.maximum(inputs.losses, 0.0) + _EPSILON), state
