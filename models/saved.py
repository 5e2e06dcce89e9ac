"""Networks from `.keras` files: any Functional model whose outputs are named after the tasks."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mtl_keras.tasks import Task, TaskSet
from mtl_keras.training import graph

SUFFIX = ".keras"
_ENDINGS = {"classification": "softmax", "segmentation": "softmax", "binary": "sigmoid", "mask": "sigmoid"}
_LARGE_LABELS = 10.0
"""Above this mean or deviation, an output layer that begins near 0 takes too many steps to reach the labels."""


def load_keras_file(path: Path, compiled: bool = True) -> keras.Model:
    """Loads a model without running code from the file.

    Args:
        path: path of the file.
        compiled: whether to compile the model as it was when saved.

    Raises:
        ValueError: if the file is missing, damaged or contains code; the message names the file.
    """
    if not path.exists():
        raise ValueError(f"There is no model at {path}")
    try:
        return keras.models.load_model(path, compile=compiled)
    except (OSError, ValueError, KeyError, TypeError) as cause:
        if "safe_mode" in str(cause):
            raise ValueError(f"{path} is refused: it contains code, such as a Lambda layer") from cause
        # Keras reports a file that is not a zip archive as not found.
        reason = "it is not a Keras model file" if "File not found" in str(cause) else str(cause).splitlines()[0]
        raise ValueError(f"{path} is damaged: {reason}") from cause


def saved_network(
    file: str, tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None
) -> tuple[Any, dict[str, Any]]:
    """Returns the inputs and named outputs of the network in a file, initialised with the weights in the file.

    Outputs without a task are omitted, so a file for all tasks also works for a subset of them. A regression whose
    labels are far from 1 needs an output scaled to them; a warning says how.

    Args:
        file: a file that `save` wrote for a Functional model with a dict of outputs, a `MultiTaskModel` or not.
        tasks: the tasks to predict; their names are keys of the outputs. Classification and binary outputs must be
            probabilities.
        image_shape: `(height, width, channels)` of the images, which are in [0, 1]; the model must do any other
            preprocessing itself.
        weights: must be `None`.

    Returns:
        The inputs and outputs, as `models.network` does.

    Raises:
        ValueError: if the file is missing or has another kind of model, if the model takes anything but one batch of
            images of that shape, or if the output of a task is missing or has another shape.
    """
    if weights is not None:
        raise ValueError(f"A network from a file begins with the weights in it. Received: weights={weights!r}")
    path = Path(file).expanduser()
    try:
        inputs, outputs = graph.graph_of(load_keras_file(path, compiled=False))
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


def _check_inputs(path: Path, inputs: Any, image_shape: tuple[int, ...]) -> None:
    received = [(tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in keras.tree.flatten(inputs)]
    shape, dtype = received[0]
    fits = len(shape) == len(image_shape) and all(a in (None, b) for a, b in zip(shape, image_shape))
    if len(received) != 1 or not fits or "float" not in dtype:
        raise ValueError(
            f"{path} must take one batch of images of shape {tuple(image_shape)}, floats in [0, 1]. Received: inputs "
            + ", ".join(f"{shape} {dtype}" for shape, dtype in received)
        )


def _check_output(path: Path, task: Task, output: Any) -> None:
    shape = tuple(output.shape[1:])
    if shape != task.shape:
        raise ValueError(f"Output {task.name!r} of {path} must have the shape {task.shape}. Received: {shape}")
    last = output._keras_history.operation
    ending = _ENDINGS.get(task.head)
    if ending and getattr(last, "activation", None) is keras.activations.linear:
        raise ValueError(
            f"Output {task.name!r} of {path} must be probabilities. Received: the linear layer {last.name!r}; "
            f"end it with activation={ending!r}"
        )
    if task.head == "regression" and task.mean is not None and task.deviation is not None:
        _warn_if_far_from_labels(path, task, last)


def _warn_if_far_from_labels(path: Path, task: Task, last: Any) -> None:
    size = max(abs(task.mean or 0.0), task.deviation or 0.0)
    if size <= _LARGE_LABELS or not isinstance(last, keras.layers.Dense):
        return
    trained = last.bias is not None and np.abs(last.bias.numpy()).max() > size / 10
    if not trained:
        warnings.warn(
            f"Output {task.name!r} of {path} begins near 0 and may never reach its labels, which have mean "
            f"{task.mean:.4g} and deviation {task.deviation:.4g}. End it with "
            f"keras.layers.Rescaling({task.deviation:.4g}, {task.mean:.4g}).",
            stacklevel=2,
        )
