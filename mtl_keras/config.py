"""What every schedule, curve and weighting can do: turn into a config and back."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, TypeVar

import numpy as np

from mtl_keras.registry import name_of

T = TypeVar("T", bound="Configurable")


class Configurable:
    """An object that keeps each constructor argument in an attribute of the same name.

    Attributes:
        NAME: the name of its class in specifications, where that in snake case would not do.
    """

    NAME: ClassVar[str] = ""

    def get_config(self) -> dict[str, Any]:
        """Returns every constructor argument, as values that JSON can hold."""
        return {name: _plain(getattr(self, name)) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls: type[T], config: Mapping[str, Any]) -> T:
        """Returns the object that `get_config` described."""
        return cls(**config)


def serialize(value: Configurable) -> dict[str, Any]:
    """Returns `{"name": ..., "config": ...}`, which `get` turns back into an equal object."""
    return {"name": name_of(type(value)), "config": value.get_config()}


def _plain(value: Any) -> Any:
    if isinstance(value, Configurable):
        return serialize(value)
    if isinstance(value, Mapping):
        return {key: _plain(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    return value.item() if isinstance(value, np.generic) else value


def check_number(argument: str, value: object, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Returns `value` as a float.

    Args:
        argument: its name, for the error message.
        value: what was received.
        minimum: the smallest value accepted.
        maximum: the largest value accepted.

    Raises:
        ValueError: if it is not a finite number from `minimum` to `maximum`.
    """
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # integers go further than floats
        number = math.inf
    if not math.isfinite(number) or not minimum <= number <= maximum:
        lowest = f" from {minimum:g}" if minimum > -math.inf else ""
        highest = f" to {maximum:g}" if maximum < math.inf else " on" if lowest else ""
        raise ValueError(f"{argument} must be a finite number{lowest}{highest}. Received: {argument}={value!r}")
    return number


def check_numbers(
    argument: str, values: object, minimum: float = -math.inf, maximum: float = math.inf
) -> dict[str, float]:
    """Returns a mapping of task names to numbers as floats; see `check_number`.

    Raises:
        ValueError: if it is no mapping or one of its values is not a finite number from `minimum` to `maximum`.
    """
    if not isinstance(values, Mapping) or not all(isinstance(task, str) for task in values):
        raise ValueError(f"{argument} must map task names to numbers. Received: {argument}={values!r}")
    return {task: check_number(f"{argument}[{task!r}]", value, minimum, maximum) for task, value in values.items()}


_LARGEST = float(np.finfo("float32").max)


def checked_weight(what: str, weight: Any) -> float:
    """Returns a weight as a float; 0 if it is too small for the float32 that weights are kept in.

    Args:
        what: whose weight it is, for the error message.
        weight: the weight.

    Raises:
        ValueError: if it is not a number, or one that is negative, NaN, infinite or too large for float32.
    """
    try:
        value = float(weight)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{what} must be a finite number >= 0. Received: {weight!r}")
    return value if np.float32(value) else 0.0
