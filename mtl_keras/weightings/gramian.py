"""Constructor arguments shared by all methods that use the Gramian of the gradients."""

from __future__ import annotations

from dataclasses import dataclass

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import Weighting


@dataclass(frozen=True, kw_only=True)
class GramianWeighting(Weighting):
    """Base class of weightings that use the Gramian of the tasks' gradients.

    Args:
        update_every: new weights are computed every `update_every` steps, >= 1, and reused in between. A step that
            reuses them costs as much as one with fixed weights.
        representation: whether the gradients are with respect to the shared representation (the output tensors of the
            shared part of the network) instead of the shared variables: one backward pass through the shared part
            instead of one per task. This is an approximation, the upper bound of section 3.3 of the reference.

    Raises:
        ValueError: for an `update_every` that is not an integer >= 1, or `representation=True` for a method that needs
            `"two_halves"`.

    References:
        O. Sener, V. Koltun, *Multi-Task Learning as Multi-Objective Optimization*, NeurIPS 2018,
        https://arxiv.org/abs/1810.04650.
    """

    update_every: int = 1
    representation: bool = False

    needs = frozenset({"gramian"})

    def __post_init__(self) -> None:
        if check_number("update_every", self.update_every, 1) % 1:
            raise ValueError(f"update_every must be a whole number. Received: update_every={self.update_every!r}")
        if not isinstance(self.representation, bool):
            raise ValueError(f"representation must be True or False. Received: representation={self.representation!r}")
        if self.representation and "two_halves" in self.needs:
            raise ValueError(
                "representation=True is not possible where one half of the batch is compared with the other: their "
                f"representations are of different samples. Received: {type(self).__name__}(representation=True)"
            )
        if self.representation:
            object.__setattr__(self, "needs", self.needs | {"representation"})
