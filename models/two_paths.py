"""A convolutional trunk that splits into one dense path per task."""

from __future__ import annotations

import keras
from keras import layers

from models import heads
from models.applications import check_images
from models.networks import NETWORKS, Graph, Network, check_heads
from models.trunks import load_trunk_weights
from mtl_keras.tasks import TaskSet

_SMALLEST = 18  # the convolutions and poolings reduce this size to one position


@NETWORKS.register
def two_paths(filters: int = 32, shared: int = 1024, dense: int = 100) -> Network:
    """Builds three convolutions and a dense layer shared by all tasks, then a dense layer and a classifier per task.

    The convolutions are 3x3, unpadded, with ReLU; 2x2 max-pooling follows the first two. The channels double from each
    to the next: 32, 64, 128. This is the network in the source's code. The source's text has a wider dense layer (3136)
    and puts the one of 1024 into each path.

    Args:
        filters: channels of the first convolution.
        shared: width of the dense layer that ends the trunk.
        dense: width of each task's own layer.

    References:
        https://github.com/JSaunders97/multi-task-learning: Fashion-MNIST, Adam (0.001, beta_1 0.5), batches of 200,
        10 epochs, both tasks weighted 0.5.
    """

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        check_heads("two_paths", tasks, ("classification", "binary"))
        check_images("Network 'two_paths'", image_shape)
        if min(image_shape[:2]) < _SMALLEST:
            raise ValueError(
                f"Network 'two_paths' takes images of {_SMALLEST}x{_SMALLEST} or more. "
                f"Received: image_shape={tuple(image_shape)}"
            )
        trunk = _trunk(image_shape, filters, shared)
        load_trunk_weights(trunk, weights, "two_paths")
        outputs = {}
        for task in tasks.values():
            x = layers.Dense(dense, activation="relu", name=f"{task.name}_dense")(trunk.output)
            outputs[task.name] = heads.probabilities(task, x)
        return trunk.input, outputs

    return build


def _trunk(image_shape: tuple[int, ...], filters: int, shared: int) -> keras.Model:
    images = keras.Input(image_shape, name="images")
    x = images
    for block in (1, 2, 3):
        x = layers.Conv2D(filters * 2 ** (block - 1), 3, activation="relu", name=f"trunk_conv{block}")(x)
        if block < 3:
            x = layers.MaxPooling2D(name=f"trunk_pool{block}")(x)
    x = layers.Flatten(name="trunk_flatten")(x)
    x = layers.Dense(shared, activation="relu", name="trunk_dense")(x)
    return keras.Model(images, x, name="trunk")
