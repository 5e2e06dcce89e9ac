"""A narrow network of strided convolutions that classifies and reconstructs images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from models import heads
from models.applications import check_images
from models.networks import NETWORKS, Graph, Network, check_heads, check_share
from models.trunks import load_trunk_weights
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import Task, TaskSet

_FILTERS = (8, 16, 32)
_STRIDE = 2 ** len(_FILTERS)
_DROPOUTS = ("none", "one", "each")
_POOLS = ("none", "max")


@NETWORKS.register
def strided(
    shared: int = 3,
    width: float = 1.0,
    dropout: str = "none",
    rate: float = 0.2,
    pool: str = "none",
    latent: int = 32,
    dense: int = 256,
    decoder_width: float | None = None,
) -> Network:
    """Builds three 3x3 convolutions of stride 2 with ReLU and batch normalisation, and heads for each task.

    A classifier has a dense layer and a sigmoid or softmax on the last map. A reconstruction goes through a vector
    (`latent`) and a dense layer back to the size of the last map, and through transposed convolutions of 32, 16 and 8
    channels to an image.

    The source published only the notebooks of its single-task networks. There a classifier takes the maximum of each
    channel (`pool="max"`); with it the network is too small to overfit, unlike the source's multi-task networks;
    without it, it can overfit. The notebooks also use normalisation and dropout in the decoder; according to the
    source's own table, these double the reconstruction error (0.025 against 0.012), so the decoder here has neither.

    Args:
        shared: number of convolutions that all tasks share, 1 to 3. Each task has its own copy of the others.
        width: factor of the channels (8, 16 and 32) and of the length of the vector.
        dropout: `"none"`, `"one"` (a layer at the end of the shared part) or `"each"` (after each convolution).
        rate: rate of the dropout layers.
        pool: input of a classifier from the last map: `"none"` (all of it) or `"max"` (the maximum per channel).
        latent: length of the vector between image and reconstruction, at width 1.
        dense: width of the layer in front of a classifier's output.
        decoder_width: factor of the decoder's channels, which take most of the computation; `width` by default.

    Raises:
        ValueError: for arguments out of range.

    References:
        https://github.com/hananshafi/Multi-Task-Learning: CIFAR-10, Adam (0.001) with clipnorm 1, batches of 128.
    """
    if shared not in (1, 2, 3) or not isinstance(shared, int):
        raise ValueError(f"shared must be 1, 2 or 3. Received: shared={shared!r}")
    decoder_width = width if decoder_width is None else decoder_width
    for argument, value in (("width", width), ("decoder_width", decoder_width)):
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ValueError(f"{argument} must be a number > 0. Received: {argument}={value!r}")
    if dropout not in _DROPOUTS:
        raise unknown_value("dropout", dropout, _DROPOUTS)
    if pool not in _POOLS:
        raise unknown_value("pool", pool, _POOLS)
    check_share("rate", rate)
    parts = _StridedLayers(width, decoder_width, rate if dropout == "each" else 0.0, pool, latent, dense)

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        check_heads("strided", tasks, ("classification", "binary", "reconstruction"))
        check_images("Network 'strided'", image_shape)
        if any(side % _STRIDE for side in image_shape[:2]):
            raise ValueError(
                f"Network 'strided' takes images whose sides can be divided by {_STRIDE}. "
                f"Received: image_shape={tuple(image_shape)}"
            )
        images = keras.Input(image_shape, name="images")
        x = parts.convolutions(images, 0, shared, "trunk")
        if dropout == "one":
            x = layers.Dropout(rate, name="trunk_dropout")(x)
        load_trunk_weights(keras.Model(images, x, name="trunk"), weights, "strided")
        outputs = {}
        for task in tasks.values():
            task_maps = parts.convolutions(x, shared, len(_FILTERS), task.name)
            head = parts.reconstruction if task.head == "reconstruction" else parts.classifier
            outputs[task.name] = head(task, task_maps)
        return images, outputs

    return build


@dataclass(frozen=True)
class _StridedLayers:
    width: float
    decoder_width: float
    rate: float
    pool: str
    latent: int
    dense: int

    def units(self, count: int, width: float | None = None) -> int:
        return max(1, round(count * (width or self.width)))

    def convolutions(self, x: Any, first: int, last: int, owner: str) -> Any:
        for step in range(first, last):
            filters, number = self.units(_FILTERS[step]), step + 1
            x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name=f"{owner}_conv{number}")(x)
            if self.rate:
                x = layers.Dropout(self.rate, name=f"{owner}_dropout{number}")(x)
            x = layers.BatchNormalization(name=f"{owner}_norm{number}")(x)
        return x

    def classifier(self, task: Task, maps: Any) -> Any:
        flatten = layers.GlobalMaxPooling2D if self.pool == "max" else layers.Flatten
        x = flatten(name=f"{task.name}_features")(maps)
        x = layers.Dense(self.dense, activation="relu", name=f"{task.name}_dense")(x)
        return heads.probabilities(task, x)

    def reconstruction(self, task: Task, maps: Any) -> Any:
        height, width, channels = task.shape
        grid = tuple(maps.shape[1:])
        size = (grid[0] * _STRIDE, grid[1] * _STRIDE)
        if (height, width) != size:
            raise ValueError(
                "Network 'strided' reconstructs images in their input size only. "
                f"Received: task {task.name!r} of shape {task.shape}, images of {size}"
            )
        x = layers.Flatten(name=f"{task.name}_flatten")(maps)
        x = layers.Dense(self.units(self.latent), name=f"{task.name}_latent")(x)
        rows, columns, _ = grid
        channels_up = [self.units(filters, self.decoder_width) for filters in reversed(_FILTERS)]
        x = layers.Dense(rows * columns * channels_up[0], name=f"{task.name}_dense")(x)
        x = layers.Reshape((rows, columns, channels_up[0]), name=f"{task.name}_grid")(x)
        for number, filters in enumerate(channels_up, start=1):
            x = layers.Conv2DTranspose(
                filters, 3, strides=2, padding="same", activation="relu", name=f"{task.name}_up{number}"
            )(x)
        return layers.Conv2DTranspose(
            channels, 3, padding="same", activation="sigmoid", dtype="float32", name=task.name
        )(x)
