"""Task weights that follow a curve over the epochs, and the curves, which can be joined.

References:
    The design of small composable schedule functions is that of `optax.schedules`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

from mtl_keras.checks import check_number
from mtl_keras.schedules.base import CURVES, SCHEDULES, Curve, Records, Schedule, per_task


@CURVES.register
@dataclass(frozen=True)
class Constant(Curve):
    """A constant value."""

    value: float

    def __post_init__(self) -> None:
        check_number("value", self.value)

    def __call__(self, epoch: float) -> float:
        return float(self.value)


@dataclass(frozen=True)
class Ramp(Curve):
    """Base class of curves from `start` at epoch 0 to `end` at epoch `epochs`, and constant at `end` afterwards.

    Raises:
        ValueError: if an argument is not a finite number, or `epochs` is below 1.
    """

    start: float
    end: float
    epochs: float

    def __post_init__(self) -> None:
        check_number("start", self.start)
        check_number("end", self.end)
        check_number("epochs", self.epochs, 1)

    def __call__(self, epoch: float) -> float:
        progress = self.progress(min(epoch / self.epochs, 1.0))
        return self.start * (1.0 - progress) + self.end * progress

    @abstractmethod
    def progress(self, time: float) -> float:
        """Returns the share of the way from `start` to `end` at a share of the time, both from 0 to 1."""


@CURVES.register
@dataclass(frozen=True)
class Linear(Ramp):
    """A straight line from `start` at epoch 0 to `end` at epoch `epochs`; constant at `end` afterwards."""

    def progress(self, time: float) -> float:
        return time


@CURVES.register
@dataclass(frozen=True)
class Cosine(Ramp):
    """Half a cosine wave from `start` at epoch 0 to `end` at epoch `epochs`; constant at `end` afterwards.

    References:
        I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017, equation 5,
        https://arxiv.org/abs/1608.03983.
    """

    def progress(self, time: float) -> float:
        return (1.0 - math.cos(math.pi * time)) / 2.0


@CURVES.register
@dataclass(frozen=True)
class Step(Curve):
    """`values[0]` before epoch `boundaries[0]`, `values[1]` from there to `boundaries[1]`, and so on.

    Raises:
        ValueError: if there is not exactly one more value than boundaries, or the boundaries do not increase.
    """

    values: Sequence[float]
    boundaries: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _numbers("values", self.values))
        object.__setattr__(self, "boundaries", _numbers("boundaries", self.boundaries))
        _check_boundaries("values", self.values, self.boundaries)

    def __call__(self, epoch: float) -> float:
        return float(self.values[_piece(epoch, self.boundaries)])


@CURVES.register
@dataclass(frozen=True)
class Join(Curve):
    """Curves joined in sequence; each counts its epochs from the boundary at which it begins.

    Args:
        curves: the curves, as objects, specifications (`"linear(0, 1, 5)"`) or configs.
        boundaries: the epochs at which the second, third, ... curve begins.

    Raises:
        ValueError: if there is not exactly one more curve than boundaries, or the boundaries do not increase.

    Example:

    ```python
    warm_up_then_decay = Join([Linear(0, 1, 5), Cosine(1, 0.1, 20)], boundaries=[5])
    ```
    """

    curves: Sequence[Curve | str | Mapping[str, Any]]
    boundaries: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "curves", tuple(CURVES.get(curve) for curve in self.curves))
        object.__setattr__(self, "boundaries", _numbers("boundaries", self.boundaries))
        _check_boundaries("curves", self.curves, self.boundaries)

    def __call__(self, epoch: float) -> float:
        piece = _piece(epoch, self.boundaries)
        begin = self.boundaries[piece - 1] if piece else 0
        return CURVES.get(self.curves[piece])(epoch - begin)


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
        object.__setattr__(self, "curves", {task: CURVES.get(curve) for task, curve in self.curves.items()})

    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        weights = {task: CURVES.get(curve)(epoch) for task, curve in self.curves.items()}
        for task, weight in weights.items():
            check_number(f"curves[{task!r}] at epoch {epoch}", weight, 0)
        return per_task("curves", weights, records.tasks, default=1.0)


def _numbers(argument: str, values: Sequence[float]) -> tuple[float, ...]:
    return tuple(check_number(argument, value) for value in values)


def _check_boundaries(argument: str, pieces: Sequence[Any], boundaries: Sequence[float]) -> None:
    if len(pieces) != len(boundaries) + 1:
        raise ValueError(
            f"{argument} must hold one element more than boundaries. "
            f"Received: {argument}={list(pieces)!r}, boundaries={list(boundaries)!r}"
        )
    if not all(before < after for before, after in pairwise([0, *boundaries])):
        raise ValueError(f"boundaries must be > 0 and increase. Received: boundaries={list(boundaries)!r}")


def _piece(epoch: float, boundaries: Sequence[float]) -> int:
    return sum(epoch >= boundary for boundary in boundaries)
