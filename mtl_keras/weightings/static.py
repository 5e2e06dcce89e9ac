"""Static: fixed task weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting


@WEIGHTINGS.register
@dataclass(frozen=True)
class Static(Weighting):
    """Weights each task by its task weight, independent of the losses.

    References:
        V. Kurin et al., *In Defense of the Unitary Scalarization for Deep Multi-Task Learning*, NeurIPS 2022,
        https://arxiv.org/abs/2201.04122: with well-regularised networks, it matches more elaborate methods.
    """

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        return ops.ones_like(inputs.losses), state
