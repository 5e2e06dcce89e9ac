"""GradVac: aligns gradients until their cosines reach their moving averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import (
    ZERO_SQUARE,
    GramianWeighting,
    projection_products,
    random_order,
    scatter_to_columns,
)
from mtl_keras.weightings.state import draws_state, next_draws, seed_field

# A cosine of 1 would need an infinite multiple of the other gradient.
_HIGHEST = 1 - 1e-6


@WEIGHTINGS.register
@dataclass(frozen=True)
class GradVac(GramianWeighting):
    """Gradient vaccine: adds enough of the other gradients to reach the usual cosine with each of them.

    As in PCGrad, a copy of each gradient g_i is compared with the gradients g_j of the other tasks, in random order. If
    their cosine c is below the target t_ij, the copy becomes g_i + a g_j, whose cosine with g_j is t_ij:
    a = |g_i| (t sqrt(1 - c^2) - c sqrt(1 - t^2)) / (|g_j| sqrt(1 - t^2)). Then t_ij becomes (1 - beta) t_ij + beta c.
    The copies are added (not averaged). Targets start at 0, so the first step equals PCGrad.

    Weights are at least 1. The direction depends on the scale of each gradient, as in PCGrad; targets do not. A zero
    gradient has no cosines: it changes nothing, has the weight 1, and its targets do not change. (A squared norm not
    above 1e-24 times the largest counts as zero.) Target cosines are limited to 1 - 1e-6. The gradient is treated as a
    whole, not layer by layer.

    The target of tasks i and j is stored in row i, in the column that task j had when training began; `columns` stores
    these column numbers. So rows can be permuted.

    Args:
        beta: share of the new cosine in the target, from 0 to 1.
        seed: seed of the random orders, an integer.

    Raises:
        ValueError: for a beta that is not a number from 0 to 1, or a seed that is not an integer.

    References:
        Z. Wang, Y. Tsvetkov, O. Firat, Y. Cao, *Gradient Vaccine: Investigating and Improving Multi-task Optimization
        in Massively Multilingual Models*, ICLR 2021, algorithm 1, https://arxiv.org/abs/2010.05874. The paper's beta is
        0.01; as in LibMTL and TorchJD, 0.5 is the default here.
    """

    beta: float = number_field(0.5, minimum=0, maximum=1)
    seed: int = seed_field()

    NAME: ClassVar[str] = "gradvac"

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {
            "targets": np.zeros((tasks, tasks), "float32"),
            "columns": np.arange(tasks, dtype="float32"),
            **draws_state(tasks),
        }

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian = inputs.gramian
        tasks = gramian.shape[0]
        if tasks == 1:
            return ops.ones_like(gramian[0]), next_draws(state)
        columns = ops.cast(state["columns"], "int32")
        targets = ops.take(ops.cast(state["targets"], "float64"), columns, axis=1)
        order = random_order(tasks, self.seed, state)
        weights, cosines = vaccinate(gramian, order, targets)
        moved = targets + self.beta * (cosines - targets)
        moved = ops.cast(ops.take(moved, ops.argsort(columns), axis=1), state["targets"].dtype)
        return weights, {**next_draws(state), "targets": moved}


def vaccinate(gramian: Any, order: Any, targets: Any) -> tuple[Any, Any]:
    """Returns the weights `(tasks,)` of the sum of the aligned gradients, and the observed cosines.

    Args:
        gramian: `(tasks, tasks)`, of two tasks or more.
        order: `(tasks, tasks - 1)` integers: row i has the tasks that gradient i is compared with, in this order.
        targets: `(tasks, tasks)` of row i with column j; also returned as the cosine of zero gradients.
    """
    products, squares, other_products = projection_products(gramian, order)
    targets = ops.take_along_axis(targets, order, axis=1)
    aims = ops.clip(targets, -_HIGHEST, _HIGHEST)
    cotangents = aims / ops.sqrt(1.0 - ops.square(aims))
    original = ops.diagonal(gramian)
    steps = ops.arange(order.shape[1])

    def align(step: Any, values: Any) -> Any:
        copy_square, products, added, cosines = values
        product, square, cotangent, aim = (
            ops.take(each, step, axis=1) for each in (products, squares, cotangents, aims)
        )
        has_direction = ops.logical_and(copy_square > ZERO_SQUARE * original, square > 0)
        ratio = ops.sqrt(ops.where(has_direction, copy_square, 0.0) / ops.where(has_direction, square, 1.0))
        cosine = ops.clip(ops.divide_no_nan(product, ratio * square), -1.0, 1.0)
        needed = ratio * (cotangent * ops.sqrt(1.0 - ops.square(cosine)) - cosine)
        amount = ops.where(ops.logical_and(has_direction, cosine < aim), needed, 0.0)
        is_current = steps == step
        return (
            copy_square + amount * (2.0 * product + amount * square),
            products + amount[:, None] * ops.take(other_products, step, axis=0),
            ops.where(is_current, amount[:, None], added),
            ops.where(ops.logical_and(is_current, has_direction[:, None]), cosine[:, None], cosines),
        )

    # A loop, because XLA takes long to compile the unrolled steps of many tasks.
    start = (original, products, ops.zeros_like(products), targets)
    _, _, added, cosines = ops.fori_loop(0, order.shape[1], align, start)
    weights = 1.0 + ops.sum(scatter_to_columns(added, order), axis=0)
    return weights, scatter_to_columns(cosines, order)
