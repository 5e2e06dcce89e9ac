"""Checks of arguments, with errors that name the argument, the value received and the accepted values."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from functools import partial
from numbers import Real
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_LARGEST = float(np.finfo("float32").max)


def unknown_value(argument: str, received: object, choices: Iterable[str]) -> ValueError:
    """Returns the error for a value outside a set of choices, naming the closest match.

    Args:
        argument: name of the argument, e.g. `"schedule"`.
        received: the given value.
        choices: the accepted values.
    """
    options = sorted(choices)
    return ValueError(
        f"Unknown {argument}.{did_you_mean(received, options)} Received: {received!r}. Choices: {', '.join(options)}"
    )


def did_you_mean(received: object, choices: Iterable[str]) -> str:
    """Returns `" Did you mean '...'?"` with the closest match, or `""` if nothing is similar."""
    name, options = str(received), sorted(choices)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    close = close or [option for option in options if len(name) > 1 and option.startswith(name)]  # "val"
    return f" Did you mean {close[0]!r}?" if close else ""


def check_number(argument: str, value: object, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Returns `value` as a float.

    Args:
        argument: name of the argument, for the error message.
        value: the value to check.
        minimum: the smallest value accepted.
        maximum: the largest value accepted.

    Raises:
        ValueError: if it is not a finite number from `minimum` to `maximum`.
    """
    try:
        number = float(value) if isinstance(value, Real) else math.nan
    except OverflowError:  # an integer beyond the range of floats
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
        ValueError: if it is not a mapping or one of its values is not a finite number from `minimum` to `maximum`.
    """
    if not isinstance(values, Mapping) or not all(isinstance(task, str) for task in values):
        raise ValueError(f"{argument} must map task names to numbers. Received: {argument}={values!r}")
    return {task: check_number(f"{argument}[{task!r}]", value, minimum, maximum) for task, value in values.items()}


def checked_weight(what: str, weight: Any) -> float:
    """Returns a weight as a float; 0 if it is too small for float32, the dtype of weights.

    Args:
        what: name of the weight, for the error message.
        weight: the weight.

    Raises:
        ValueError: if it is not a number, or is negative, NaN, infinite or too large for float32.
    """
    try:
        value = float(weight)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{what} must be a finite number >= 0. Received: {weight!r}")
    return value if np.float32(value) else 0.0


def check_positive(argument: str, value: object, maximum: float = math.inf) -> float:
    """Returns `value` as a float; see `check_number`.

    Raises:
        ValueError: if it is not a finite number above 0 and up to `maximum`.
    """
    number = check_number(argument, value, 0, maximum)
    if number == 0:
        raise ValueError(f"{argument} must be above 0. Received: {argument}={value!r}")
    return number


def check_integer(argument: str, value: object, minimum: float) -> int:
    """Returns `value` as an integer; see `check_number`.

    Raises:
        ValueError: if it is not a whole number >= `minimum`.
    """
    number = check_number(argument, value, minimum)
    if number % 1:
        raise ValueError(f"{argument} must be an integer. Received: {argument}={value!r}")
    return int(number)


def check_fraction(argument: str, value: object) -> float:
    """Returns `value` as a float; see `check_number`.

    Raises:
        ValueError: if it is not a number from 0 to below 1.
    """
    number = check_number(argument, value, 0, 1)
    if number == 1:
        raise ValueError(f"{argument} must be below 1. Received: {argument}={value!r}")
    return number


def check_bool(argument: str, value: object) -> None:
    """Raises a ValueError if `value` is not True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{argument} must be True or False. Received: {argument}={value!r}")


def checked_field(default: T, check: Callable[[str, object], object]) -> T:
    """Returns a field of a `Configurable` dataclass; the constructor calls `check(name, value)`."""
    return field(default=default, metadata={"check": check})


def number_field(default: float, *, minimum: float = -math.inf, maximum: float = math.inf) -> float:
    """Returns a field checked by `check_number`."""
    return checked_field(default, partial(check_number, minimum=minimum, maximum=maximum))


def positive_field(default: float, *, maximum: float = math.inf) -> float:
    """Returns a field checked by `check_positive`."""
    return checked_field(default, partial(check_positive, maximum=maximum))


def integer_field(default: int, *, minimum: int) -> int:
    """Returns a field checked by `check_integer`."""
    return checked_field(default, partial(check_integer, minimum=minimum))
