"""Norms of gradients whose squares may overflow or underflow."""

from __future__ import annotations

from typing import Any

from keras import ops


def row_norms(jacobian: Any) -> Any:
    """Returns the Euclidean norms `(tasks,)` of the rows of `(tasks, coordinates)`; 0 for a row without entries."""
    largest = ops.max(ops.abs(jacobian), axis=1, initial=0.0)
    return largest * ops.sqrt(ops.sum(ops.square(ops.divide_no_nan(jacobian, largest[:, None])), axis=1))
