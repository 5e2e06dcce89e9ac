"""PCGrad: removes the components of each gradient that conflict with other tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting, projection_products, random_order, scatter_to_columns
from mtl_keras.weightings.state import draws_state, next_draws, seed_field


@WEIGHTINGS.register
@dataclass(frozen=True)
class PCGrad(GramianWeighting):
    """Projecting conflicting gradients: removes from each gradient its components against other gradients.

    A copy of each gradient g_i is projected against the gradients g_j of the other tasks, one after another. If its
    inner product with g_j is below 0, its component along g_j is removed: g_i - (g_i . g_j) / |g_j|^2 g_j. The copies
    are added (not averaged). Each task has its own random order of the others; with two tasks there is only one order.

    Weights are at least 1, and all 1 if no two gradients conflict. The direction depends on the scale of each gradient:
    a task whose gradient grows has more influence. A zero gradient changes nothing and has the weight 1. (A squared
    norm not above 1e-24 times the largest counts as zero.)

    Args:
        seed: seed of the random orders, an integer.

    Raises:
        ValueError: for a seed that is not an integer.

    References:
        T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn, *Gradient Surgery for Multi-Task Learning*, NeurIPS
        2020, algorithm 1, https://arxiv.org/abs/2001.06782.
    """

    seed: int = seed_field()

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return draws_state(tasks)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        # Rows of inactive tasks are zero, which does not change any projection.
        return project(inputs.gramian, random_order(inputs.gramian.shape[0], self.seed, state)), next_draws(state)


def project(gramian: Any, order: Any) -> Any:
    """Returns the weights `(tasks,)` of the sum of the projected gradients.

    Args:
        gramian: `(tasks, tasks)`.
        order: `(tasks, tasks - 1)` integers: row i has the tasks that gradient i is projected against, in this order.
    """
    if gramian.shape[0] == 1:
        return ops.ones_like(gramian[0])
    products, squares, other_products = projection_products(gramian, order)
    inverse = ops.divide_no_nan(1.0, squares)
    added = []
    for step, row in enumerate(ops.unstack(other_products, axis=0)):
        added.append(ops.relu(-products[:, step]) * inverse[:, step])
        products = products + added[-1][:, None] * row
    return 1.0 + ops.sum(scatter_to_columns(ops.stack(added, axis=1), order), axis=0)
