"""Describes tasks in the record of a run, so that its predictions can be read without the data."""

from __future__ import annotations

from typing import Any

from mtl_keras.tasks import TaskSet


def described(tasks: TaskSet) -> dict[str, dict[str, Any]]:
    """Returns task -> its `head`, the `shape` of its output and its `labels` (names of classes or points)."""
    return {
        name: {"head": task.head, "shape": list(task.shape), "labels": list(task.labels)}
        for name, task in tasks.items()
    }
