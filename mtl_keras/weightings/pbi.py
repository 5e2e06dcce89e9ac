"""PBI: the distance along a ray of preferred losses, and the distance from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting

# Below this distance from the ray, relative to the norm of the losses, the penalty is smooth.
_NEAR = 1e-6


def preference_and_losses(inputs: StepInputs) -> tuple[Any, Any]:
    """Returns the preferences and the losses `(tasks,)`, both 0 for inactive tasks.

    In float64: in float32, rounding errors hide the component of the losses off a ray.
    """
    return ops.cast(inputs.preference, "float64"), ops.where(inputs.active, ops.cast(inputs.losses, "float64"), 0.0)


def norm(vector: Any) -> Any:
    """Returns the Euclidean norm of `(tasks,)`."""
    return ops.sqrt(ops.sum(vector * vector))


def without_component(vector: Any, direction: Any) -> Any:
    """Returns a vector `(tasks,)` without its component along a direction `(tasks,)` of norm 1 (or 0)."""
    return vector - ops.sum(vector * direction) * direction


@WEIGHTINGS.register
@dataclass(frozen=True)
class PBI(Weighting):
    """Penalty-based boundary intersection: minimises the losses along a ray and their distance from it.

    The preferences p define the ray u = p / |p|. The losses have the length d1 = u.L along the ray and the distance
    d2 = |L - d1 u| from it. The method minimises d1 + theta d2: the weights are the derivatives
    u_t + theta (L_t - d1 u_t) / d2.

    Preferences have another meaning here than elsewhere: they are the target ratio of the losses, so a task with a
    larger preference may keep a larger loss. Only the ratios of the preferences matter.

    **A weight may be below 0** for a task whose loss is smaller than its part in that ratio, if theta is large enough:
    its loss then grows until the ratio is reached. Weights are between -theta and 1 + theta.

    Multiplying all losses by one number does not change the weights; multiplying a single loss does. On the ray d2 has
    no derivative: within 1e-6 |L| of it, the d2 in the denominator is 1e-6 |L|. So identical tasks of equal preference
    have weights of 1 / sqrt(N), and a single task has the weight 1. If all losses are 0, the weights are u.

    Args:
        theta: weight of the penalty, >= 0. At 0 the weights are u. The paper uses 5.

    Raises:
        ValueError: for a theta that is not a finite number >= 0.

    References:
        Q. Zhang, H. Li, *MOEA/D: A Multiobjective Evolutionary Algorithm Based on Decomposition*, IEEE Transactions on
        Evolutionary Computation 11(6), 2007, section II.C, https://ieeexplore.ieee.org/document/4358754; the reference
        point is 0.
    """

    theta: float = number_field(5.0, minimum=0)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        preference, losses = preference_and_losses(inputs)
        ray = ops.divide_no_nan(preference, norm(preference))
        residual = without_component(losses, ray)
        distance = norm(residual)
        smallest = _NEAR * norm(losses)
        weights = ray + self.theta * ops.divide_no_nan(residual, ops.maximum(distance, smallest))
        return ops.divide_no_nan(weights, preference), state
