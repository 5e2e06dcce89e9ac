"""Keras layers for multi-task networks."""

from mtl_keras.layers.task_split import TaskSplit

__all__ = ["TaskSplit"]


def __dir__() -> list[str]:
    return __all__
