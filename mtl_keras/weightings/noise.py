"""Random numbers for weightings, as pure functions of a seed and the step number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.weightings.base import State


def draws_state(tasks: int) -> State:
    """Returns the step count before the first step; all its rows are equal."""
    return {"draws": np.zeros(tasks, "float32")}


def next_draws(state: State) -> State:
    """Returns the state after a step."""
    return {**state, "draws": state["draws"] + 1}


def check_seed(seed: object) -> None:
    """Raises a ValueError if the seed is not an integer."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"seed must be an integer. Received: seed={seed!r}")


class StepSeed(keras.random.SeedGenerator):
    """A stateless `seed` for functions of `keras.random`.

    Args:
        seed: the method's seed.
        state: contains the count of `draws_state`.
        stream: distinguishes several draws in one step.
    """

    def __init__(self, seed: int, state: State, stream: int = 0) -> None:
        # Do not call the base constructor: it would create a variable inside a compiled step.
        self._key = ops.stack([ops.cast(state["draws"][0], "int32"), np.int32((seed * 1009 + stream) % 2**31)])

    def next(self, ordered: bool = True) -> Any:
        """Returns the key of the draw, which never changes."""
        return self._key
