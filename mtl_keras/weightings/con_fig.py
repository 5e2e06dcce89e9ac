"""The direction that has the same angle with all gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State
from mtl_keras.weightings.gramian import GramianWeighting

# A gradient counts as zero if its square is not above this times the largest one.
_ZERO = 1e-24
# Eigenvalues of a matrix of cosines that are not above this count as zero.
_SINGULAR = 1e-12
_REFINEMENTS = 3
_ROUNDING = 1e-14


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

    Reference:
        Q. Liu, M. Chu, N. Thuerey, *ConFIG: Towards Conflict-free Training of Physics Informed Neural Networks*, ICLR
        2025 (arXiv 2408.11104, 2024), equations 2 and 3.
    """

    NAME: ClassVar[str] = "config"

    def weigh(self, gramian: Any, losses: Any, active: Any, state: State) -> tuple[Any, State]:
        cosines, inverse_norms = cosines_of(gramian)
        amounts = pseudo_solve(cosines, ops.ones_like(inverse_norms))[0]
        alike = ops.sum(cosines * amounts[None, :], axis=-1)
        square = ops.sum(amounts * alike)
        length = ops.sum(ops.diagonal(gramian) * inverse_norms * alike)
        length = ops.where(square > _SINGULAR, length / ops.where(square > _SINGULAR, square, 1.0), 0.0)
        return inverse_norms * amounts * length, state


def cosines_of(gramian: Any) -> tuple[Any, Any]:
    """Returns the cosines `(tasks, tasks)` of gradients and the inverses of their norms; both 0 for zero gradients."""
    squares = ops.diagonal(gramian)
    some = squares > ops.maximum(_ZERO * ops.max(squares), 1e-290)
    inverse = ops.where(some, ops.rsqrt(ops.where(some, squares, 1.0)), 0.0)
    return gramian * inverse[:, None] * inverse[None, :], inverse


def pseudo_solve(cosines: Any, right: Any) -> tuple[Any, Any]:
    """Returns the least solution `(tasks,)` of least squares of `cosines @ x = right`, and the rank, an integer."""
    values, vectors = spectrum(cosines)
    kept = values > _SINGULAR
    inverse = ops.where(kept, 1.0 / ops.where(kept, values, 1.0), 0.0)
    shares = ops.sum(vectors * right[:, None], axis=0) * inverse
    return ops.sum(vectors * shares[None, :], axis=1), ops.sum(ops.cast(kept, np.int32))


def spectrum(matrix: Any) -> tuple[Any, Any]:
    """Returns the eigenvalues `(size,)` of a symmetric matrix, in ascending order up to rounding, and eigenvectors.

    XLA's decomposition stops at 6 digits or so. First-order perturbation, each time squaring the error, does the rest.
    """
    vectors = ops.linalg.eigh(matrix)[1]
    for _ in range(_REFINEMENTS):
        rotated = _rotate(matrix, vectors)
        values = ops.diagonal(rotated)
        gaps = values[None, :] - values[:, None]
        # Vectors of eigenvalues that cannot be told apart (yet, or at all) are left as they are.
        apart = ops.abs(gaps) > ops.maximum(10.0 * ops.abs(rotated), _ROUNDING * ops.max(ops.abs(values)))
        vectors = vectors + ops.matmul(vectors, ops.where(apart, rotated / ops.where(apart, gaps, 1.0), 0.0))
        vectors = 1.5 * vectors - 0.5 * ops.matmul(vectors, ops.matmul(ops.transpose(vectors), vectors))
    return ops.diagonal(_rotate(matrix, vectors)), vectors


def _rotate(matrix: Any, vectors: Any) -> Any:
    return ops.matmul(ops.transpose(vectors), ops.matmul(matrix, vectors))
