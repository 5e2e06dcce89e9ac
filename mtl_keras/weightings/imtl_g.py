"""IMTL-G: a combined gradient with equal projections onto all gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import ROUNDING, GramianWeighting, cosines_of, pseudo_solve, spectrum


@WEIGHTINGS.register
@dataclass(frozen=True)
class IMTLG(GramianWeighting):
    """Impartial multi-task learning, gradient part: the combined gradient has equal projections onto all gradients.

    With the Gramian G, v = pinv(G) sqrt(diag G), and the weights are v / sum(v). They add up to 1 and may be negative.

    For linearly independent gradients, the direction of the combined gradient does not depend on their norms, but its
    length and sign do. If sum(v) is below 0, the update increases all losses; this follows from the definition.

    A zero gradient gets the weight 0. (A squared norm not above 1e-24 times the largest counts as zero.) The rank of G
    is that of the matrix of cosines, which does not depend on the norms. If the sum of v vanishes up to rounding, all
    weights are 0; this includes the case that all gradients are zero.

    References:
        L. Liu, Y. Li, Z. Kuang, J.-H. Xue, Y. Chen, W. Yang, Q. Liao, W. Zhang, *Towards Impartial Multi-task
        Learning*, ICLR 2021, equation 2, https://openreview.net/forum?id=IMPnRXEWpvr. The pseudoinverse, instead of the
        inverse, is TorchJD's.
    """

    NAME: ClassVar[str] = "imtl_g"

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian = inputs.gramian
        cosines, inverse_norms = cosines_of(gramian)
        nonzero = inverse_norms > 0
        # For independent gradients, v = D pinv(C) 1 with the cosines C and the inverse norms D, which is more precise
        # than pinv(G) if the norms differ greatly.
        unscaled, rank = pseudo_solve(cosines, ops.ones_like(inverse_norms))
        independent = rank == ops.sum(ops.cast(nonzero, np.int32))
        norms = ops.sqrt(ops.where(nonzero, ops.diagonal(gramian), 0.0))
        # Both cases are multiplied by the largest norm, which cancels in the end; the bound is the root of `TINY`.
        largest = ops.maximum(ops.max(norms), 1e-145)
        solved = ops.where(
            independent,
            unscaled * inverse_norms * largest,
            _solve_with_rank(gramian / largest / largest, norms / largest, rank),
        )
        total = ops.sum(solved)
        is_reliable = ops.abs(total) > ROUNDING * ops.sum(ops.abs(solved))
        return ops.where(is_reliable, solved / ops.where(is_reliable, total, 1.0), 0.0), state


def _solve_with_rank(matrix: Any, right: Any, rank: Any) -> Any:
    """Returns `pinv(matrix) @ right`, as if all but the `rank` largest eigenvalues were 0."""
    values, vectors = spectrum(matrix)
    size = matrix.shape[0]
    in_rank = ops.logical_and(ops.arange(size) >= size - rank, values > 0)
    inverse = ops.where(in_rank, 1.0 / ops.where(in_rank, values, 1.0), 0.0)
    shares = ops.sum(vectors * right[:, None], axis=0) * inverse
    return ops.sum(vectors * shares[None, :], axis=1)
