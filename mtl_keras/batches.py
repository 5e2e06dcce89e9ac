"""The tensors of one batch, for tasks that are computed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
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
        present: `(batch, [tasks,] ...)` floats, 0 for missing labels and dropped tasks.
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

    def one(self, task: str, weighted: bool) -> tuple[Any, Any, Any]:
        """Returns labels, predictions and sample weights `(batch, ...)` (0 for missing labels) of one task."""
        i = self.tasks.index(task)
        true, pred = (self.true, self.pred) if self.leading == 1 else (self.true[:, i], self.pred[:, i])
        mask = self.mask(len(self.pred.shape) - 1)
        if weighted and self.weight is not None:
            mask = mask * expand(self.weight, len(mask.shape))
        return true, pred, mask if self.leading == 1 else mask[:, i]

    def mask(self, rank: int) -> Any:
        """Which samples count, with `rank` axes."""
        mask = self.present
        while len(mask.shape) > rank:
            mask = ops.min(mask, axis=-1)
        return expand(mask, rank)

    def totals(self, statistics: Any, weight: Any = None) -> Any:
        """Sums `(batch, [tasks,] ..., statistics)` over labelled samples to `(tasks, statistics)`.

        Axes of a sample's own (pixels, say) are averaged, so that a sample always counts 1.
        """
        mask = self.mask(len(statistics.shape) - 1)
        if weight is not None:
            mask = mask * expand(weight, len(mask.shape))
        axes = [axis for axis in range(len(statistics.shape) - 1) if self.leading == 1 or axis != 1]
        own = int(np.prod(statistics.shape[self.leading : -1], dtype=np.int64))
        kept = ops.where(mask[..., None] > 0, statistics * mask[..., None], ops.zeros_like(statistics))
        return ops.reshape(ops.sum(kept, axis=axes), (len(self.tasks), statistics.shape[-1])) / own


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
