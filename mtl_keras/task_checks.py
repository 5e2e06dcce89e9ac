"""Checks of the names, shapes and classes of tasks."""

from __future__ import annotations

import operator
import re
from typing import Any

from mtl_keras.checks import unknown_value

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_RESERVED = ("loss", "mtl", "val")


def checked_shape(name: str, shape: Any) -> tuple[int, ...]:
    """Returns a shape as a tuple of Python integers, also if they are NumPy integers."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = (0,)
    if not all(size > 0 for size in sizes):
        raise ValueError(f"shape of task {name!r} must be of whole numbers >= 1. Received: {shape!r}")
    return sizes


def class_names(name: str, labels: Any) -> tuple[str, ...]:
    """Returns class names as a tuple.

    Raises:
        ValueError: if they are not a list of names, naming the task.
    """
    try:
        names = () if isinstance(labels, str) else tuple(labels)
    except TypeError:
        names = ()
    if not names:
        raise ValueError(f"labels of task {name!r} must be class names, or their number. Received: {labels!r}")
    return names


def class_index(name: str, names: tuple[str, ...], key: int | str) -> int:
    """Returns the index of a class that is given by its index or its name.

    Raises:
        ValueError: for an unknown name, naming the task.
    """
    if isinstance(key, str) and key not in names:
        raise unknown_value(f"class in class_weight of task {name!r}", key, names)
    return names.index(key) if isinstance(key, str) else key


def check_task_name(name: object) -> str:
    """Returns `name` if it is a valid task name.

    Raises:
        ValueError: if it is not a string of letters, digits, `_`, `-` and `.`, or is reserved for the logs.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "A task name starts with a letter or digit, continues with letters, digits, '_', '-' or '.', does not "
            f"start with 'val_' and is none of {', '.join(_RESERVED)}. Received: {name!r}"
        )
    return check_reserved(name)


def check_reserved(name: str) -> str:
    """Returns `name` unless it is reserved for the logs.

    Raises:
        ValueError: if it is reserved.
    """
    if name in _RESERVED or name.startswith("val_"):
        raise ValueError(
            f"A task name does not start with 'val_' and is none of {', '.join(_RESERVED)}, which have a meaning in "
            f"the logs. Received: {name!r}"
        )
    return name
