"""Adam as a pure function, for the parameters that a weighting trains itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from mtl_keras.weightings.base import State

_BETA_1, _BETA_2 = 0.9, 0.999


def adam_state(tasks: int) -> State:
    """Returns the moments before the first step, one number per task."""
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
    """Takes an Adam step for some of the tasks, with the default constants of `keras.optimizers.Adam`.

    Each task has its own step count: a task that was left out for a while resumes as if it had run without a break.

    Args:
        value: `(tasks,)` parameters to train.
        gradient: `(tasks,)`; not read where `moves` is false.
        state: from `adam_state` or an earlier step; other entries are not read.
        learning_rate: size of the step.
        moves: `(tasks,)` booleans: the tasks whose value and moments change.
        epsilon: added to the root of the second moment.
        corrected: whether `epsilon` is added to the root of the bias-corrected second moment, as in PyTorch, or to that
            of the uncorrected one, as in Keras.

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
