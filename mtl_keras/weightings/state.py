"""State that methods keep from step to step: zeros, the moments of Adam, and the number of random draws."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.checks import checked_field
from mtl_keras.weightings.base import State

_BETA_1, _BETA_2 = 0.9, 0.999
# Adam squares the gradient and would not recover from an infinite square.
_STEEPEST = 1e6

LOG_BOUND = 20.0
"""Bound of a trained logarithm: a loss that stays at 0 would drive its weight to infinity, and infinity times 0 is
NaN."""


def zeros(tasks: int, *names: str) -> State:
    """Returns entries of a state that are 0 for each task: name -> `(tasks,)`."""
    return {name: np.zeros(tasks, "float32") for name in names}


def adam_state(tasks: int) -> State:
    """Returns the moments before the first step, one number per task."""
    return zeros(tasks, "momentum", "velocity", "steps")


def adam(
    value: Any,
    gradient: Any,
    state: State,
    learning_rate: float,
    moves: Any,
    *,
    bound: float = np.inf,
    epsilon: float = 1e-7,
    corrected: bool = False,
) -> tuple[Any, State]:
    """Takes an Adam step for some of the tasks, with the default constants of `keras.optimizers.Adam`.

    Each task has its own step count: a task that was left out for a while resumes as if it had run without a break.

    Args:
        value: `(tasks,)` parameters to train.
        gradient: `(tasks,)`, clipped to +-1e6; not read where `moves` is false.
        state: from `adam_state` or an earlier step; other entries are not read.
        learning_rate: size of the step.
        moves: `(tasks,)` booleans: the tasks whose value and moments change.
        bound: the new value stays between `-bound` and `bound`.
        epsilon: added to the root of the second moment.
        corrected: whether `epsilon` is added to the root of the bias-corrected second moment, as in PyTorch, or to that
            of the uncorrected one, as in Keras.

    Returns:
        The new value and the new moments.

    References:
        D. P. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, https://arxiv.org/abs/1412.6980.
    """
    gradient = ops.clip(ops.cast(gradient, value.dtype), -_STEEPEST, _STEEPEST)
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
    moved = ops.clip(moved, -bound, bound)
    return ops.where(moves, moved, value), {name: ops.where(moves, new[name], old[name]) for name in new}


def seed_field() -> int:
    """Returns the field of a seed, 0 by default; a ValueError is raised for anything but an integer."""
    return checked_field(0, _check_seed)


def _check_seed(argument: str, seed: object) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"{argument} must be an integer. Received: {argument}={seed!r}")


def draws_state(tasks: int) -> State:
    """Returns the number of steps with draws, 0 before the first; `(tasks,)` equal rows, like any state."""
    return zeros(tasks, "draws")


def next_draws(state: State) -> State:
    """Returns the state with the number of draws increased by 1."""
    return {**state, "draws": state["draws"] + 1}


class StepSeed(keras.random.SeedGenerator):
    """A stateless `seed` for functions of `keras.random`.

    Args:
        seed: the method's seed.
        state: has the entry of `draws_state`; each number of draws gives another key.
        stream: distinguishes several draws in one step.
    """

    def __init__(self, seed: int, state: State, stream: int = 0) -> None:
        # Do not call the base constructor: it would create a variable inside a compiled step.
        # The factor keeps the streams of neighbouring seeds apart.
        self._key = ops.stack([ops.cast(state["draws"][0], "int32"), np.int32((seed * 1009 + stream) % 2**31)])

    def next(self, ordered: bool = True) -> Any:
        """Returns the key of the draw, which never changes."""
        return self._key
