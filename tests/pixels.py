"""Six small images with labels of every kind of dense task, and predictions of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import data
from data.dataset import BatchRequest, describe_tasks
from mtl_keras import Task, TaskSet

COUNT, HEIGHT, WIDTH = 6, 8, 12
CLASSES = ("wall", "floor", "bed", "lamp")
_SHAPE = (COUNT, HEIGHT, WIDTH)
_RNG = np.random.default_rng(0)

TASKS = TaskSet(
    [
        Task.segmentation("segments", CLASSES, ignore=255),
        Task.mask("edge"),
        Task.depth("depth"),
        Task.normals("normals"),
        Task.dense_regression("flow", 2),
        Task.classification("room", ("kitchen", "bath")),
    ]
).at_size(HEIGHT, WIDTH)
"""All kinds of dense tasks, and one of whole images."""


def _unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype("float32")


def _labels() -> dict[str, np.ndarray]:
    segments = _RNG.choice(4, _SHAPE, p=[0.5, 0.3, 0.2, 0.0]).astype("int32")
    segments[_RNG.random(_SHAPE) < 0.2] = 255
    edge = (_RNG.random((*_SHAPE, 1)) < 0.3).astype("float32")
    edge[0, :2] = np.nan
    depth = _RNG.gamma(2.0, 1.5, (*_SHAPE, 1)).astype("float32") + 0.5
    depth[_RNG.random(_SHAPE) < 0.2] = 0
    depth[1, 0, 0] = np.nan
    normals = _unit(_RNG.normal(size=(*_SHAPE, 3)) + np.array([0.3, 0.2, 1.5]))
    normals[_RNG.random(_SHAPE) < 0.2] = 0
    flow = _RNG.normal(size=(*_SHAPE, 2)).astype("float32")
    flow[2, :4] = np.nan
    # An image without any label of a pixel.
    segments[4], edge[4], depth[4], normals[4], flow[4] = 255, np.nan, 0, 0, np.nan
    room = np.array([0, 1, 1, -1, 0, 1], "int32")
    return {"segments": segments, "edge": edge, "depth": depth, "normals": normals, "flow": flow, "room": room}


def _outputs(labels: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    scores = _RNG.random((*_SHAPE, 4)) + np.eye(4)[labels["segments"] % 4] * 0.7
    guesses = np.nan_to_num(labels["edge"]) * 0.3 + _RNG.random((*_SHAPE, 1)) * 0.6
    outputs = {
        "segments": scores / scores.sum(axis=-1, keepdims=True),
        "edge": guesses,
        "depth": np.nan_to_num(labels["depth"]) * 0.8 + 1,
        "normals": _unit(labels["normals"] + 0.5 * _RNG.normal(size=(*_SHAPE, 3))),
        "flow": np.nan_to_num(labels["flow"]) * 0.5 + 0.1,
        "room": np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3], [0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]),
    }
    return {name: values.astype("float32") for name, values in outputs.items()}


LABELS = _labels()
OUTPUTS = _outputs(LABELS)
IMAGES = _RNG.random((*_SHAPE, 3), "float32")


def predict(images: Any) -> dict[str, np.ndarray]:
    """Returns the outputs of those of `IMAGES` that are given."""
    rows = [int(np.argmin(np.abs(IMAGES - np.asarray(image)).sum(axis=(1, 2, 3)))) for image in images]
    return {name: values[rows] for name, values in OUTPUTS.items()}


def batches(size: int = COUNT, tasks: TaskSet = TASKS) -> tf.data.Dataset:
    """Returns the images and labels in batches."""
    return tf.data.Dataset.from_tensor_slices((IMAGES, {name: LABELS[name] for name in tasks})).batch(size)


class Rooms(data.AnyDataset):
    """The six images as every split of a dataset."""

    name, version, synthetic = "rooms", "1", False
    image_shape = (HEIGHT, WIDTH, 3)

    def __init__(self, tasks: TaskSet = TASKS) -> None:
        self.tasks = tasks

    def size(self, split: str) -> int:
        return COUNT

    def _batches(self, request: BatchRequest) -> tf.data.Dataset:
        found = batches(request.part.batch_size, self.tasks)
        return found.repeat() if request.shuffle else found

    def label_counts(self) -> dict[str, int]:
        return dict.fromkeys(self.tasks, COUNT)

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        image = tf.image.convert_image_dtype(tf.io.decode_image(encoded, 3, expand_animations=False), "float32")
        return tf.ensure_shape(tf.image.resize(image, (HEIGHT, WIDTH)), self.image_shape)

    def description(self) -> dict[str, Any]:
        sizes = dict.fromkeys(("train", "validation", "test"), COUNT)
        shape, tasks = list(self.image_shape), describe_tasks(self.tasks)
        return {"name": self.name, "version": self.version, "sizes": sizes, "image_shape": shape, "tasks": tasks}


def pixels(name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the labels and outputs of the labelled pixels of each image, `(pixels, channels)`."""
    for true, output in zip(LABELS[name], OUTPUTS[name]):
        labels = true[..., None] if true.ndim == 2 else true
        known = np.isfinite(labels).all(axis=-1)
        if name == "segments":
            known &= labels[..., 0] != 255
        elif name in ("depth", "normals"):
            known &= labels.any(axis=-1)
        yield labels[known], output[known]


def network(tasks: TaskSet = TASKS) -> dict[str, Any]:
    """Returns a small convolutional network as the arguments `inputs` and `outputs` of a model."""
    inputs = keras.Input((HEIGHT, WIDTH, 3), name="images")
    features = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    outputs = {}
    for name, task in tasks.items():
        if task.head == "classification":
            pooled = keras.layers.GlobalAveragePooling2D()(features)
            outputs[name] = keras.layers.Dense(task.shape[-1], "softmax")(pooled)
            continue
        activation = {"segmentation": "softmax", "mask": "sigmoid"}.get(task.head)
        values = keras.layers.Conv2D(task.shape[-1], 1, activation=activation)(features)
        outputs[name] = keras.layers.UnitNormalization()(values) if task.head == "normals" else values
    return {"inputs": inputs, "outputs": outputs}
