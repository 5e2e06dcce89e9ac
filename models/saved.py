"""A network from a `.keras` file: any Functional model whose outputs are named after the tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from mtl_keras.tasks import Task, TaskSet
from mtl_keras.training import graph

SUFFIX = ".keras"


def load(path: Path, compiled: bool = True) -> keras.Model:
    """Loads a model, without running code that is in the file.

    Args:
        path: the file.
        compiled: whether to compile it as it was when it was saved.

    Raises:
        ValueError: if the file is missing or damaged, or holds code of its own, naming it.
    """
    if not path.exists():
        raise ValueError(f"There is no model to be found at {path}")
    try:
        return keras.models.load_model(path, compile=compiled)
    except (OSError, ValueError, KeyError, TypeError) as cause:
        if "safe_mode" in str(cause):
            raise ValueError(f"{path} is refused: it holds code of its own, such as a Lambda layer") from cause
        # Keras calls a file that is no zip archive one that it has not found.
        reason = "it is no model file of Keras" if "File not found" in str(cause) else str(cause).splitlines()[0]
        raise ValueError(f"{path} is damaged: {reason}") from cause


def saved_network(
    file: str, tasks: TaskSet, image_shape: tuple[int, int, int], weights: str | None
) -> tuple[Any, dict[str, Any]]:
    """Returns the inputs and the named outputs of the network in a file, which begins with the weights in it.

    Outputs that are no task are left out, so that a file for all tasks is one for some of them too.

    Args:
        file: what `save` wrote of a Functional model with a dict of outputs, a `MultiTaskModel` or not.
        tasks: what to predict: the keys of outputs. Classes and yes or no are predicted as probabilities.
        image_shape: `(height, width, channels)` of the images, which are in [0, 1]: what else they have to go through
            is for the model to do.
        weights: must be `None`.

    Returns:
        The images, a Keras tensor `(batch, height, width, channels)`, and for each task, in the order of `tasks`, its
        output, a Keras tensor `(batch, *task.shape)`.

    Raises:
        ValueError: if there is no such file, it holds another kind of model, this takes something else than one batch
            of images of that shape, or has no output for a task, or one of another shape.
    """
    if weights is not None:
        raise ValueError(f"A network from a file begins with the weights in it. Received: weights={weights!r}")
    path = Path(file).expanduser()
    try:
        inputs, outputs = graph.graph_of(load(path, compiled=False))
    except ValueError as cause:
        raise cause if str(path) in str(cause) else ValueError(f"{path}: {cause}") from cause
    _check_inputs(path, inputs, image_shape)
    missing = [name for name in tasks if name not in outputs]
    if missing:
        raise ValueError(f"{path} has no output for task {missing[0]!r}. It has outputs for: {', '.join(outputs)}")
    for task in tasks.values():
        _check_output(path, task, outputs[task.name])
    (images,) = keras.tree.flatten(inputs)
    return images, {name: outputs[name] for name in tasks}


def _check_inputs(path: Path, inputs: Any, image_shape: tuple[int, int, int]) -> None:
    found = [(tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in keras.tree.flatten(inputs)]
    shape, dtype = found[0]
    fits = len(shape) == len(image_shape) and all(a in (None, b) for a, b in zip(shape, image_shape))
    if len(found) != 1 or not fits or "float" not in dtype:
        raise ValueError(
            f"{path} must take one batch of images of shape {tuple(image_shape)}, floats in [0, 1]. Received: inputs "
            + ", ".join(f"{shape} {dtype}" for shape, dtype in found)
        )


def _check_output(path: Path, task: Task, output: Any) -> None:
    shape = tuple(output.shape[1:])
    if shape != task.shape:
        raise ValueError(f"Output {task.name!r} of {path} must have the shape {task.shape}. Received: {shape}")
    last = output._keras_history.operation
    if task.head in ("classification", "binary") and getattr(last, "activation", None) is keras.activations.linear:
        ending = "softmax" if task.head == "classification" else "sigmoid"
        raise ValueError(
            f"Output {task.name!r} of {path} must be probabilities. Received: the linear layer {last.name!r}; "
            f"end it with activation={ending!r}"
        )
