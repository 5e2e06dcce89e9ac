"""The task weights as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting


@WEIGHTINGS.register
@dataclass(frozen=True)
class Static(Weighting):
    """Weighs each task with its task weight, whatever the losses.

    References:
        V. Kurin et al., *In Defense of the Unitary Scalarization for Deep Multi-Task Learning*, NeurIPS 2022,
        https://arxiv.org/abs/2201.04122: where networks are regularised well, it is as good as what is more elaborate.
    """

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        return ops.ones_like(seen.losses), state
