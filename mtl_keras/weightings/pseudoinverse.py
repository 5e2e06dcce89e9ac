"""Cosines of gradients, and minimum-norm solutions of linear systems of dependent gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

# A gradient counts as zero if its squared norm is not above this times the largest one.
_ZERO = 1e-24
# Eigenvalues of a cosine matrix that are not above this count as zero.
SINGULAR = 1e-12
_REFINEMENTS = 3
_ROUNDING = 1e-14


def cosines_of(gramian: Any) -> tuple[Any, Any]:
    """Returns the cosines `(tasks, tasks)` of gradients and the inverses of their norms; both 0 for zero gradients."""
    squares = ops.diagonal(gramian)
    nonzero = squares > ops.maximum(_ZERO * ops.max(squares), 1e-290)
    inverse = ops.where(nonzero, ops.rsqrt(ops.where(nonzero, squares, 1.0)), 0.0)
    return gramian * inverse[:, None] * inverse[None, :], inverse


def pseudo_solve(cosines: Any, right: Any) -> tuple[Any, Any]:
    """Returns the minimum-norm least-squares solution `(tasks,)` of `cosines @ x = right`, and the rank, an integer."""
    values, vectors = spectrum(cosines)
    nonzero = values > SINGULAR
    inverse = ops.where(nonzero, 1.0 / ops.where(nonzero, values, 1.0), 0.0)
    shares = ops.sum(vectors * right[:, None], axis=0) * inverse
    return ops.sum(vectors * shares[None, :], axis=1), ops.sum(ops.cast(nonzero, np.int32))


def spectrum(matrix: Any) -> tuple[Any, Any]:
    """Returns the eigenvalues `(size,)` of a symmetric matrix, in ascending order up to rounding, and eigenvectors.

    XLA's decomposition has only about 6 correct digits. First-order perturbation steps, which each square the error,
    add the rest.
    """
    vectors = ops.linalg.eigh(matrix)[1]
    for _ in range(_REFINEMENTS):
        rotated = _rotate(matrix, vectors)
        values = ops.diagonal(rotated)
        gaps = values[None, :] - values[:, None]
        # Do not change eigenvectors whose eigenvalues cannot be distinguished (yet, or at all).
        distinct = ops.abs(gaps) > ops.maximum(10.0 * ops.abs(rotated), _ROUNDING * ops.max(ops.abs(values)))
        vectors = vectors + ops.matmul(vectors, ops.where(distinct, rotated / ops.where(distinct, gaps, 1.0), 0.0))
        vectors = 1.5 * vectors - 0.5 * ops.matmul(vectors, ops.matmul(ops.transpose(vectors), vectors))
    return ops.diagonal(_rotate(matrix, vectors)), vectors


def _rotate(matrix: Any, vectors: Any) -> Any:
    return ops.matmul(ops.transpose(vectors), ops.matmul(matrix, vectors))
