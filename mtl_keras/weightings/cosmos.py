"""COSMOS: a weighted sum of losses, minus the cosine between the losses and the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.pbi import norm, preference_and_losses, without_component

# A loss vector with a smaller norm has no direction.
_MIN_NORM = 1e-8


@WEIGHTINGS.register
@dataclass(frozen=True)
class COSMOS(Weighting):
    """Minimises a weighted sum of the losses minus the cosine of the angle between the losses and the weights.

    r are the preferences divided by their sum. The method minimises r.L - lam cos(r, L): the weights are the
    derivatives r_t - lam (u_t - cos(r, L) L_t / |L|) / |L|, where u = r / |r|.

    A preference has two roles here: it multiplies the loss in the sum, and it sets the target ratio of the losses.
    Because of the second role, a task with a larger preference may keep a larger loss. Only the ratios of the
    preferences matter; without preferences, each r_t is 1 / N.

    **A weight may be below 0** for a task whose loss is smaller than its part in that ratio: its loss then grows until
    the ratio is reached.

    The cosine term grows as 1 / |L| when the losses fall: lam has the unit of a loss. The term is omitted if |L| is
    below 1e-8. Identical tasks have equal weights, and a single task has the weight 1.

    The paper also feeds r to the network and draws it for each batch, to learn a whole Pareto front. Here one network
    is trained for one r.

    Args:
        lam: lambda, the weight of the cosine term, >= 0. At 0 the weights are r. The paper uses 0.01 to 8, depending on
            the data set.

    Raises:
        ValueError: for a lam that is not a finite number >= 0.

    References:
        M. Ruchte, J. Grabocka, *Scalable Pareto Front Approximation for Deep Multi-Objective Learning*, ICDM 2021,
        https://arxiv.org/abs/2103.13392.
    """

    lam: float = number_field(2.0, minimum=0)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        ray, losses = preference_and_losses(inputs)
        length = norm(losses)
        target = ops.divide_no_nan(ray, norm(ray))
        orthogonal = without_component(target, ops.divide_no_nan(losses, length))
        factor = ops.where(length > _MIN_NORM, self.lam / ops.maximum(length, _MIN_NORM), 0.0)
        return ops.divide_no_nan(ops.divide_no_nan(ray, ops.sum(ray)) - factor * orthogonal, ray), state
