"""Softmax over the active tasks."""

from __future__ import annotations

from typing import Any

from keras import ops

# The softmax of this score is 0, and not NaN if all scores have this value.
LEFT_OUT = -1e38


def masked_softmax(scores: Any, active: Any) -> Any:
    """Returns the softmax `(tasks,)` of the scores of the active tasks, 0 for the others.

    Args:
        scores: `(tasks,)`; ignored where not `active`.
        active: `(tasks,)` booleans; if none is true, the result is finite but meaningless.
    """
    scores = ops.where(active, scores, LEFT_OUT)
    return ops.exp(scores - ops.logsumexp(scores))
