"""Nash-MTL: the Nash bargaining solution of the tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.simplex import one_if_alone
from mtl_keras.weightings.solvers import fair_point, times


@WEIGHTINGS.register
@dataclass(frozen=True)
class NashMTL(GramianWeighting):
    """Nash bargaining: computes weights that maximise the product of the tasks' first-order gains.

    The weights w > 0 solve G w = 1 / w, and are then scaled down if the combined gradient is longer than `max_norm`.
    Before scaling, the length of the combined gradient is always the square root of the number of tasks with a
    gradient, so with `max_norm` 1 only its direction depends on the gradients. The direction is scale-invariant:
    multiplying a task's loss by 10 divides its weight by 10. No task conflicts with it. The authors update the weights
    in every step or less often: `update_every`.

    The equations are solved exactly, while the authors' code runs some steps of convex programming. Zero gradients get
    the weight 0 and do not affect the others. If a convex combination of the gradients is zero, there is no solution:
    the weights are proportional to that combination, and the network does not change. Equal gradients get equal
    weights. A single active task keeps its gradient.

    Args:
        max_norm: largest norm of the combined gradient, >= 0; 0 for no limit.

    Raises:
        ValueError: for a max_norm that is not a finite number >= 0.

    References:
        A. Navon, A. Shamsian, I. Achituve, H. Maron, K. Kawaguchi, G. Chechik, E. Fetaya, *Multi-Task Learning as a
        Bargaining Game*, ICML 2022, claim 3.1, https://arxiv.org/abs/2202.01017.
    """

    max_norm: float = number_field(1.0, minimum=0)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        weights = fair_point(gramian, active, 1.0)
        if self.max_norm > 0:
            norm = ops.sqrt(ops.maximum(ops.sum(times(gramian, weights) * weights), 0.0))
            weights = weights * (self.max_norm / ops.maximum(norm, self.max_norm))
        return one_if_alone(weights, active), state
