"""Random numbers of a weighting, as pure functions of a seed and the number of the step."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.weightings.base import State


def draws_state(tasks: int) -> State:
    """Returns the count of steps before the first one; its rows are all the same."""
    return {"draws": np.zeros(tasks, "float32")}


def next_draws(state: State) -> State:
    """Returns the state after a step."""
    return {**state, "draws": state["draws"] + 1}


def check_seed(seed: object) -> None:
    """Raises a ValueError for what is not an integer."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"seed must be an integer. Received: seed={seed!r}")


class StepSeed(keras.random.SeedGenerator):
    """What to give to functions of `keras.random` as their `seed`, instead of a generator with a state of its own.

    Args:
        seed: the method's seed.
        state: with the count of `draws_state`.
        stream: tells apart several draws of one step.
    """

    def __init__(self, seed: int, state: State, stream: int = 0) -> None:
        # The generator of the base class would make a variable, which is not to be done in a compiled step.
        self._key = ops.stack([ops.cast(state["draws"][0], "int32"), np.int32((seed * 1009 + stream) % 2**31)])

    def next(self, ordered: bool = True) -> Any:
        """Returns the key of the draw, always the same."""
        return self._key
