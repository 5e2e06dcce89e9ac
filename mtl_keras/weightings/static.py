"""The task weights as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mtl_keras.weightings.base import WEIGHTINGS, LossWeighting, State


@WEIGHTINGS.register
@dataclass(frozen=True)
class Static(LossWeighting):
    """Weighs each task with its task weight, whatever the losses.

    Reference:
        V. Kurin et al., *In Defense of the Unitary Scalarization for Deep Multi-Task Learning*, NeurIPS 2022: where
        networks are regularised well, it is as good as what is more elaborate.
    """

    def weights(self, losses: Any, preference: Any, state: State) -> Any:
        return preference
