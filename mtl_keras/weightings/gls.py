"""The geometric mean of the losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, LossWeighting, State

# A loss of 0 has no logarithm; below this one, a task's weight grows no more.
_SMALLEST = 1e-7


@WEIGHTINGS.register
@dataclass(frozen=True)
class GLS(LossWeighting):
    """Geometric loss strategy: minimises the geometric mean of the losses, which no unit of a loss can change.

    The mean is G = prod_t L_t^(p_t / P), where p_t is the preference of task t and P that of all tasks. Its gradient
    is the sum of those of the losses, weighted with G p_t / (P L_t); these are the weights. The sum of the weighted
    losses is G itself.

    For losses > 0. A loss below 1e-7 is weighted as if it were 1e-7.

    Reference:
        S. Chennupati, G. Sistu, S. Yogamani, S. Rawashdeh, *MultiNet++: Multi-Stream Feature Aggregation and Geometric
        Loss Strategy for Multi-Task Learning*, CVPR workshops 2019.
    """

    def weights(self, losses: Any, preference: Any, state: State) -> Any:
        shares = ops.divide_no_nan(preference, ops.sum(preference))
        logs = ops.log(ops.maximum(losses, _SMALLEST))
        mean = ops.sum(ops.where(shares > 0, shares * logs, 0.0))
        # One exponential of it all: a tiny share would otherwise meet a weight that has overflowed.
        return ops.where(shares > 0, ops.exp(ops.log(shares) + mean - logs), 0.0)
