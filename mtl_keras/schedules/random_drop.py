"""Random dropping: each task runs with a fixed probability in every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mtl_keras.checks import check_number, check_numbers
from mtl_keras.schedules.base import SCHEDULES, Records, Schedule, per_task


@SCHEDULES.register
@dataclass(frozen=True)
class RandomDrop(Schedule):
    """Keeps each task with a fixed probability, independent of the training: the baseline for DST.

    Args:
        keep: probability with which a task runs: one number for all tasks, or a number for each task by name; tasks not
            named always run.

    Raises:
        ValueError: for a probability outside [0, 1]; when called, for an unknown task name.
    """

    keep: float | Mapping[str, float] = 0.5

    kind: ClassVar[Literal["probability", "weight"]] = "probability"

    def __post_init__(self) -> None:
        if isinstance(self.keep, Mapping):
            object.__setattr__(self, "keep", check_numbers("keep", self.keep, 0, 1))
        else:
            object.__setattr__(self, "keep", check_number("keep", self.keep, 0, 1))

    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        if isinstance(self.keep, Mapping):
            return per_task("keep", self.keep, records.tasks, default=1.0)
        return dict.fromkeys(records.tasks, self.keep)
