"""The gradients of the tasks: the variables that several tasks share, the Gramian, and running statistics."""

from __future__ import annotations

import abc
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.analysis.affinity import COSINE, Affinity
from mtl_keras.training.graph import Ownership, ownership
from mtl_keras.training.groups import running_sum


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
        return unflatten(vector, self.variables)

    def take(self, values: Any) -> Any:
        """Returns the group's share of `(all tasks, ...)`."""
        return ops.take(values, list(self.tasks), axis=0)

    def contested(self, active: Any) -> Any:
        """Returns a scalar boolean: whether two or more active tasks reach the group."""
        return ops.sum(ops.cast(self.take(active), "int32")) > 1

    def weights(self, weights: Any, preference: Any, active: Any) -> Any:
        """Returns the factors of the group's gradients. A single active task keeps the gradient of its own loss."""
        return self.take(ops.where(self.contested(active), weights, preference))

    def scatter(self, rows: Any, tasks: int) -> Any:
        """Returns `(tasks, ...)` from `(tasks of the group, ...)`, with 0 for the other tasks."""
        if self.tasks == tuple(range(tasks)):
            return rows
        places = np.zeros((tasks, len(self.tasks)), "float32")
        places[self.tasks, range(len(self.tasks))] = 1
        return ops.cast(places, rows.dtype) @ rows


def unflatten(vector: Any, variables: Sequence[keras.Variable]) -> list[Any]:
    """Cuts a vector `(coordinates,)` into one array for each variable, of its shape."""
    ends = np.cumsum([int(np.prod(variable.shape)) for variable in variables]).tolist()
    starts = [0, *ends[:-1]]
    parts = [vector[start:end] for start, end in zip(starts, ends, strict=True)]
    return [ops.reshape(part, variable.shape) for part, variable in zip(parts, variables, strict=True)]


def is_shared(entry: Ownership, tasks: Sequence[bool]) -> bool:
    """Returns whether two or more of some tasks reach (a block of) a variable.

    Args:
        entry: the tasks that reach the variable.
        tasks: for each task of the model, whether it counts.
    """
    return bool(entry.reached[:, tasks].sum(axis=1).max(initial=0) > 1)


def shared_groups(owned: Iterable[Ownership], trained: Collection[int], tasks: Sequence[bool]) -> list[SharedGroup]:
    """Groups the shared variables by the tasks that reach them.

    Args:
        owned: the tasks that reach each variable.
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
        total += ops.transpose(group.scatter(ops.transpose(group.scatter(product, tasks)), tasks))
    return total


@dataclass(frozen=True)
class GradientSummary:
    """Statistics of the tasks' gradients with respect to the variables that they share.

    Args:
        cosine: `(tasks, tasks)` mean cosine of the angle between the gradients of two tasks; NaN if they were never
            seen together, or one had no gradient.
        conflict: `(tasks, tasks)` share of the steps in which the cosine was below 0; NaN as before.
        norm: `(tasks,)` mean norm of the gradient over the steps in which it was not 0; NaN if there were none. A task
            that runs without any task that it shares variables with has the gradient 0 here.
        steps: number of steps that were looked at.
        error: `(tasks, tasks)` standard errors of the mean cosines over the steps; NaN for fewer than two steps.
        count: `(tasks, tasks)` number of steps in which a pair was seen together.
    """

    cosine: np.ndarray
    conflict: np.ndarray
    norm: np.ndarray
    steps: int
    error: np.ndarray
    count: np.ndarray

    def __repr__(self) -> str:
        return (
            f"GradientSummary(steps={self.steps}, mean_cosine={self.mean_cosine:.3g}, "
            f"conflict_rate={self.conflict_rate:.3g}, norm_ratio={self.norm_ratio:.3g})"
        )

    def affinity(self, tasks: Sequence[str]) -> Affinity:
        """Returns the mean cosines as affinities.

        Args:
            tasks: the names of the tasks.
        """
        return Affinity(tuple(tasks), self.cosine, self.error, self.count, COSINE)

    @property
    def conflict_rate(self) -> float:
        """Mean share of conflicts over the pairs of tasks; NaN if no pair was seen."""
        return self._over_pairs(self.conflict)

    @property
    def mean_cosine(self) -> float:
        """Mean cosine over the pairs of tasks; NaN if no pair was seen."""
        return self._over_pairs(self.cosine)

    @property
    def norm_ratio(self) -> float:
        """The largest mean norm divided by the smallest; NaN unless two norms are known."""
        known = self.norm[self.norm > 0]
        return float(known.max() / known.min()) if known.size > 1 else float("nan")

    def _over_pairs(self, table: np.ndarray) -> float:
        pairs = table[np.triu_indices(len(table), 1)]
        known = pairs[~np.isnan(pairs)]
        return float(known.mean()) if known.size else float("nan")


class MeasuredSteps(abc.ABC):
    """Running sums over every n-th training step.

    Attributes:
        every: the sums are added to every `every` training steps; 0 for never.
        count: training steps since the last reset.
    """

    def __init__(self) -> None:
        self.every = 0
        self.count = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}(every={self.every}, count={self.count})"

    @property
    @abc.abstractmethod
    def variables(self) -> list[keras.Variable]:
        """The sums."""

    def due(self, steps: int) -> list[bool]:
        """Returns which of the next steps to measure: the first after a reset, and every `every`-th step from it."""
        first, self.count = self.count, self.count + steps
        return [self.every > 0 and place % self.every == 0 for place in range(first, first + steps)]

    def reset(self) -> None:
        """Resets the sums and the step count."""
        self.count = 0
        for variable in self.variables:
            variable.assign(ops.zeros_like(variable))


class GradientStatistics(MeasuredSteps):
    """Running sums over the steps with a Gramian, kept in variables so that no step waits for the device.

    Args:
        tasks: the number of tasks.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        pairs = (tasks, tasks)
        self._cosines, self._squares, self._conflicts, self._seen = (
            running_sum(name, pairs) for name in ("cosines", "cosine_squares", "conflicts", "seen")
        )
        self._norms, self._steps = running_sum("norms", (tasks,)), running_sum("steps", ())

    def add(self, gramian: Any, active: Any) -> None:
        """Adds one step to the running sums. Steps with a non-finite Gramian are skipped.

        Args:
            gramian: `(tasks, tasks)` inner products of the gradients of the unweighted losses.
            active: `(tasks,)` booleans: which tasks ran and had labels.
        """
        finite = ops.all(ops.isfinite(gramian))
        norms = ops.sqrt(ops.maximum(ops.where(finite, ops.diagonal(gramian), 0.0), 0.0))
        known = ops.cast(ops.logical_and(active, norms > 0), "float32")
        pairs = known[:, None] * known[None, :]
        # Divide twice: the product of two small norms may underflow to 0.
        scaled = ops.divide_no_nan(ops.where(finite, gramian, 0.0), norms[:, None])
        cosines = ops.divide_no_nan(scaled, norms[None, :]) * pairs
        clipped = ops.clip(cosines, -1.0, 1.0)
        self._cosines.assign_add(clipped)
        self._squares.assign_add(clipped**2)
        self._conflicts.assign_add(ops.cast(cosines < 0, "float32"))
        self._seen.assign_add(pairs)
        self._norms.assign_add(norms * known)
        self._steps.assign_add(ops.cast(finite, "float32"))

    @property
    def variables(self) -> list[keras.Variable]:
        """The sums."""
        return [self._cosines, self._squares, self._conflicts, self._seen, self._norms, self._steps]

    def summary(self) -> GradientSummary:
        """Returns the means over the steps since the last reset."""
        cosines, squares, conflicts, seen, norms, steps = (ops.convert_to_numpy(one.value) for one in self.variables)
        pairs = Affinity.from_sums([str(task) for task in range(len(norms))], cosines, squares, seen, COSINE)
        with np.errstate(invalid="ignore"):
            return GradientSummary(
                cosines / seen, conflicts / seen, norms / np.diagonal(seen), int(steps), pairs.error, pairs.count
            )
