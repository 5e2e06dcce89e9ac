"""Losses and gradients of three tasks in six steps, and what published implementations gave for them in float64.

`sequences.json` holds the gradients, each entry exact in float32, and by method its runs in LibMTL (commit 4336804):
arguments, one row a step, and the combined gradient of the last step. `published.json` holds by method what LibMTL and
TorchJD 0.18.0 gave; the test of each method says what the numbers are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mtl_keras.weightings import Previous, State, Weighting
from mtl_keras.weightings.base import StepResult

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
_FOLDER = Path(__file__).parent
RUNS: dict[str, Any] = json.loads((_FOLDER / "sequences.json").read_text())
JACOBIANS = np.array(RUNS.pop("jacobians"), "float32").astype("float64")
PUBLISHED: dict[str, Any] = json.loads((_FOLDER / "published.json").read_text())
RTOL = {"float64": 1e-6, "float32": 1e-4}


def one_step(
    weighting: Weighting,
    inputs: Any,
    losses: Any = None,
    preference: Any = None,
    state: State | None = None,
    previous: Previous | None = None,
) -> StepResult:
    """Takes a step, from the initial state if there is no other; arguments as in `weighting(...)`."""
    inputs = np.asarray(inputs)
    name = next((name for name in ("jacobian", "gramian") if name in weighting.needs), "losses")
    state = weighting.initial_state(len(inputs), inputs.shape[-1]) if state is None else state
    given = {"losses": losses, name: inputs}
    return weighting.step(state, preference=preference, previous=previous, **given)


def steps(weighting: Weighting, dtype: str = "float64") -> Iterator[tuple[Any, Any, Any]]:
    """Yields the combined gradient, the weights and the state of each of the six steps."""
    state = {name: value.astype(dtype) for name, value in weighting.initial_state(3, 16).items()}
    for jacobian, losses in zip(JACOBIANS, LOSSES, strict=True):
        given = {"losses": losses.astype(dtype), "jacobian": jacobian.astype(dtype)}
        weights, vector, state = weighting.step(state, **given)
        yield vector, weights, state
