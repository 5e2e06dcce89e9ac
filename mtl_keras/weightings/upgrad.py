"""UPGrad: the mean of the gradients, each projected onto the cone of directions that conflict with no task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import ConeProjection
from mtl_keras.weightings.simplex import equal_weights
from mtl_keras.weightings.solvers import nonnegative_qp, share_equally


@WEIGHTINGS.register
@dataclass(frozen=True)
class UPGrad(ConeProjection):
    """Unconflicting projection of gradients: projects each gradient so that it harms no task, and averages them.

    With N active tasks, g_k / N is replaced by the nearest vector along which no task's loss rises: sum_t v_kt g_t,
    where v_k minimises |sum_t v_t g_t| subject to v >= e_k / N. The weights are sum_k v_k; without conflict they are
    1/N. The objective is v'(G / trace G + r I) v, with the small r of TorchJD: conflicts of the order of r can remain.
    Each v_k scales with its gradient, so multiplying a task's loss by 10 multiplies its part by 10 (approximately: r is
    relative to the trace). Zero gradients keep the weight 1/N.

    Args:
        regularization: r, see `ConeProjection`.
        smallest: threshold for the trace of the Gramian, see `ConeProjection`.

    References:
        P. Quinton, V. Rey, *Jacobian Descent for Multi-Objective Optimization*, 2024, section 3,
        https://arxiv.org/abs/2406.16232.
    """

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        mean = equal_weights(active)
        regularized = self.regularized(gramian)
        # Row k is the programme of g_k / N; all are solved at once.
        extra = nonnegative_qp(regularized, regularized * mean[:, None], active)
        return mean + share_equally(gramian, ops.sum(extra, axis=0)), state
