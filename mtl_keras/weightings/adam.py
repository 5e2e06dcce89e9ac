"""Adam as a pure function, for the few numbers that a weighting trains itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from mtl_keras.weightings.base import State

_BETA_1, _BETA_2 = 0.9, 0.999


def adam_state(tasks: int) -> State:
    """Returns the moments before the first step, one number a task."""
    return {name: np.zeros(tasks, "float32") for name in ("momentum", "velocity", "steps")}


def adam(
    value: Any,
    gradient: Any,
    state: State,
    learning_rate: float,
    moves: Any,
    *,
    epsilon: float = 1e-7,
    corrected: bool = False,
) -> tuple[Any, State]:
    """Takes a step of Adam for some of the tasks, with the constants that `keras.optimizers.Adam` has by default.

    Each task has its own count of steps: a task that was left out for a while goes on as if it had not been.

    Args:
        value: `(tasks,)` what is trained.
        gradient: `(tasks,)`; not read where `moves` is false.
        state: from `adam_state` or an earlier step; other entries are not read.
        learning_rate: size of the step.
        moves: `(tasks,)` booleans: the tasks whose value and moments change.
        epsilon: added to the root of the second moment.
        corrected: whether it is added to the root of the corrected second moment, as in PyTorch, not to that of the
            moment itself, as in Keras.

    Returns:
        The new value and the new moments.

    References:
        D. P. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, https://arxiv.org/abs/1412.6980.
    """
    gradient = ops.cast(gradient, value.dtype)
    old = {name: ops.cast(state[name], value.dtype) for name in ("momentum", "velocity", "steps")}
    new = {
        "momentum": _BETA_1 * old["momentum"] + (1 - _BETA_1) * gradient,
        "velocity": _BETA_2 * old["velocity"] + (1 - _BETA_2) * ops.square(gradient),
        "steps": old["steps"] + 1,
    }
    correction = ops.sqrt(1 - _BETA_2 ** new["steps"])
    rate = learning_rate * correction / (1 - _BETA_1 ** new["steps"])
    added = epsilon * correction if corrected else epsilon
    moved = value - rate * new["momentum"] / (ops.sqrt(new["velocity"]) + added)
    return ops.where(moves, moved, value), {name: ops.where(moves, new[name], old[name]) for name in new}
