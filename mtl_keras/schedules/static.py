"""Fixed weights, and tasks dropped for the whole run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from mtl_keras.checks import check_numbers
from mtl_keras.schedules.base import SCHEDULES, Records, Schedule, per_task


@SCHEDULES.register
@dataclass(frozen=True)
class Static(Schedule):
    """Multiplies the task weights by fixed numbers.

    Args:
        weights: a number >= 0 for each task by name; 0 drops the task for the whole run. Tasks not named keep 1.

    Raises:
        ValueError: for a negative weight; when called, for an unknown task name, or if every task would be
            dropped.

    Example:

    ```python
    Static({"reconstruction": 0})  # as if the model had been built without it
    ```
    """

    weights: Mapping[str, float]

    kind: ClassVar[Literal["probability", "weight"]] = "weight"

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", check_numbers("weights", self.weights, 0))

    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        weights = per_task("weights", self.weights, records.tasks, default=1.0)
        if not any(weights.values()):
            raise ValueError(f"At least one task must keep a weight above 0. Received: weights={weights!r}")
        return weights
