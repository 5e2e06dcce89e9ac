"""Heads: the task-specific layers, from features or feature maps to the output of a task.

The output layer of a task has the task's name, and names of the layers before it begin with that name, so `summary()`
shows which task they belong to. Outputs are float32 under every dtype policy: half precision is not enough for losses
of probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import layers
from keras.initializers import Constant

from models import dense_heads
from mtl_keras.layers import TaskSplit
from mtl_keras.tasks import DENSE_HEADS, Task

SHARED = "binary_tasks"
"""Name prefix of the layers that all binary tasks share."""
_GRID = 8  # a decoder starts at no more than 8x8 positions


def probabilities(task: Task, features: Any) -> Any:
    """Returns the class probabilities `(batch, classes)` or `(batch, 1)` of a task: one layer.

    Args:
        task: a task whose head is `"classification"` or `"binary"`.
        features: a Keras tensor `(batch, features)`.
    """
    activation = "sigmoid" if task.head == "binary" else "softmax"
    return layers.Dense(task.shape[-1], activation=activation, dtype="float32", name=task.name)(features)


def classification(task: Task, features: Any, dropout: float = 0.3) -> Any:
    """Returns the probabilities `(batch, classes)` of mutually exclusive classes.

    Args:
        task: a task whose head is `"classification"`.
        features: a Keras tensor `(batch, features)`.
        dropout: the share of the features that is dropped in training.
    """
    x = layers.Dropout(dropout, name=f"{task.name}_dropout")(features)
    return probabilities(task, x)


def binary(tasks: Sequence[Task], features: Any) -> dict[str, Any]:
    """Returns the probability `(batch, 1)` of "yes" for each of several tasks.

    Two or more tasks share one layer with one unit per task, whose output is then split: one matrix product instead of
    many.

    Args:
        tasks: tasks whose head is `"binary"`.
        features: a Keras tensor `(batch, features)`, or `(batch, rows, columns, features)`, which is averaged over the
            positions.
    """
    features = pooled(tasks[0].name if len(tasks) == 1 else SHARED, features)
    if len(tasks) == 1:
        (task,) = tasks
        return {task.name: probabilities(task, features)}
    scores = layers.Dense(len(tasks), activation="sigmoid", dtype="float32", name=SHARED)(features)
    columns = TaskSplit(len(tasks), dtype="float32", name=f"{SHARED}_split")(scores)
    return {task.name: column for task, column in zip(tasks, columns)}


def regression(task: Task, features: Any, hidden: int = 128) -> Any:
    """Returns unbounded numbers `(batch, size)`.

    Every output starts at 0.5, the middle of the range [0, 1] that targets are normally scaled to. With a random start,
    the first hundreds of steps would learn this offset, and their gradients would dominate those of other tasks. If the
    task has the mean and deviation of its targets, a final layer scales standardised outputs to them.

    Args:
        task: a task whose head is `"regression"`.
        features: a Keras tensor `(batch, features)`.
        hidden: width of the layer before the output.
    """
    x = layers.Dense(hidden, activation="relu", name=f"{task.name}_hidden")(features)
    scaled = task.mean is not None and task.deviation is not None
    x = layers.Dense(
        task.shape[-1],
        kernel_initializer="zeros",
        bias_initializer="zeros" if scaled else Constant(0.5),
        dtype="float32",
        name=f"{task.name}_standardised" if scaled else task.name,
    )(x)
    return layers.Rescaling(task.deviation, task.mean, dtype="float32", name=task.name)(x) if scaled else x


def reconstruction(task: Task, features: Any, filters: int = 64) -> Any:
    """Returns an image `(batch, height, width, channels)` in [0, 1], decoded from the features alone.

    Each transposed convolution doubles the resolution, from at most 8x8 positions, and halves the channels.

    Args:
        task: a task whose head is `"reconstruction"` and whose shape is `(height, width, channels)`.
        features: a Keras tensor `(batch, features)`.
        filters: channels at the lowest resolution; later layers have at least 16.
    """
    height, width, channels = task.shape
    doublings = 0
    while max(height, width) > _GRID * 2**doublings:
        doublings += 1
    rows, columns = -(-height // 2**doublings), -(-width // 2**doublings)
    x = layers.Dense(rows * columns * filters, activation="relu", name=f"{task.name}_dense")(features)
    x = layers.Reshape((rows, columns, filters), name=f"{task.name}_grid")(x)
    for step in range(1, doublings + 1):
        filters = max(16, filters // 2)
        x = layers.Conv2DTranspose(
            filters, 3, strides=2, padding="same", activation="relu", name=f"{task.name}_up{step}"
        )(x)
    excess = (rows * 2**doublings - height, columns * 2**doublings - width)
    if any(excess):
        x = layers.Cropping2D(((0, excess[0]), (0, excess[1])), name=f"{task.name}_crop")(x)
    return layers.Conv2D(channels, 3, padding="same", activation="sigmoid", dtype="float32", name=task.name)(x)


SINGLE: dict[str, Callable[[Task, Any], Any]] = {
    "classification": classification,
    "regression": regression,
    "reconstruction": reconstruction,
    **dict.fromkeys(DENSE_HEADS, dense_heads.dense),
}


def head(task: Task, features: Any) -> Any:
    """Returns the output of a task from features of its own.

    Dense tasks and reconstructions read feature maps as they are (`models.dense_heads`); for other tasks, maps are
    averaged over the positions.

    Args:
        task: the task.
        features: a Keras tensor `(batch, features)` or `(batch, rows, columns, features)`.

    Raises:
        ValueError: for a dense task without feature maps, or whose shape has no height and width.
    """
    if task.is_dense:
        check_maps(task, features)
    elif task.head == "reconstruction" and len(features.shape) == 4:
        return dense_heads.dense(task, features)
    else:
        features = pooled(task.name, features)
    return probabilities(task, features) if task.head == "binary" else SINGLE[task.head](task, features)


def check_maps(task: Task, features: Any) -> None:
    """Raises an error if features are not maps, which dense tasks need.

    Args:
        task: a task.
        features: a Keras tensor `(batch, ...)`.

    Raises:
        ValueError: naming the task and trunks that give maps.
    """
    if len(features.shape) != 4:
        raise ValueError(
            f"Task {task.name!r} ({task.head}) predicts every pixel, so its trunk must give feature maps (batch, rows, "
            "columns, features). Choices for --model (trunk): unet, segnet, dilated(resnet50), or the name of an "
            f"architecture in keras.applications. Received: features of shape {tuple(features.shape)}"
        )


def pooled(owner: str, features: Any) -> Any:
    """Returns features `(batch, features)`: feature maps are averaged over the positions.

    Args:
        owner: name of the task, or prefix of the layers, to which the pooling belongs.
        features: a Keras tensor `(batch, features)` or `(batch, rows, columns, features)`.
    """
    return layers.GlobalAveragePooling2D(name=f"{owner}_pool")(features) if len(features.shape) == 4 else features
