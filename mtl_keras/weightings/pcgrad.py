"""Gradients without what points against the gradients of other tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, Seen, State
from mtl_keras.weightings.encounters import in_order, random_order, to_columns
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.noise import check_seed, draws_state, next_draws


@WEIGHTINGS.register
@dataclass(frozen=True)
class PCGrad(GramianWeighting):
    """Projecting conflicting gradients: takes from each gradient its part against the gradients of other tasks.

    A copy of each gradient g_i meets the gradients g_j of the other tasks, one after another. Where its inner product
    with g_j is below 0, its component along g_j is removed: g_i - (g_i . g_j) / |g_j|^2 g_j. The copies are added (not
    averaged). Each task meets the others in a random order of its own; with two tasks there is only one.

    Weights are at least 1, and all 1 if no two gradients conflict. The direction depends on the scale of each gradient:
    a task whose gradient grows has more influence. A gradient of zero changes nothing, and has the weight 1. (A square
    not above 1e-24 times the largest counts as zero.)

    Args:
        seed: of the orders, an integer.

    Raises:
        ValueError: for a seed that is not an integer.

    References:
        T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn, *Gradient Surgery for Multi-Task Learning*, NeurIPS
        2020, algorithm 1, https://arxiv.org/abs/2001.06782.
    """

    seed: int = 0

    NAME: ClassVar[str] = "pcgrad"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return draws_state(tasks)

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        # Rows of inactive tasks are zero, which changes no projection.
        return project(seen.gramian, random_order(seen.gramian.shape[0], self.seed, state)), next_draws(state)


def project(gramian: Any, order: Any) -> Any:
    """Returns the weights `(tasks,)` of the sum of the projected gradients.

    Args:
        gramian: `(tasks, tasks)`.
        order: `(tasks, tasks - 1)` integers: in row i the tasks that the copy of gradient i meets, one after another.
    """
    if gramian.shape[0] == 1:
        return ops.ones_like(gramian[0])
    products, squares, met = in_order(gramian, order)
    inverse = ops.divide_no_nan(1.0, squares)
    added = []
    for step, row in enumerate(ops.unstack(met, axis=0)):
        added.append(ops.relu(-products[:, step]) * inverse[:, step])
        products = products + added[-1][:, None] * row
    return 1.0 + ops.sum(to_columns(ops.stack(added, axis=1), order), axis=0)
