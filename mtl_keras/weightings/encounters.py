"""Sequential gradient projections (PCGrad, GradVac), computed from the Gramian."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.weightings.base import State
from mtl_keras.weightings.noise import StepSeed

# A gradient counts as zero if its squared norm is not above this times the largest one.
_ZERO = 1e-24


def ascending_order(tasks: int) -> np.ndarray:
    """Returns `(tasks, tasks - 1)` integers: row i has all tasks but i, in ascending order."""
    return np.array([[other for other in range(tasks) if other != task] for task in range(tasks)]).reshape(tasks, -1)


def random_order(tasks: int, seed: int, state: State) -> Any:
    """Returns `(tasks, tasks - 1)` integers: row i has all tasks but i, in random order."""
    if tasks <= 2:
        return ops.convert_to_tensor(ascending_order(tasks), "int32")
    keys = keras.random.uniform((tasks, tasks), seed=StepSeed(seed, state))
    return ops.argsort(keys + 2.0 * np.eye(tasks, dtype="float32"), axis=1)[:, : tasks - 1]


def in_order(gramian: Any, order: Any) -> tuple[Any, Any, Any]:
    """Returns the Gramian entries needed to project gradient i against gradient order[i, s] in step s.

    Returns:
        `(tasks, steps)` inner products of gradient i with the other gradients; `(tasks, steps)` squared norms of those,
        0 for zero gradients; and `(steps, tasks, steps)`: for each step, the inner products of that step's other
        gradient with all others of task i.
    """
    squares = ops.diagonal(gramian)
    squares = ops.where(squares > _ZERO * ops.max(squares), squares, 0.0)
    pairs = ops.transpose(order)[:, :, None] * gramian.shape[0] + order[None, :, :]
    products = ops.take(ops.reshape(gramian, (-1,)), pairs)
    return ops.take_along_axis(gramian, order, axis=1), ops.take(squares, order), products


def to_columns(values: Any, order: Any) -> Any:
    """Returns `(tasks, tasks)` with `values[i, s]` in row i and column order[i, s], and 0 on the diagonal."""
    places = ops.one_hot(order, order.shape[0], dtype=values.dtype)
    return ops.sum(values[:, :, None] * places, axis=1)
