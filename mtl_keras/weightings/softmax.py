"""A softmax over some of the tasks."""

from __future__ import annotations

from typing import Any

from keras import ops

# A softmax gives 0 for it, and no NaN where there is nothing else.
LEFT_OUT = -1e38


def masked_softmax(scores: Any, active: Any) -> Any:
    """Returns the softmax `(tasks,)` of the scores of the active tasks, 0 for the others.

    Args:
        scores: `(tasks,)`; not read where not `active`.
        active: `(tasks,)` booleans; with none of them true the result is finite, and of no use.
    """
    scores = ops.where(active, scores, LEFT_OUT)
    return ops.exp(scores - ops.logsumexp(scores))
