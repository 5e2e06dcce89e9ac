"""Exact solvers of the small problems in weightings that use a Gramian.

All computations are float64 with fixed shapes, so they can be traced and compiled by XLA. "Zero" and "singular" are
judged after each task's gradient is scaled to norm 1, so they do not depend on the scale of any gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from mtl_keras.weightings.gramian import TINY

# Added to the diagonal of a cosine matrix to make it nonsingular. Far below 1e-8, the value for two gradients that
# differ from opposite directions by 1 in 10 000; far above rounding errors.
RIDGE = 1e-13
# The shortest affine combination of some gradients counts as zero if it is shorter than each of them by at least the
# square root of this.
STATIONARY = 1e-11
# How far below 0 a multiplier may be, relative to the values it is computed from.
_TOLERANCE = 1e-14
# Limits of a Newton step in a logarithm, and of the total distance, so that exponentials do not overflow.
_MAX_STEP, _MAX_DISTANCE = 5.0, 150.0


def definite_cosines(gramian: Any, active: Any) -> tuple[Any, Any, Any]:
    """Returns the cosines between gradients, the inverse norms, and which gradients are present.

    Args:
        gramian: `(..., tasks, tasks)`.
        active: `(..., tasks)` booleans.

    Returns:
        `(..., tasks, tasks)` cosines; rows of tasks that are inactive or have a zero gradient are those of the
        identity. The diagonal is shifted to make the matrix positive definite: by 1e-13, and by its most negative
        eigenvalue, which is a rounding error. `(..., tasks)` inverse norms, 0 for such tasks. `(..., tasks)` booleans,
        false for such tasks.
    """
    squares = ops.diagonal(gramian, axis1=-2, axis2=-1)
    present = ops.logical_and(active, squares > TINY)
    inverse = ops.where(present, ops.rsqrt(ops.where(present, squares, 1.0)), 0.0)
    eye = ops.eye(gramian.shape[-1], dtype=gramian.dtype)
    cosine = ops.where(eye > 0, 1.0, ops.clip(gramian * inverse[..., None] * inverse[..., None, :], -1.0, 1.0))
    lowest = ops.linalg.eigh(cosine)[0][..., 0]
    return cosine + (RIDGE + ops.maximum(-lowest, 0.0))[..., None, None] * eye, inverse, present


def nonnegative_qp(M: Any, q: Any, active: Any) -> Any:
    """Returns the x >= 0 that minimises x'Mx / 2 + q'x, 0 where not `active`; exact, batched over leading axes.

    If there are several minimisers, returns one of small norm. A variable whose diagonal entry of M is 0 stays 0, even
    if the minimum is unbounded in it. If the minimum is unbounded elsewhere, x is finite and large.

    Args:
        M: `(..., n, n)` symmetric positive semidefinite; leading axes broadcast to those of `q`.
        q: `(..., n)`, finite.
        active: `(..., n)` or `(n,)` booleans: the variables that may be above 0; other rows are ignored.

    References:
        L. F. Portugal, J. J. Judice, L. N. Vicente, *A Comparison of Block Pivoting and Interior-Point Algorithms for
        Linear Least Squares Problems with Nonnegative Variables*, Mathematics of Computation 63, 1994.
    """
    cosine, inverse, present = definite_cosines(M, active)
    q = q * inverse
    size = ops.max(ops.abs(q), axis=-1, keepdims=True)
    q = q / ops.where(size > 0, size, 1.0)
    present = ops.logical_and(present, ops.isfinite(q))

    def step(free: Any, x: Any, pivots: Any, running: Any) -> tuple[Any, ...]:
        x = ops.linalg.solve(restrict(cosine, free), ops.where(free, -q, 0.0))
        free, pivots, running = exchange(free, x, times(cosine, x) + q, present, pivots)
        return free, x, pivots, running

    n = M.shape[-1]
    state = (ops.logical_and(present, q < 0), ops.zeros_like(q), start_pivots(q), True)
    _, x, _, _ = ops.while_loop(lambda free, x, pivots, running: running, step, state, maximum_iterations=30 + 10 * n)
    return ops.maximum(x, 0.0) * inverse * size


def min_norm_point(gramian: Any, active: Any) -> Any:
    """Returns the weights >= 0 with sum 1 that minimise the norm of the weighted sum of the gradients; exact.

    Weights are 0 where not `active`. If some active gradients are zero, these share the weight.

    Args:
        gramian: `(tasks, tasks)`.
        active: `(tasks,)` booleans; if none is true, the result is 0.
    """
    squares = ops.diagonal(gramian)
    zero = ops.logical_and(active, squares <= TINY)
    shortest = ops.min(ops.where(ops.logical_and(active, squares > TINY), squares, ops.max(squares) + 1))
    # In units of the norms the simplex is {u >= 0: a'u = 1}. The minimiser of |sum u_i g_i|^2 on it is proportional to
    # that of |sum u_i g_i|^2 + (a'u - 1)^2.
    cosine, inverse, present = definite_cosines(gramian, active)
    a = ops.where(present, inverse * ops.sqrt(shortest), 0.0)
    u = nonnegative_qp(ops.where(present[:, None] & present, cosine, 0.0) + a[:, None] * a, -a, present)
    weights = share_equally(gramian, ops.where(ops.any(zero), ops.cast(zero, u.dtype), u * a))
    return weights / ops.maximum(ops.sum(weights), 1e-300)


def fair_point(gramian: Any, active: Any, alpha: float) -> Any:
    """Returns the weights w > 0 with G w = w^(-1/alpha); 0 for tasks that are inactive or have a zero gradient.

    The weights minimise the strictly convex w'Gw / 2 - sum_t psi(w_t) with psi' = w^(-1/alpha), by damped Newton steps
    in the logarithms of the weights. The last step has a relative change of at most 1e-6; the error is the square of
    that.

    There is no solution if a convex combination of the gradients is zero. Then the result is proportional to that
    combination, with the size that a single task's weight would have.

    Args:
        gramian: `(tasks, tasks)`.
        active: `(tasks,)` booleans.
        alpha: > 0.
    """
    beta = 1 / alpha
    cosine, inverse, present = definite_cosines(gramian, active)
    longest = ops.rsqrt(ops.maximum(ops.max(ops.diagonal(gramian)), TINY))
    # In units of the norms, C p = h p^-beta; `alone` is the logarithm of p for each task alone.
    logs = ops.where(present, -ops.log(ops.where(present, inverse / longest, 1.0)), 0.0)
    h, alone = ops.exp((beta - 1) * logs), (beta - 1) / (beta + 1) * logs
    step_sizes = 2.0 ** ops.cast(ops.arange(3, -9, -1), gramian.dtype)

    def step(v: Any, running: Any) -> tuple[Any, Any]:
        p = ops.exp(v)
        forces = h * ops.exp((1 - beta) * v)
        k = ops.sqrt(forces)
        scaled = cosine * (p / k)[:, None] * (p / k)
        system = scaled + beta * ops.eye(v.shape[0], dtype=v.dtype)
        newton = ops.clip(ops.linalg.solve(system, k - times(scaled, k)) / k, -_MAX_STEP, _MAX_STEP)
        changes = newton * step_sizes[:, None]
        moved = p * ops.expm1(changes)
        gains = changes if beta == 1 else ops.expm1((1 - beta) * changes) / (1 - beta)
        value = ops.sum(times(cosine, 2 * p + moved) * moved, axis=-1) / 2 - ops.sum(forces * gains, axis=-1)
        size = ops.max(ops.abs(newton))
        v = v + newton * ops.where(size < 0.2, 1.0, step_sizes[ops.argmin(value)])
        v = ops.clip(v, alone - _MAX_DISTANCE, alone + _MAX_DISTANCE)
        return v, ops.logical_and(size > 1e-6, ops.logical_not(stationary(v)))

    def stationary(v: Any) -> Any:
        p = ops.where(present, ops.exp(v - ops.max(ops.where(present, v, -np.inf))), 0.0)
        return ops.sum(times(cosine, p) * p) <= STATIONARY

    v, _ = ops.while_loop(lambda v, running: running, step, (alone, ops.any(present)), maximum_iterations=100)
    v = v - ops.where(stationary(v), ops.max(ops.where(present, v - alone, -np.inf)), 0.0)
    weights = ops.where(present, ops.exp(v) * inverse * (longest ** ((1 - beta) / (1 + beta))), 0.0)
    return share_equally(gramian, weights)


def share_equally(gramian: Any, weights: Any) -> Any:
    """Returns the weights with those of equal gradients replaced by their mean; the weighted sum stays the same.

    If gradients are linearly dependent, which of them a solver selects depends on rounding errors.
    """
    squares = ops.diagonal(gramian)
    shorter = ops.minimum(squares[:, None], squares)
    near = squares[:, None] + squares - 2 * gramian <= 1e-13 * shorter
    same = ops.cast(ops.logical_and(near, shorter > TINY), gramian.dtype)
    same = ops.maximum(same, ops.eye(gramian.shape[-1], dtype=gramian.dtype))
    return times(same, weights) / ops.sum(same, axis=-1)


def restrict(matrix: Any, free: Any) -> Any:
    """Returns the matrix with the rows and columns that are not `free` replaced by those of the identity."""
    both = ops.logical_and(free[..., None], free[..., None, :])
    return ops.where(both, matrix, ops.eye(matrix.shape[-1], dtype=matrix.dtype))


def times(matrix: Any, vector: Any) -> Any:
    """Returns the product of a matrix and a vector, batched over leading axes."""
    return ops.sum(matrix * vector[..., None, :], axis=-1)


def start_pivots(like: Any) -> Any:
    """Returns `(..., 2)`: the smallest number of wrong signs so far, and how often it may still fail to decrease."""
    return ops.zeros_like(like[..., :1]) + ops.convert_to_tensor([1e9, 3.0], dtype=like.dtype)


def exchange(free: Any, x: Any, multipliers: Any, present: Any, pivots: Any) -> tuple[Any, Any, Any]:
    """Exchanges variables of wrong sign between the free ones and those fixed at 0: a block pivoting step.

    All of them move while their number falls, and three times more; after that only the one with the highest index
    (Murty's rule), which cannot cycle.

    Returns:
        The free variables, the counts of `start_pivots`, and whether any sign was wrong.
    """
    noise = _TOLERANCE * (1 + ops.max(ops.abs(x), axis=-1, keepdims=True))
    wrong = ops.logical_and(present, ops.where(free, x < 0, multipliers < -noise))
    count = ops.sum(ops.cast(wrong, x.dtype), axis=-1)
    least, chances = pivots[..., 0], pivots[..., 1]
    fell = count < least
    later = ops.flip(ops.cumsum(ops.flip(ops.cast(wrong, "int32"), -1), axis=-1), -1)
    block = ops.logical_or(fell, chances > 0)[..., None]
    moved = ops.logical_and(wrong, ops.logical_or(block, later == 1))
    pivots = ops.stack([ops.minimum(count, least), ops.where(fell, 3.0, chances - 1)], axis=-1)
    return ops.logical_xor(free, moved), pivots, ops.any(wrong)
