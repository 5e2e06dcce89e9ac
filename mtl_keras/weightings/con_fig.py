"""The direction that has the same angle with all gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, Seen, State
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.pseudoinverse import SINGULAR, cosines_of, pseudo_solve


@WEIGHTINGS.register
@dataclass(frozen=True)
class ConFIG(GramianWeighting):
    """Conflict-free inverse gradients: the direction with the same cosine to all gradients, as long as they ask for.

    With u_i = g_i / |g_i| the rows of U, the direction is x = pinv(U) 1, and the update is
    (sum_i g_i . x) x / |x|^2: as long as the sum of the gradients' components along x. x is a sum of the rows of U,
    with the coefficients a = pinv(C) 1, where C = U U^T are the cosines. The weight of task i is
    a_i (sum_k |g_k| (C a)_k) / (|g_i| 1^T C a); they may be negative.

    The direction does not depend on the scale of any gradient, the length does. A gradient of zero has the weight 0.
    (A square not above 1e-24 times the largest counts as zero.) Where gradients are linearly dependent (an eigenvalue
    of C not above 1e-12), there may be no such direction; the pseudoinverse then comes closest to it. If nothing is
    left of it, as for gradients that are opposite, all weights are 0.

    References:
        Q. Liu, M. Chu, N. Thuerey, *ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks*, ICLR
        2025, equations 2 and 3, https://arxiv.org/abs/2408.11104.
    """

    NAME: ClassVar[str] = "config"

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        cosines, inverse_norms = cosines_of(seen.gramian)
        amounts = pseudo_solve(cosines, ops.ones_like(inverse_norms))[0]
        alike = ops.sum(cosines * amounts[None, :], axis=-1)
        square = ops.sum(amounts * alike)
        length = ops.sum(ops.diagonal(seen.gramian) * inverse_norms * alike)
        length = ops.where(square > SINGULAR, length / ops.where(square > SINGULAR, square, 1.0), 0.0)
        return inverse_norms * amounts * length, state
