"""MoDo: one step per batch towards the min-norm weights, from two independent halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.checks import number_field, positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.simplex import normalize_active, project_simplex, replace_active


@WEIGHTINGS.register
@dataclass(frozen=True)
class MoDo(GramianWeighting):
    """Multi-objective gradient with double sampling: MGDA by one projected gradient step per batch.

    With G = J1 J2^T of two independent halves of the batch, the weights w become P(w - gamma (G w + rho w)), where P
    projects onto weights >= 0 that add up to 1. The initial weights are equal. The expectation of G w is the gradient
    of |w^T J|^2 / 2; it would be biased if both factors used the same samples.

    The new weights are used in the same step. How fast they change depends on the scale of the gradients: a task with a
    large gradient loses weight. If a task is inactive, the total weight of the active tasks is redistributed among
    them.

    Args:
        gamma: step size of the weights, > 0. It is not relative to the norms of the gradients.
        rho: strength of the pull towards equal weights, >= 0.

    Raises:
        ValueError: for a gamma that is not a finite number above 0, or a rho that is not a finite number >= 0.

    References:
        L. Chen, H. Fernando, Y. Ying, T. Chen, *Three-Way Trade-Off in Multi-Objective Learning: Optimization,
        Generalization and Conflict-Avoidance*, NeurIPS 2023, algorithm 2, https://arxiv.org/abs/2305.20057,
        https://openreview.net/forum?id=yPkbdJxQ0o. Defaults are LibMTL's. The weights are applied to the gradient of
        the whole batch, not of a third sample.
    """

    gamma: float = positive_field(0.001)
    rho: float = number_field(0.1, minimum=0)

    NAME: ClassVar[str] = "modo"
    needs = frozenset({"gramian", "two_halves"})

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"shares": np.full(tasks, 1 / tasks, "float32")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        weights, total = normalize_active(state["shares"], active)
        gradient = ops.sum(gramian * weights[None, :], axis=-1) + self.rho * weights
        weights = project_simplex(weights - self.gamma * gradient, active)
        return weights, {"shares": replace_active(state["shares"], weights * total, active)}
