"""Losses of three tasks, in six epochs or steps, for which published implementations were run in float64.

The weights that LibMTL (commit 4336804) gave for them stand in the test of each method; TorchJD 0.18.0 gives the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtl_keras.weightings import Previous, State, Weighting
from mtl_keras.weightings.base import Step

LOSSES = np.array(
    [
        [2.3125, 0.90625, 14.0],
        [1.703125, 0.75, 11.5],
        [1.34375, 0.71875, 7.875],
        [1.203125, 0.515625, 6.625],
        [1.015625, 0.546875, 6.875],
        [0.875, 0.4375, 4.25],
    ]
)
RTOL = {"float64": 1e-6, "float32": 1e-4}


def one_step(
    weighting: Weighting,
    inputs: Any,
    losses: Any = None,
    preference: Any = None,
    state: State | None = None,
    previous: Previous | None = None,
) -> Step:
    """Takes a step, from the initial state if there is no other; arguments as in `weighting(...)`."""
    inputs = np.asarray(inputs)
    name = next((name for name in ("jacobian", "gramian") if name in weighting.needs), "losses")
    state = weighting.initial_state(len(inputs), inputs.shape[-1]) if state is None else state
    given = {"losses": losses, name: inputs}
    return weighting.step(state, preference=preference, previous=previous, **given)
