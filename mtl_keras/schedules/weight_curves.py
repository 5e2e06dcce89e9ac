"""Weights that follow a curve over the epochs: fading a task in or out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mtl_keras.checks import check_number
from mtl_keras.schedules.base import SCHEDULES, Records, Schedule, per_task
from mtl_keras.schedules.curves import Curve, get


@SCHEDULES.register
@dataclass(frozen=True)
class WeightCurves(Schedule):
    """Multiplies each task's weight by a curve over the epochs.

    Args:
        curves: a curve for each task by name, as an object, a specification (`"linear(1, 0, 10)"`) or a config. Tasks
            not named keep 1. A task is dropped while its curve is 0.

    Raises:
        ValueError: for anything but curves; when called, for an unknown task name or a curve below 0.

    Example:

    ```python
    mtl_keras.schedules.get("weight_curves(curves={'reconstruction': linear(1, 0, 10)})")
    ```
    """

    curves: Mapping[str, Curve | str | Mapping[str, Any]]

    kind: ClassVar[Literal["probability", "weight"]] = "weight"

    def __post_init__(self) -> None:
        if not isinstance(self.curves, Mapping):
            raise ValueError(f"curves must map task names to curves. Received: curves={self.curves!r}")
        object.__setattr__(self, "curves", {task: get(curve) for task, curve in self.curves.items()})

    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        weights = {task: get(curve)(epoch) for task, curve in self.curves.items()}
        for task, weight in weights.items():
            check_number(f"curves[{task!r}] at epoch {epoch}", weight, 0)
        return per_task("curves", weights, records.tasks, default=1.0)
