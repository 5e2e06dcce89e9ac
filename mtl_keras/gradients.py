"""Per-task gradients of shared variables: their Gramian, and their combination."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.subgraph import Ownership, ownership


@dataclass(frozen=True)
class SharedGroup:
    """Trainable variables that the same tasks reach, two or more of them.

    Args:
        tasks: which tasks, as numbers in the model's order.
        variables: the variables.
    """

    tasks: tuple[int, ...]
    variables: tuple[keras.Variable, ...]

    def matrix(self, gradients: Sequence[Sequence[Any]]) -> Any:
        """Puts gradients side by side.

        Args:
            gradients: for each task of the group, the gradient of each variable.

        Returns:
            `(tasks of the group, coordinates)` float32.
        """
        parts = [ops.cast(ops.reshape(part, (-1,)), "float32") for row in gradients for part in row]
        return ops.reshape(ops.concatenate(parts), (len(self.tasks), -1))

    def gradients(self, vector: Any) -> list[Any]:
        """Cuts a vector `(coordinates,)` into the gradient of each variable."""
        return cut_up(vector, self.variables)

    def take(self, values: Any) -> Any:
        """Returns the group's share of `(all tasks, ...)`."""
        return ops.take(values, list(self.tasks), axis=0)

    def contested(self, active: Any) -> Any:
        """Returns a scalar boolean: whether two or more active tasks reach the group."""
        return ops.sum(ops.cast(self.take(active), "int32")) > 1

    def weights(self, weights: Any, preference: Any, active: Any) -> Any:
        """Returns what to multiply the group's gradients by: one task alone has the gradient of its own loss."""
        return self.take(ops.where(self.contested(active), weights, preference))

    def spread(self, rows: Any, tasks: int) -> Any:
        """Puts `(tasks of the group, ...)` among `(tasks, ...)`, of which the others are 0."""
        if self.tasks == tuple(range(tasks)):
            return rows
        places = np.zeros((tasks, len(self.tasks)), "float32")
        places[self.tasks, range(len(self.tasks))] = 1
        return ops.cast(places, rows.dtype) @ rows


def cut_up(vector: Any, variables: Sequence[keras.Variable]) -> list[Any]:
    """Cuts a vector `(coordinates,)` into one array for each variable, of its shape."""
    ends = np.cumsum([int(np.prod(variable.shape)) for variable in variables]).tolist()
    starts = [0, *ends[:-1]]
    parts = [vector[start:end] for start, end in zip(starts, ends, strict=True)]
    return [ops.reshape(part, variable.shape) for part, variable in zip(parts, variables, strict=True)]


def is_shared(entry: Ownership, tasks: Sequence[bool]) -> bool:
    """Returns whether two or more of some tasks reach (a block of) a variable.

    Args:
        entry: who reaches the variable.
        tasks: for each task of the model, whether it counts.
    """
    return bool(entry.reached[:, tasks].sum(axis=1).max(initial=0) > 1)


def shared_groups(owned: Iterable[Ownership], trained: Collection[int], tasks: Sequence[bool]) -> list[SharedGroup]:
    """Groups the shared variables by the tasks that reach them.

    Args:
        owned: who reaches each variable.
        trained: `id`s of the variables that are trained.
        tasks: for each task of the model, whether it counts.
    """
    found: dict[tuple[int, ...], list[keras.Variable]] = {}
    for entry in owned:
        if id(entry.variable) in trained and is_shared(entry, tasks):
            reached = np.flatnonzero(entry.reached.any(axis=0) & np.array(tasks))
            found.setdefault(tuple(reached.tolist()), []).append(entry.variable)
    return [SharedGroup(reached, tuple(variables)) for reached, variables in found.items()]


def shared_variables(outputs: Mapping[str, Any], trained: Iterable[keras.Variable]) -> list[keras.Variable]:
    """Returns the trainable variables that several of all tasks share.

    Args:
        outputs: task name -> symbolic output.
        trained: the variables that are trained.
    """
    groups = shared_groups(ownership(outputs), {id(variable) for variable in trained}, [True] * len(outputs))
    return [variable for group in groups for variable in group.variables]


def gramian(groups: Sequence[SharedGroup], left: Sequence[Any], right: Sequence[Any], active: Any) -> Any:
    """Returns the inner products `(tasks, tasks)` of the tasks' gradients, of contested variables alone.

    Args:
        groups: the shared variables.
        left: for each group, gradients `(tasks of the group, coordinates)`.
        right: the same; other gradients for the Gramian of two samples.
        active: `(tasks,)` booleans.
    """
    tasks = active.shape[0]
    total = ops.zeros((tasks, tasks))
    for group, one, other in zip(groups, left, right, strict=True):
        product = one @ ops.transpose(other)
        product = ops.where(group.contested(active), product, ops.zeros_like(product))
        total += ops.transpose(group.spread(ops.transpose(group.spread(product, tasks)), tasks))
    return total
