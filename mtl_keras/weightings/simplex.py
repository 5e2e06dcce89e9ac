"""Weights that add up to 1 over the active tasks: softmax, shares and projection onto the simplex."""

from __future__ import annotations

from typing import Any

from keras import ops

# The softmax of this score is 0, and not NaN if all scores have this value.
_LEFT_OUT = -1e38


def mask_inactive(scores: Any, active: Any) -> Any:
    """Returns the scores `(tasks,)`, with a low value for inactive tasks that makes their softmax 0."""
    return ops.where(active, scores, _LEFT_OUT)


def masked_softmax(scores: Any, active: Any) -> Any:
    """Returns the softmax `(tasks,)` of the scores of the active tasks, 0 for the others.

    Args:
        scores: `(tasks,)`; ignored where not `active`.
        active: `(tasks,)` booleans; if none is true, the result is finite but meaningless.
    """
    scores = mask_inactive(scores, active)
    return ops.exp(scores - ops.logsumexp(scores))


def equal_weights(active: Any) -> Any:
    """Returns 1 / (number of active tasks) for each of them, 0 for the others."""
    ones = ops.cast(active, "float64")
    return ones / ops.maximum(ops.sum(ones), 1.0)


def one_if_alone(weights: Any, active: Any) -> Any:
    """Returns the weights, or 1 if only one task is active."""
    ones = ops.cast(active, weights.dtype)
    return ops.where(ops.sum(ones) > 1, weights, ones)


def normalize_active(shares: Any, active: Any) -> tuple[Any, Any]:
    """Returns the weights `(tasks,)` of the active tasks, scaled to add up to 1, and their sum before scaling.

    Inactive tasks keep their share and do not affect the result. If the shares of the active tasks are all 0, the
    weights are equal.
    """
    shares = ops.where(active, ops.cast(shares, "float64"), 0.0)
    total = ops.sum(shares)
    return ops.where(total > 0, shares / ops.where(total > 0, total, 1.0), equal_weights(active)), total


def replace_active(shares: Any, new: Any, active: Any) -> Any:
    """Returns the shares `(tasks,)` with those of the active tasks replaced."""
    return ops.where(active, ops.cast(new, shares.dtype), shares)


def project_simplex(v: Any, active: Any) -> Any:
    """Returns the point of the unit simplex that is nearest to `v`, 0 where not `active`; batched over leading axes.

    Args:
        v: `(..., tasks)`; ignored where not `active`.
        active: `(..., tasks)` booleans; if none is true, the result is 0.
    """
    # Entries more than 1 below the largest are 0 in the projection, as are those that are exactly 1 below.
    v = ops.where(active, v, 0.0)
    highest = ops.max(ops.where(active, v, ops.min(v, axis=-1, keepdims=True)), axis=-1, keepdims=True)
    v = ops.where(active, ops.maximum(v - highest, -1.0), -1.0)
    sums = ops.cumsum(ops.flip(ops.sort(v, axis=-1), axis=-1), axis=-1)
    counts = ops.arange(1, v.shape[-1] + 1, dtype=v.dtype)
    threshold = ops.max((sums - 1) / counts, axis=-1, keepdims=True)
    return ops.where(active, ops.maximum(v - threshold, 0.0), 0.0)
