"""Multi-task learning for Keras: live task weights, scheduled task dropping, missing labels, many tasks at once."""

from mtl_keras.model import MultiTaskModel
from mtl_keras.split import TaskSplit
from mtl_keras.tasks import Task, TaskSet

__all__ = ["MultiTaskModel", "Task", "TaskSet", "TaskSplit"]
