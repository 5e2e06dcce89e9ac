"""ConFIG: the direction that has the same angle with all gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import ROUNDING, GramianWeighting, cosines_of, pseudo_solve


@WEIGHTINGS.register
@dataclass(frozen=True)
class ConFIG(GramianWeighting):
    """Conflict-free inverse gradients: the direction with the same cosine to all gradients.

    With u_i = g_i / |g_i| the rows of U, the direction is x = pinv(U) 1, and the update is (sum_i g_i . x) x / |x|^2:
    its length is the sum of the gradients' components along x. x is a combination of the rows of U with the
    coefficients a = pinv(C) 1, where C = U U^T are the cosines. The weight of task i is
    a_i (sum_k |g_k| (C a)_k) / (|g_i| 1^T C a); weights may be negative.

    The direction does not depend on the scale of any gradient; the length does. A zero gradient gets the weight 0. (A
    squared norm not above 1e-24 times the largest counts as zero.) If gradients are linearly dependent (an eigenvalue
    of C is not above 1e-12), such a direction may not exist; the pseudoinverse then gives the closest one. If this is
    zero, as for opposite gradients, all weights are 0.

    References:
        Q. Liu, M. Chu, N. Thuerey, *ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks*, ICLR
        2025, equations 2 and 3, https://arxiv.org/abs/2408.11104.
    """

    NAME: ClassVar[str] = "config"

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        cosines, inverse_norms = cosines_of(inputs.gramian)
        amounts = pseudo_solve(cosines, ops.ones_like(inverse_norms))[0]
        components = ops.sum(cosines * amounts[None, :], axis=-1)
        square = ops.sum(amounts * components)
        length = ops.sum(ops.diagonal(inputs.gramian) * inverse_norms * components)
        length = ops.where(square > ROUNDING, length / ops.where(square > ROUNDING, square, 1.0), 0.0)
        return inverse_norms * amounts * length, state
