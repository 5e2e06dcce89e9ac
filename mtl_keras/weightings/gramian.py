"""Base classes of methods that use the Gramian of the gradients, and linear algebra with dependent gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import check_bool, checked_field, integer_field, number_field
from mtl_keras.weightings.base import State, Weighting
from mtl_keras.weightings.state import StepSeed

# A sum, a difference or an eigenvalue of a cosine matrix counts as zero unless it is above this, relative to its terms.
ROUNDING = 1e-12
# A gradient counts as zero if its squared norm is not above this times the largest one.
ZERO_SQUARE = 1e-24
# A squared norm below this (the smallest float64 with an inverse square root) belongs to a zero gradient.
TINY = 1e-290
_REFINEMENTS = 3


@dataclass(frozen=True, kw_only=True)
class GramianWeighting(Weighting):
    """Base class of weightings that use the Gramian of the tasks' gradients.

    Args:
        update_every: new weights are computed every `update_every` steps, >= 1, and reused in between. A step that
            reuses them costs as much as one with fixed weights.
        representation: whether the gradients are with respect to the shared representation (the output tensors of the
            shared part of the network) instead of the shared variables: one backward pass through the shared part
            instead of one per task. This is an approximation, the upper bound of section 3.3 of the reference.

    Raises:
        ValueError: for an `update_every` that is not an integer >= 1, or `representation=True` for a method that needs
            `"two_halves"`.

    References:
        O. Sener, V. Koltun, *Multi-Task Learning as Multi-Objective Optimization*, NeurIPS 2018,
        https://arxiv.org/abs/1810.04650.
    """

    update_every: int = integer_field(1, minimum=1)
    representation: bool = checked_field(False, check_bool)

    needs = frozenset({"gramian"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.representation and "two_halves" in self.needs:
            raise ValueError(
                "representation=True is not possible where one half of the batch is compared with the other: their "
                f"representations are of different samples. Received: {type(self).__name__}(representation=True)"
            )
        if self.representation:
            object.__setattr__(self, "needs", self.needs | {"representation"})


@dataclass(frozen=True)
class ConeProjection(GramianWeighting):
    """A method that solves quadratic programmes with the normalised, regularised Gramian G / trace G + r I.

    The small r is TorchJD's: conflicts of the order of r can remain.

    Args:
        regularization: r, >= 0. At 0 projections are exact, but weights are unbounded near Pareto-stationary points.
        smallest: threshold for the trace of the Gramian (the sum of the squared norms), >= 0. A smaller trace counts as
            zero, and weights are 1/N. The default is TorchJD's and absolute; 0 makes the method independent of a common
            scale of the losses.

    Raises:
        ValueError: for an argument that is not a finite number >= 0.
    """

    regularization: float = number_field(1e-4, minimum=0)
    smallest: float = number_field(1e-4, minimum=0)

    def regularized(self, gramian: Any) -> Any:
        """Returns the Gramian divided by its trace, plus r times the identity."""
        trace = ops.sum(ops.diagonal(gramian))
        counts = ops.logical_and(trace >= self.smallest, trace > 0)
        normalized = ops.where(counts, gramian / ops.where(counts, trace, 1.0), 0.0)
        return normalized + self.regularization * ops.eye(gramian.shape[0], dtype=gramian.dtype)


def row_norms(jacobian: Any) -> Any:
    """Returns the Euclidean norms `(tasks,)` of the rows of `(tasks, coordinates)`; 0 for a row without entries."""
    largest = ops.max(ops.abs(jacobian), axis=1, initial=0.0)
    return largest * ops.sqrt(ops.sum(ops.square(ops.divide_no_nan(jacobian, largest[:, None])), axis=1))


def cosines_of(gramian: Any) -> tuple[Any, Any]:
    """Returns the cosines `(tasks, tasks)` of gradients and the inverses of their norms; both 0 for zero gradients."""
    squares = ops.diagonal(gramian)
    nonzero = squares > ops.maximum(ZERO_SQUARE * ops.max(squares), TINY)
    inverse = ops.where(nonzero, ops.rsqrt(ops.where(nonzero, squares, 1.0)), 0.0)
    return gramian * inverse[:, None] * inverse[None, :], inverse


def pseudo_solve(cosines: Any, right: Any) -> tuple[Any, Any]:
    """Returns the minimum-norm least-squares solution `(tasks,)` of `cosines @ x = right`, and the rank, an integer."""
    values, vectors = spectrum(cosines)
    nonzero = values > ROUNDING
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
        distinct = ops.abs(gaps) > ops.maximum(10.0 * ops.abs(rotated), 1e-14 * ops.max(ops.abs(values)))
        vectors = vectors + ops.matmul(vectors, ops.where(distinct, rotated / ops.where(distinct, gaps, 1.0), 0.0))
        vectors = 1.5 * vectors - 0.5 * ops.matmul(vectors, ops.matmul(ops.transpose(vectors), vectors))
    return ops.diagonal(_rotate(matrix, vectors)), vectors


def _rotate(matrix: Any, vectors: Any) -> Any:
    return ops.matmul(ops.transpose(vectors), ops.matmul(matrix, vectors))


def ascending_order(tasks: int) -> np.ndarray:
    """Returns `(tasks, tasks - 1)` integers: row i has all tasks but i, in ascending order."""
    return np.array([[other for other in range(tasks) if other != task] for task in range(tasks)]).reshape(tasks, -1)


def random_order(tasks: int, seed: int, state: State) -> Any:
    """Returns `(tasks, tasks - 1)` integers: row i has all tasks but i, in random order."""
    if tasks <= 2:
        return ops.convert_to_tensor(ascending_order(tasks), "int32")
    keys = keras.random.uniform((tasks, tasks), seed=StepSeed(seed, state))
    return ops.argsort(keys + 2.0 * np.eye(tasks, dtype="float32"), axis=1)[:, : tasks - 1]


def projection_products(gramian: Any, order: Any) -> tuple[Any, Any, Any]:
    """Returns the Gramian entries needed to project gradient i against gradient order[i, s] in step s.

    Returns:
        `(tasks, steps)` inner products of gradient i with the other gradients; `(tasks, steps)` squared norms of those,
        0 for zero gradients; and `(steps, tasks, steps)`: for each step, the inner products of that step's other
        gradient with all others of task i.
    """
    squares = ops.diagonal(gramian)
    squares = ops.where(squares > ZERO_SQUARE * ops.max(squares), squares, 0.0)
    pairs = ops.transpose(order)[:, :, None] * gramian.shape[0] + order[None, :, :]
    products = ops.take(ops.reshape(gramian, (-1,)), pairs)
    return ops.take_along_axis(gramian, order, axis=1), ops.take(squares, order), products


def scatter_to_columns(values: Any, order: Any) -> Any:
    """Returns `(tasks, tasks)` with `values[i, s]` in row i and column order[i, s], and 0 on the diagonal."""
    places = ops.one_hot(order, order.shape[0], dtype=values.dtype)
    return ops.sum(values[:, :, None] * places, axis=1)
