"""DualProj: projects the mean gradient onto the cone of directions that conflict with no task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import ConeProjection
from mtl_keras.weightings.simplex import equal_weights
from mtl_keras.weightings.solvers import nonnegative_qp, share_equally, times


@WEIGHTINGS.register
@dataclass(frozen=True)
class DualProj(ConeProjection):
    """Dual-cone projection: the direction nearest to the mean gradient along which no task's loss rises.

    With N active tasks, the weights minimise |sum_t w_t g_t| subject to w_t >= 1/N; without conflict they are 1/N. The
    objective is w'(G / trace G + r I) w, with the small r of TorchJD: conflicts of the order of r can remain.
    Multiplying one task's loss by 10 changes the direction, as it changes the mean gradient. Zero gradients keep the
    weight 1/N.

    Args:
        regularization: r, see `ConeProjection`.
        smallest: threshold for the trace of the Gramian, see `ConeProjection`.

    References:
        D. Lopez-Paz, M. Ranzato, *Gradient Episodic Memory for Continual Learning*, NeurIPS 2017, equations 8 to 11,
        https://arxiv.org/abs/1706.08840.
    """

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        mean = equal_weights(active)
        regularized = self.regularized(gramian)
        extra = nonnegative_qp(regularized, times(regularized, mean), active)
        return mean + share_equally(gramian, extra), state
