"""What a schedule is told (`Records`) and what it answers (`Schedule`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from mtl_keras.schedules.curves import CURVES
from mtl_keras.serialization import Configurable, Registry, unknown_value


@dataclass(frozen=True)
class Records:
    """What is known when an epoch begins.

    Args:
        tasks: the names of the tasks, in the model's order.
        depths: layers with weights on the longest path from the input to the task's output.
        counts: labelled training samples of each task.
        losses: one entry for each past epoch: the mean unweighted training loss of each task over the steps in
            which it ran; the epoch before's where it did not run; NaN where it never ran yet.

    Raises:
        ValueError: if there are no tasks, or `depths` or `counts` leaves one out.
    """

    tasks: tuple[str, ...]
    depths: Mapping[str, float]
    counts: Mapping[str, float]
    losses: tuple[Mapping[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("Records need at least one task. Received: tasks=()")
        for argument, values in (("depths", self.depths), ("counts", self.counts)):
            absent = [task for task in self.tasks if task not in values]
            if absent:
                raise ValueError(f"{argument} must name every task. Missing: {absent}. Received: {dict(values)!r}")

    def before(self, epoch: int) -> Records:
        """Returns what was known when `epoch` began: exactly `epoch` entries of losses.

        Later entries are left out; epochs of which nothing is known count as epochs in which no task ran.
        """
        losses = list(self.losses[:epoch])
        while len(losses) < epoch:
            losses.append(losses[-1] if losses else dict.fromkeys(self.tasks, math.nan))
        return replace(self, losses=tuple(losses))

    def after(self, epoch: int, losses: Mapping[str, float]) -> Records:
        """Returns what is known when `epoch` has ended.

        Args:
            epoch: the epoch that ended.
            losses: each task's mean loss in it; NaN where the task did not run.
        """
        known = self.before(epoch)
        last = known.losses[-1] if known.losses else dict.fromkeys(self.tasks, math.nan)
        entry = {task: last[task] if math.isnan(losses[task]) else float(losses[task]) for task in self.tasks}
        return replace(known, losses=(*known.losses, entry))


class Schedule(Configurable, ABC):
    """Which tasks run: a pure function of the epoch and of what is known so far.

    `kind` says what the numbers are: `"probability"`, with which a task runs at a step (from 0 to 1), or
    `"weight"`, by which a task's own weight is multiplied (>= 0; 0 drops the task). Subclasses keep each
    constructor argument in an attribute of the same name, from which `get_config` is made.
    """

    kind: ClassVar[Literal["probability", "weight"]]

    @abstractmethod
    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        """Returns the probability or weight of each task of `records.tasks` in `epoch`."""


class _Schedules(Registry[Schedule]):
    """In a specification, the names inside a schedule's parentheses are those of curves."""

    def _resolve(self, value: Any) -> Any:
        return CURVES._resolve(value)


SCHEDULES: Registry[Schedule] = _Schedules("schedule")


def per_task(argument: str, values: Mapping[str, float], tasks: Sequence[str], default: float) -> dict[str, float]:
    """Returns a value for each task: its own where `values` has one, else `default`.

    Raises:
        ValueError: if `values` names a task that is not there.
    """
    for name in values:
        if name not in tasks:
            raise unknown_value(f"task in {argument}", name, tasks)
    return {task: values.get(task, default) for task in tasks}
