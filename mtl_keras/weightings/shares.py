"""Normalised weights over the active tasks."""

from __future__ import annotations

from typing import Any

from keras import ops


def shares_of_active(shares: Any, active: Any) -> tuple[Any, Any]:
    """Returns the weights `(tasks,)` of the active tasks, scaled to add up to 1, and their sum before scaling.

    Inactive tasks keep their share and do not affect the result. If the shares of the active tasks are all 0, the
    weights are equal.
    """
    ones = ops.cast(active, "float64")
    shares = ops.cast(shares, "float64") * ones
    total = ops.sum(shares)
    equal = ones / ops.maximum(ops.sum(ones), 1.0)
    return ops.where(total > 0, shares / ops.where(total > 0, total, 1.0), equal), total


def with_shares(shares: Any, new: Any, active: Any) -> Any:
    """Returns the shares `(tasks,)` with those of the active tasks replaced."""
    return ops.where(active, ops.cast(new, shares.dtype), shares)
