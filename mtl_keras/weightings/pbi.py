"""Distance along a ray of preferred losses, and distance from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting

# Closer to the ray than this, relative to the length of the losses, the penalty is smooth.
_NEAR = 1e-6


@WEIGHTINGS.register
@dataclass(frozen=True)
class PBI(Weighting):
    """Penalty-based boundary intersection: minimises the losses along a ray, and their distance from it.

    The preferences p are the ray: u = p / |p|. The losses come to d1 = u.L along it, at a distance d2 = |L - d1 u|. The
    value d1 + theta d2 is minimised: the weights are its derivatives u_t + theta (L_t - d1 u_t) / d2.

    A preference has another meaning here than elsewhere: the losses are to stand in the ratio of the preferences, so a
    task with a larger one may keep a larger loss. Only the ratios of the preferences matter.

    **A weight may be below 0**, for a task whose loss is smaller than its place on the ray, if theta is large enough:
    that loss is made to grow until the ratio is right. Weights are between -theta and 1 + theta.

    If all losses are multiplied by one number, the weights stay as they are; if only one loss is, they do not. On the
    ray d2 has no derivative: within 1e-6 |L| of it, d2 in the denominator is 1e-6 |L|. So identical tasks of equal
    preference have weights of 1 / sqrt(N), and one task has the weight 1. If all losses are 0 the weights are u.

    Args:
        theta: the penalty, >= 0. At 0 the weights are u. The paper uses 5.

    Raises:
        ValueError: for a theta that is not a finite number from 0 on.

    References:
        Q. Zhang, H. Li, *MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition*, IEEE Transactions on
        Evolutionary Computation 11(6), 2007, section II.C; the reference point is 0.
    """

    NAME: ClassVar[str] = "pbi"

    theta: float = 5.0

    def __post_init__(self) -> None:
        check_number("theta", self.theta, 0)

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        # What is left of the losses off the ray is lost in the rounding of float32.
        preference = ops.cast(seen.preference, "float64")
        found = ops.where(seen.active, ops.cast(seen.losses, "float64"), 0.0)
        ray = ops.divide_no_nan(preference, ops.sqrt(ops.sum(preference * preference)))
        off = found - ops.sum(found * ray) * ray
        distance = ops.sqrt(ops.sum(off * off))
        nearest = _NEAR * ops.sqrt(ops.sum(found * found))
        weights = ray + self.theta * ops.divide_no_nan(off, ops.maximum(distance, nearest))
        return ops.divide_no_nan(weights, preference), state
