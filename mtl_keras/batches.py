"""The tensors of one batch, for tasks that are computed together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from mtl_keras.subgraph import Unit


class Predictions:
    """The outputs of a forward pass, asked for by task.

    Args:
        computed: the units that were computed.
        tensors: first task of each unit -> its tensor `(batch, ...)`.
    """

    def __init__(self, computed: Sequence[Unit], tensors: Mapping[str, Any]) -> None:
        self._units = computed
        self._tensors = tensors

    def gather(self, tasks: Sequence[str], before: str | None = None) -> Any:
        """Puts the outputs of tasks side by side.

        Args:
            tasks: names of tasks that were computed.
            before: return what went into the activation of this name ("Sigmoid", "Softmax") instead.

        Returns:
            `(batch, ...)` for one task and `(batch, tasks, ...)` for several; `None` if an output does not come
            straight from the activation asked for, or (eagerly) does not tell what it comes from.
        """
        tensors = {}
        for name, tensor in self._tensors.items():
            found = tensor if before is None else _activation_input(tensor, before)
            tensors[name] = found[:, None] if found is not None and len(found.shape) == 1 else found
        units = {task: next(unit for unit in self._units if task in unit.tasks) for task in tasks}
        if any(tensors[unit.tasks[0]] is None for unit in units.values()):
            return None
        first = units[tasks[0]]
        if len(tasks) > 1 and first.columns is not None and all(unit is first for unit in units.values()):
            matrix = tensors[first.tasks[0]]
            rows = ops.reshape(matrix, (-1, first.shares, matrix.shape[-1] // first.shares))
            columns = [first.columns[first.tasks.index(task)] for task in tasks]
            return rows if columns == list(range(first.shares)) else ops.take(rows, columns, axis=1)
        single = [_share(unit, task, tensors[unit.tasks[0]]) for task, unit in units.items()]
        return single[0] if len(single) == 1 else ops.stack(single, axis=1)


def _share(unit: Unit, task: str, tensor: Any) -> Any:
    """One task's share `(batch, ...)` of a unit's tensor."""
    if unit.columns is None:
        return tensor
    size = tensor.shape[-1] // unit.shares
    start = unit.columns[unit.tasks.index(task)] * size
    return tensor[:, start : start + size]


def _activation_input(tensor: Any, activation: str) -> Any:
    """What a graph tensor was computed from by an activation, or `None`."""
    operation: Any = getattr(tensor, "op", None)
    return operation.inputs[0] if getattr(operation, "type", None) == activation else None


@dataclass(frozen=True)
class GroupBatch:
    """One batch of the tasks of a group that run.

    With one task the arrays have no task axis; the statistics made from them always have one.

    Args:
        tasks: which of the group's tasks these are.
        true: labels `(batch, [tasks,] ...)`, missing ones replaced.
        pred: predictions `(batch, [tasks,] ...)`.
        logits: what the predictions' sigmoid or softmax was taken of, or `None` if that is not known.
        present: `(batch, [tasks,] ...)` booleans, false for missing labels and dropped tasks; of a flat batch, the
            share of a sample's labels that are there.
        weight: `(batch, [tasks,] ...)` sample weights, or `None`.
    """

    tasks: tuple[str, ...]
    true: Any
    pred: Any
    logits: Any
    present: Any
    weight: Any = None

    @property
    def leading(self) -> int:
        """How many axes stand in front of a sample's own."""
        return 1 if len(self.tasks) == 1 else 2

    def flat(self) -> GroupBatch | None:
        """Returns the batch with a single axis for all that a sample has, or `None` if it has no more already.

        A mean over one long axis is many times as fast as one over a short axis (three channels, say) and then another.
        It is the mean over a sample's labels times the share that is there, if missing ones count 0.
        """
        own = self.pred.shape[self.leading :]
        weighted = self.weight is not None and len(self.weight.shape) > self.leading
        if tuple(self.true.shape) != tuple(self.pred.shape) or len(own) < 2 or None in own or weighted:
            return None

        def flattened(array: Any) -> Any:
            return ops.reshape(array, (*ops.shape(array)[: self.leading], math.prod(array.shape[self.leading :])))

        share = ops.mean(ops.cast(flattened(self.present), self.pred.dtype), axis=-1)
        return replace(self, true=flattened(self.true), pred=flattened(self.pred), logits=None, present=share)

    def one(self, task: str, weighted: bool) -> tuple[Any, Any, Any]:
        """Returns labels, predictions and sample weights `(batch, ...)` (0 for missing labels) of one task."""
        i = self.tasks.index(task)
        true, pred = (self.true, self.pred) if self.leading == 1 else (self.true[:, i], self.pred[:, i])
        mask = ops.cast(self.mask(len(self.pred.shape) - 1), self.pred.dtype)
        if weighted and self.weight is not None:
            mask = mask * expand(self.weight, len(mask.shape))
        return true, pred, mask if self.leading == 1 else mask[:, i]

    def mask(self, rank: int) -> Any:
        """Which samples count: booleans with `rank` axes."""
        mask = self.present
        while len(mask.shape) > rank:
            mask = ops.all(mask, axis=-1)
        return expand(mask, rank)

    def mean_totals(self, values: Any, weight: Any = None, counted: Any = None) -> Any:
        """Returns `(tasks, 2)`: the sum of the values over labelled samples, and how many these are.

        Axes of a sample's own (pixels, say) are averaged, so that a sample always counts 1.

        Args:
            values: `(batch, [tasks,] ...)`.
            weight: `(batch, [tasks,] ...)` weights of the values.
            counted: the same for what a sample counts.
        """
        rank = len(values.shape)
        count = ops.cast(self.mask(rank), values.dtype)
        labelled = count > 0
        if weight is not None:
            values = values * expand(weight, rank)
        if counted is not None:
            count = count * expand(counted, rank)
        values = ops.where(labelled, values, ops.zeros_like(values))
        return ops.stack([self._sum(values), self._sum(count)], axis=-1)

    def statistics_totals(self, statistics: Any, weight: Any = None) -> Any:
        """Sums `(batch, [tasks,] ..., statistics)` over labelled samples to `(tasks, statistics)`."""
        rank = len(statistics.shape)
        mask = self.mask(rank - 1)[..., None]
        if weight is not None:
            statistics = statistics * expand(weight, rank)
        kept = ops.where(mask, statistics, ops.zeros_like(statistics))
        own = list(range(self.leading, rank - 1))
        summed = ops.sum(ops.mean(kept, axis=own) if own else kept, axis=0)
        return ops.reshape(summed, (len(self.tasks), statistics.shape[-1]))

    def _sum(self, array: Any) -> Any:
        """Sums over samples, after a mean over each sample's own axes: `(tasks,)`."""
        own = list(range(self.leading, len(array.shape)))
        return ops.reshape(ops.sum(ops.mean(array, axis=own) if own else array, axis=0), (len(self.tasks),))


def expand(array: Any, rank: int) -> Any:
    """Adds axes of size 1 at the end until `array` has `rank` axes."""
    while len(array.shape) < rank:
        array = array[..., None]
    return array


def beside(active: Any, array: Any) -> Any:
    """`active` `()` or `(tasks,)`, shaped to stand beside `(batch, [tasks,] ...)`."""
    if len(active.shape) == 0:
        return ops.reshape(active, [1] * len(array.shape))
    return ops.reshape(active, [1, -1, *[1] * (len(array.shape) - 2)])
