"""MGDA: the convex combination of the gradients with the smallest norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.solvers import min_norm_point

_NORMALIZATIONS = ("none", "l2", "loss", "loss+")


@WEIGHTINGS.register
@dataclass(frozen=True)
class MGDA(GramianWeighting):
    """Multiple-gradient descent: the weights >= 0 with sum 1 that minimise the norm of the combined gradient.

    A step against the combined gradient lowers the loss of every task at the same first-order rate, or faster for tasks
    of weight 0. The combined gradient is 0 only at Pareto-stationary points. Tasks with short gradients get much of the
    weight: multiplying a task's loss by 10 lowers its weight.

    The problem is solved exactly; the papers' loops stop early. Zero gradients share the whole weight, and the network
    does not change. Equal gradients get equal weights.

    Args:
        normalization: the divisor of each gradient before the problem is solved: "none"; "l2", its norm; "loss", the
            loss; "loss+", both (losses > 0). The normalised gradients are also the ones that are combined, as in
            LibMTL: the weights are the solution divided by the divisors. A gradient with divisor 0 is not divided. With
            "l2" no weight depends on the scale of another task's loss.

    Raises:
        ValueError: for an unknown normalisation.

    References:
        O. Sener, V. Koltun, *Multi-Task Learning as Multi-Objective Optimization*, NeurIPS 2018, equation 3,
        https://arxiv.org/abs/1810.04650.
        J.-A. Desideri, *Multiple-gradient descent algorithm (MGDA) for multiobjective optimization*, Comptes Rendus
        Mathematique 350, 2012.
    """

    normalization: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.normalization not in _NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {', '.join(map(repr, _NORMALIZATIONS))}. "
                f"Received: normalization={self.normalization!r}"
            )

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, losses, active = inputs.gramian, inputs.weighted_losses, inputs.active
        if self.normalization == "none":
            return min_norm_point(gramian, active), state
        divisor = ops.ones_like(losses)
        if self.normalization != "l2":
            divisor = divisor * ops.where(ops.isfinite(losses), losses, 1.0)
        if self.normalization != "loss":
            divisor = divisor * ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))
        inverse = 1 / ops.where(divisor > 0, divisor, 1.0)
        return min_norm_point(gramian * inverse[:, None] * inverse, active) * inverse, state
