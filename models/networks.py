"""Networks by name: published networks, hard parameter sharing of any trunk, and networks from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras

from models import heads, saved, trunks
from mtl_keras.serialization import Registry, Spec, parse_spec
from mtl_keras.tasks import TaskSet
from mtl_keras.training import graph

Graph = tuple[Any, dict[str, Any]]


class Network(Protocol):
    """Builds a network for tasks and a shape of inputs: see `network` for the arguments and the result."""

    def __call__(self, tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph: ...


class _NetworkRegistry(Registry[Network]):
    """Registry of networks. Specifications in their arguments are trunks: `"mmoe(cnn(filters=16), experts=8)"`."""

    def _resolve(self, value: Any) -> Any:
        if not isinstance(value, Spec):
            return super()._resolve(value)
        if value.name in trunks.TRUNKS:
            return trunks.TRUNKS.get(value)
        if value.args or value.kwargs:
            trunks.check_name(str(value))
        return value.name


NETWORKS: Registry[Network] = _NetworkRegistry("network")


def network(
    identifier: str | trunks.Trunk, tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None
) -> Graph:
    """Returns the inputs and the named outputs of a network.

    A network for a subset of tasks is the network for all tasks without the paths of the others, so single-task
    networks can be compared with the multi-task network.

    Args:
        identifier: the name of a network, with or without arguments (`"two_paths"`, `"strided(width=2)"`); a trunk that
            all tasks share: an identifier for `models.trunks.get`; or the path of a `.keras` file: see
            `models.saved.saved_network`.
        tasks: the tasks to predict. Dense tasks without a size get that of the images.
        image_shape: `(height, width, channels)` of the images, which are in [0, 1], or `(features,)` of vectors.
        weights: initial weights of the trunk: `None` for random weights, `"imagenet"`, or the path of a file. See
            `models.trunks.get`.

    Returns:
        The images, a Keras tensor `(batch, height, width, channels)`, and for each task, in the order of `tasks`, its
        output, a Keras tensor `(batch, *task.shape)`.

    Raises:
        ValueError: for an unknown name, wrong arguments, tasks or images that the network does not support, or weights
            that are missing or do not fit.

    Example:

    ```python
    tasks = TaskSet([Task.classification("item", 10), Task.classification("group", 3)])
    model = MultiTaskModel(*network("two_paths", tasks, (28, 28, 1)))
    alone = MultiTaskModel(*network("two_paths", tasks.subset(["item"]), (28, 28, 1)))
    ```
    """
    tasks = _sized(tasks, image_shape)
    if not isinstance(identifier, str):
        return hard_sharing(identifier, tasks, image_shape, weights)
    if identifier.endswith(saved.SUFFIX):
        return saved.saved_network(identifier, tasks, image_shape, weights)
    check_network(identifier)
    name = parse_spec(identifier).name
    try:
        if name in NETWORKS:
            return NETWORKS.get(identifier)(tasks, image_shape, weights)
        return hard_sharing(identifier, tasks, image_shape, weights)
    except (TypeError, OverflowError) as cause:  # from layers with invalid arguments
        raise ValueError(f"Wrong arguments for network {name!r}: {cause}. Received: {identifier!r}") from cause


def check_network(identifier: str) -> None:
    """Checks the name and the argument names of a network or trunk, without building it.

    Raises:
        ValueError: for an unknown name or wrong arguments.
    """
    if identifier.endswith(saved.SUFFIX):
        return
    name = parse_spec(identifier, "network or trunk").name
    if name in NETWORKS:
        NETWORKS.get(identifier)
    else:
        trunks.check_name(identifier, "network or trunk", NETWORKS.names)


def hard_sharing(
    trunk: str | trunks.Trunk, tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None
) -> Graph:
    """Returns the inputs and the named outputs of a network that shares its trunk among all tasks.

    Args:
        trunk: an identifier for `models.trunks.get`: a name (`"cnn"`, `"cnn(filters=16)"`, `"mobilenetv2"`), a model, a
            layer or a function from images to features.
        tasks: the tasks to predict. Each task's `head` selects the kind of its head; all binary tasks share one layer.
            Dense tasks need feature maps, such as those of `"unet"`, `"segnet"` and `"dilated(resnet50)"`.
        image_shape: `(height, width, channels)` of the images, which are in [0, 1], or `(features,)` of vectors.
        weights: initial weights of the trunk: see `models.trunks.get`.

    Returns:
        The inputs and outputs, as `network` does.

    Raises:
        ValueError: if the trunk is unknown or cannot take images of that shape, or the weights do not fit.

    Example:

    ```python
    tasks = TaskSet([Task.classification("item", 10), Task.classification("group", 3)])
    model = MultiTaskModel(*hard_sharing("cnn", tasks, (28, 28, 1)))
    model.compile("adam", **tasks.compile_args())
    ```

    References:
        R. Caruana, "Multitask Learning", Machine Learning 28, 1997, https://doi.org/10.1023/A:1007379606734
    """
    tasks = _sized(tasks, image_shape)
    model = trunks.get(trunk, image_shape, weights, tasks)
    features = model.output
    binary = [task for task in tasks.values() if task.head == "binary"]
    outputs = heads.binary(binary, features) if binary else {}
    for task in tasks.values():
        if task.head != "binary":
            outputs[task.name] = heads.head(task, features)
    return model.input, {name: outputs[name] for name in tasks}


def _sized(tasks: TaskSet, image_shape: tuple[int, ...]) -> TaskSet:
    """Returns the tasks with the size of the images for dense tasks that have none; checks those that have one."""
    if len(image_shape) == 3:
        tasks = tasks.at_size(*image_shape[:2])
    for task in tasks.values():
        if task.is_dense and task.shape[:-1] != tuple(image_shape[:-1]):
            raise ValueError(
                f"Task {task.name!r} ({task.head}) predicts every pixel: its height and width must be those of the "
                f"images. Received: shape {task.shape}, image_shape={tuple(image_shape)}"
            )
    return tasks


def trunk_layers(outputs: Mapping[str, Any]) -> list[str]:
    """Returns the names of the trunk layers that have weights.

    These are the layers that all outputs depend on, except heads: output layers, layers whose name begins with that of
    a task, and the layer that several binary tasks share. In a single-task network, the output depends on all layers,
    so only names distinguish head and trunk: `item` and `item_...` are the head of the task `item`.

    Args:
        outputs: task name -> symbolic output.
    """
    shared_ids = {id(entry.variable) for entry in graph.ownership(outputs) if entry.reached.all()}
    output_layers = {output._keras_history.operation for output in outputs.values()}
    owners = (*outputs, heads.SHARED)
    return [
        operation.name
        for operation in graph.reach(outputs)
        if isinstance(operation, keras.Layer)
        and operation.weights
        and operation not in output_layers
        and all(id(weight) in shared_ids for weight in operation.weights)
        and not any(operation.name == owner or operation.name.startswith(f"{owner}_") for owner in owners)
    ]


def check_heads(name: str, tasks: TaskSet, accepted: Sequence[str]) -> None:
    """Raises an error if a network has no head for one of the tasks.

    Args:
        name: name of the network.
        tasks: the tasks to predict.
        accepted: the kinds of heads that the network has.

    Raises:
        ValueError: naming the first task that it cannot predict.
    """
    for task in tasks.values():
        if task.head not in accepted:
            raise ValueError(
                f"Network {name!r} has no head of the kind that task {task.name!r} needs. "
                f"Received: {task.head!r}. Choices: {', '.join(accepted)}"
            )


def check_share(argument: str, value: float) -> None:
    """Raises an error if a dropout rate is not in [0, 1).

    Raises:
        ValueError: naming the argument.
    """
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ValueError(f"{argument} must be in [0, 1). Received: {argument}={value!r}")
