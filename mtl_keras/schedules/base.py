"""The protocol of schedules: their input (`Records`), and the base classes `Schedule` and `Curve`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from mtl_keras.checks import unknown_value
from mtl_keras.serialization import Configurable, Registry


@dataclass(frozen=True)
class Records:
    """Records of the tasks and their past losses at the start of an epoch.

    Args:
        tasks: names of the tasks, in the model's order.
        depths: number of layers with weights on the longest path from the input to the task's output.
        counts: number of labelled training samples of each task.
        losses: one entry per past epoch: the mean unweighted training loss of each task over the steps in which it ran;
            the previous epoch's loss if it did not run; NaN if it has never run.

    Raises:
        ValueError: if there are no tasks, or a task is missing in `depths` or `counts`.
    """

    tasks: tuple[str, ...]
    depths: Mapping[str, float]
    counts: Mapping[str, float]
    losses: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("Records need at least one task. Received: tasks=()")
        for argument, values in (("depths", self.depths), ("counts", self.counts)):
            missing = [task for task in self.tasks if task not in values]
            if missing:
                raise ValueError(f"{argument} must name every task. Missing: {missing}. Received: {dict(values)!r}")

    def __repr__(self) -> str:
        return f"Records(tasks={list(self.tasks)}, epochs={len(self.losses)})"

    def before(self, epoch: int) -> Records:
        """Returns the records at the start of `epoch`: exactly `epoch` entries of losses.

        Later entries are removed; epochs without an entry count as epochs in which no task ran.
        """
        losses = list(self.losses[:epoch])
        while len(losses) < epoch:
            losses.append(losses[-1] if losses else dict.fromkeys(self.tasks, math.nan))
        return replace(self, losses=tuple(losses))

    def after(self, epoch: int, losses: Mapping[str, float]) -> Records:
        """Returns the records at the end of `epoch`.

        Args:
            epoch: the epoch that ended.
            losses: mean loss of each task in that epoch; NaN if the task did not run.
        """
        records = self.before(epoch)
        last = records.losses[-1] if records.losses else dict.fromkeys(self.tasks, math.nan)
        entry = {task: last[task] if math.isnan(losses[task]) else float(losses[task]) for task in self.tasks}
        return replace(records, losses=(*records.losses, entry))


class Schedule(Configurable, ABC):
    """Decides which tasks run: a pure function of the epoch and the records so far.

    `kind` is the meaning of the numbers: `"probability"`, with which a task runs in a step (from 0 to 1), or
    `"weight"`, by which the task's own weight is multiplied (>= 0; 0 drops the task). Subclasses store each constructor
    argument in an attribute of the same name, which `get_config` reads.
    """

    kind: ClassVar[Literal["probability", "weight"]]

    @abstractmethod
    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        """Returns the probability or weight of each task of `records.tasks` in `epoch`."""


class Curve(Configurable, ABC):
    """A value for each epoch; a pure function."""

    @abstractmethod
    def __call__(self, epoch: float) -> float:
        """Returns the value at `epoch` (0, 1, ...)."""


CURVES: Registry[Curve] = Registry("curve", Curve)


class _Schedules(Registry[Schedule]):
    """Registry of schedules. In a specification, names inside a schedule's parentheses are those of curves."""

    def _resolve(self, value: Any) -> Any:
        return CURVES._resolve(value)


SCHEDULES: Registry[Schedule] = _Schedules(
    "schedule", Schedule, "pass it to mtl_keras.callbacks.TaskScheduler, or to train.py as --schedule"
)


def per_task(argument: str, values: Mapping[str, float], tasks: Sequence[str], default: float) -> dict[str, float]:
    """Returns a value for each task: its entry in `values` if there is one, else `default`.

    Raises:
        ValueError: if `values` has a name that is not in `tasks`.
    """
    for name in values:
        if name not in tasks:
            raise unknown_value(f"task in {argument}", name, tasks)
    return {task: values.get(task, default) for task in tasks}
