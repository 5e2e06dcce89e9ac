"""Multi-task learning for Keras: live task weights, scheduled task dropping, missing labels, many tasks at once."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Imported at once: dense metrics so that models with them can be loaded, schedules so that an error can point out a
# schedule given as weighting.
from mtl_keras import dense_metrics, schedules
from mtl_keras.layers import TaskSplit
from mtl_keras.model import MultiTaskModel
from mtl_keras.tasks import Task, TaskSet

if TYPE_CHECKING:
    from mtl_keras import (
        analysis,
        callbacks,
        distribution,
        export,
        layers,
        losses,
        metrics,
        reports,
        testing,
        weightings,
    )

__version__ = "0.2.0"

__all__ = [
    "MultiTaskModel",
    "Task",
    "TaskSet",
    "TaskSplit",
    "analysis",
    "callbacks",
    "dense_metrics",
    "distribution",
    "export",
    "layers",
    "losses",
    "metrics",
    "reports",
    "schedules",
    "testing",
    "weightings",
]


def __getattr__(name: str) -> Any:
    # Imported when first used: some of these need packages that training does not.
    if name in __all__:
        return importlib.import_module(f"mtl_keras.{name}")
    raise AttributeError(f"module 'mtl_keras' has no attribute {name!r}. Choices: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
