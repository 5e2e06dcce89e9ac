"""The Nash bargaining solution of the tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.solvers import fair_point, times, unless_alone


@WEIGHTINGS.register
@dataclass(frozen=True)
class NashMTL(GramianWeighting):
    """Nash bargaining: a step that maximises the product of the tasks' first-order gains.

    The weights w > 0 solve G w = 1 / w, and are then scaled down if the combined gradient is longer than `max_norm`.
    It would always be as long as the square root of the number of tasks with a gradient, so its direction alone depends
    on the gradients if `max_norm` is 1. The direction is invariant: multiplying a task's loss by 10 divides its weight
    by 10. No task conflicts with it. The authors update the weights in every step or less often: `update_every`.

    The equations are solved exactly, where the authors' code makes some steps of convex programming. Zero gradients get
    the weight 0, and have no part in the others'. If a convex combination of the gradients is zero, there is no
    solution: the weights are in proportion to such a combination, and the network stays where it is. Equal gradients
    get equal weights. A task that is alone keeps its gradient.

    Args:
        max_norm: largest norm of the combined gradient, >= 0; 0 for none.

    Raises:
        ValueError: for a max_norm that is not a finite number >= 0.

    References:
        A. Navon, A. Shamsian, I. Achituve, H. Maron, K. Kawaguchi, G. Chechik, E. Fetaya, *Multi-Task Learning as a
        Bargaining Game*, ICML 2022, claim 3.1, https://arxiv.org/abs/2202.01017.
    """

    max_norm: float = 1.0

    NAME: ClassVar[str] = "nash_mtl"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("max_norm", self.max_norm, 0)

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        gramian, active = seen.gramian, seen.active
        weights = fair_point(gramian, active, 1.0)
        if self.max_norm > 0:
            norm = ops.sqrt(ops.maximum(ops.sum(times(gramian, weights) * weights), 0.0))
            weights = weights * (self.max_norm / ops.maximum(norm, self.max_norm))
        return unless_alone(weights, active), state
