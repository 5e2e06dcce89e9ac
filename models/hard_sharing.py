"""Hard parameter sharing: one trunk, and one head per task on its features."""

from __future__ import annotations

from typing import Any

from models import heads, trunks
from mtl_keras.tasks import TaskSet


def hard_sharing(
    trunk: str | trunks.Trunk, tasks: TaskSet, image_shape: tuple[int, int, int], weights: str | None = None
) -> tuple[Any, dict[str, Any]]:
    """Returns the inputs and the named outputs of a network that shares its trunk among all tasks.

    Args:
        trunk: an identifier for `models.trunks.get`: a name (`"cnn"`, `"cnn(filters=16)"`, `"mobilenetv2"`), a model, a
            layer or a function from images to features.
        tasks: the tasks to predict. Each task's `head` selects the kind of its head; all binary tasks share one layer.
        image_shape: `(height, width, channels)` of the images, which are in [0, 1].
        weights: initial weights of the trunk: see `models.trunks.get`.

    Returns:
        The images, a Keras tensor `(batch, height, width, channels)`, and for each task, in the order of `tasks`, its
        output, a Keras tensor `(batch, *task.shape)`.

    Raises:
        ValueError: if the trunk is unknown or cannot take images of that shape, or the weights do not fit.

    Example:

    ```python
    tasks = TaskSet([Task.classification("item", 10), Task.classification("group", 3)])
    model = MultiTaskModel(*hard_sharing("cnn", tasks, (28, 28, 1)))
    model.compile("adam", **tasks.compile_args())
    ```

    References:
        R. Caruana, "Multitask Learning", Machine Learning 28, 1997.
    """
    model = trunks.get(trunk, image_shape, weights)
    features = model.output
    binary = [task for task in tasks.values() if task.head == "binary"]
    outputs = heads.binary(binary, features) if binary else {}
    for task in tasks.values():
        if task.head != "binary":
            outputs[task.name] = heads.SINGLE[task.head](task, features)
    return model.input, {name: outputs[name] for name in tasks}
