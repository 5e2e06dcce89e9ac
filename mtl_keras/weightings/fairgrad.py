"""FairGrad: alpha-fair gains of the tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.simplex import one_if_alone
from mtl_keras.weightings.solvers import fair_point


@WEIGHTINGS.register
@dataclass(frozen=True)
class FairGrad(GramianWeighting):
    """Fair resource allocation: computes weights that make the first-order gains of the tasks alpha-fair.

    The gain of task t along the combined gradient is (G w)_t. The weights w satisfy (G w)_t = w_t^(-1/alpha), so no
    task conflicts with the combined gradient. For alpha = 1 this is the Nash bargaining solution, which is
    scale-invariant: multiplying a task's loss by 10 divides its weight by 10. A larger alpha favours tasks with short
    gradients. The length of the combined gradient does not shrink with the gradients: for alpha = 1 it is always the
    square root of the number of tasks.

    The equations are solved exactly. Zero gradients get the weight 0 and do not affect the others. If a convex
    combination of the gradients is zero, there is no solution: the weights are proportional to that combination, and
    the network does not change. Equal gradients get equal weights. A single active task keeps its gradient.

    Args:
        alpha: from 0.5 to 5; 1 is proportional fairness, 2 minimal potential delay.

    Raises:
        ValueError: for another alpha.

    References:
        H. Ban, K. Ji, *Fair Resource Allocation in Multi-Task Learning*, ICML 2024, equation 8,
        https://arxiv.org/abs/2402.15638.
    """

    alpha: float = number_field(1.0, minimum=0.5, maximum=5)

    NAME: ClassVar[str] = "fairgrad"

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        return one_if_alone(fair_point(inputs.gramian, inputs.active, self.alpha), inputs.active), state
