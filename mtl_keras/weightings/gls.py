"""GLS: the geometric mean of the losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting

# A loss of 0 has no logarithm; below this value, a task's weight stops growing.
_SMALLEST = 1e-7


@WEIGHTINGS.register
@dataclass(frozen=True)
class GLS(Weighting):
    """Geometric loss strategy: minimises the geometric mean of the losses, independent of their units.

    The mean is G = prod_t L_t^(p_t / P), where p_t is the preference of task t and P the sum of the preferences. Its
    gradient is the sum of the losses' gradients, weighted by G p_t / (P L_t); these are the weights. The sum of the
    weighted losses is G itself.

    For losses > 0. A loss below 1e-7 is weighted as if it were 1e-7.

    References:
        S. Chennupati, G. Sistu, S. Yogamani, S. Rawashdeh, *MultiNet++: Multi-Stream Feature Aggregation and Geometric
        Loss Strategy for Multi-Task Learning*, CVPR workshops 2019, https://arxiv.org/abs/1904.08492.
    """

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        # float64: the quotient of a large mean and a tiny loss can overflow float32.
        logs = ops.log(ops.maximum(ops.cast(inputs.losses, "float64"), _SMALLEST))
        preference = ops.cast(inputs.preference, "float64")
        total = ops.sum(preference)
        mean = ops.divide_no_nan(ops.sum(preference * logs), total)
        return ops.divide_no_nan(ops.exp(mean - logs), total), state
