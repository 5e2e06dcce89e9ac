"""Callbacks that schedule tasks, freeze layers and monitor runs."""

from mtl_keras.callbacks.freeze_layers import FreezeLayers
from mtl_keras.callbacks.gradient_monitor import GradientMonitor
from mtl_keras.callbacks.nonfinite import NonFiniteLoss, StopOnNonFinite
from mtl_keras.callbacks.prediction_images import PredictionImages
from mtl_keras.callbacks.progress import Progress
from mtl_keras.callbacks.sharing_monitor import SharingMonitor
from mtl_keras.callbacks.task_affinity import TaskAffinity
from mtl_keras.callbacks.task_scheduler import TaskScheduler
from mtl_keras.callbacks.tensorboard import TensorBoard

__all__ = [
    "FreezeLayers",
    "GradientMonitor",
    "NonFiniteLoss",
    "PredictionImages",
    "Progress",
    "SharingMonitor",
    "StopOnNonFinite",
    "TaskAffinity",
    "TaskScheduler",
    "TensorBoard",
]


def __dir__() -> list[str]:
    return __all__
