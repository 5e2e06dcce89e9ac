"""A weighted sum of losses, and the angle between the losses and the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting

# Losses shorter than this have no direction.
_SHORTEST = 1e-8


@WEIGHTINGS.register
@dataclass(frozen=True)
class COSMOS(Weighting):
    """Minimises a weighted sum of the losses, less the cosine of the angle between the losses and the weights.

    The preferences, divided by their sum, are r. The value r.L - lam cos(r, L) is minimised: the weights are its
    derivatives r_t - lam (u_t - cos(r, L) L_t / |L|) / |L|, where u = r / |r|.

    A preference has two meanings here: the factor of a loss in the sum, and its place in the ratio in which the losses
    are to stand. By the second, a task with a larger one may keep a larger loss. Only the ratios of the preferences
    matter; without any, each r_t is 1 / N.

    **A weight may be below 0**, for a task whose loss is smaller than its place in that ratio: the loss is made to grow
    until the ratio is right.

    The cosine's part grows as 1 / |L| where the losses fall: lam has the unit of a loss. It is left out where |L| is
    below 1e-8. Identical tasks have equal weights, and one task has the weight 1.

    The method of the paper also shows r to the network, and draws it for each batch, to learn a whole front of
    solutions. Here there is one network for one r.

    Args:
        lam: lambda, how much the angle counts, >= 0. At 0 the weights are r. The paper uses 0.01 to 8, by data set.

    Raises:
        ValueError: for a lam that is not a finite number from 0 on.

    References:
        M. Ruchte, J. Grabocka, *Scalable Pareto Front Approximation for Deep Multi-Objective Learning*, ICDM 2021,
        https://arxiv.org/abs/2103.13392.
    """

    NAME: ClassVar[str] = "cosmos"

    lam: float = 2.0

    def __post_init__(self) -> None:
        check_number("lam", self.lam, 0)

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        # Near the right ratio two nearly equal directions are subtracted.
        ray = ops.cast(seen.preference, "float64")
        found = ops.where(seen.active, ops.cast(seen.losses, "float64"), 0.0)
        size = ops.sqrt(ops.sum(found * found))
        towards = ops.divide_no_nan(found, size)
        wanted = ops.divide_no_nan(ray, ops.sqrt(ops.sum(ray * ray)))
        turn = wanted - ops.sum(wanted * towards) * towards
        pull = ops.where(size > _SHORTEST, self.lam / ops.maximum(size, _SHORTEST), 0.0)
        return ops.divide_no_nan(ops.divide_no_nan(ray, ops.sum(ray)) - pull * turn, ray), state
