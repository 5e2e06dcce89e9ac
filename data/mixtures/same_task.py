"""Compares tasks by value, including their loss and metric objects."""

from __future__ import annotations

import dataclasses
from typing import Any

from mtl_keras.tasks import Task


def same_task(one: Task, other: Task) -> bool:
    """Returns whether two tasks agree in everything that training and evaluation depend on."""
    return _described(one) == _described(other)


def _described(task: Task) -> dict[str, Any]:
    values = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    return values | {"loss": _plain(task.loss), "metrics": [_plain(metric) for metric in task.metrics]}


def _plain(part: Any) -> Any:
    return part if isinstance(part, str) else (type(part), part.get_config())
