"""Gradients of three tasks in six steps, and what LibMTL (commit 4336804) in float64 made of them and of `LOSSES`.

`sequences.json` holds the gradients, each entry exact in float32, and by method its runs: arguments, one row a step,
and the combined gradient of the last step, which depends on all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mtl_keras.weightings import Weighting
from tests.mtl_keras.weightings.reference import LOSSES

RUNS: dict[str, Any] = json.loads((Path(__file__).parent / "sequences.json").read_text())
# In float64, each is the float32 number that was used, exactly.
JACOBIANS = np.array(RUNS.pop("jacobians"), "float32").astype("float64")


def steps(weighting: Weighting, dtype: str = "float64") -> Iterator[tuple[Any, Any, Any]]:
    """Yields the combined gradient, the weights and the state of each of the six steps."""
    state = {name: value.astype(dtype) for name, value in weighting.initial_state(3, 16).items()}
    for jacobian, losses in zip(JACOBIANS, LOSSES, strict=True):
        given = {"losses": losses.astype(dtype), "jacobian": jacobian.astype(dtype)}
        weights, vector, state = weighting.step(state, **given)
        yield vector, weights, state
