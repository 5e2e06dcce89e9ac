"""VGG16 with two dense layers, and binary outputs for many attributes."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from models import applications, heads
from models.applications import check_images
from models.networks import NETWORKS, Graph, Network, check_heads, check_share
from models.trunks import IMAGENET, load_trunk_weights
from mtl_keras.tasks import TaskSet


@NETWORKS.register
def vgg16_dense(dense: int = 4096, dropout: float = 0.5, frozen: bool = False) -> Network:
    """Builds the convolutions of VGG16 and two dense layers with dropout, shared by binary tasks.

    The last feature map is flattened, not averaged. With random weights, images are scaled to [-1, 1]; with ImageNet
    weights or weights from a file, they get the preprocessing that VGG16 was published with.

    Args:
        dense: width of the two dense layers.
        dropout: the share of each dense layer's output that is dropped in training.
        frozen: whether the convolutions are frozen. The dense layers are always trained.

    References:
        K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
        https://arxiv.org/abs/1409.1556
        https://github.com/AviralTripathim22ma012/Multi-Task-Learning: eight attributes of CelebA at 128x128, Adam
        (0.001), batches of 64.
    """
    check_share("dropout", dropout)

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        check_heads("vgg16_dense", tasks, ("binary",))
        check_images("Network 'vgg16_dense'", image_shape)
        trunk = _trunk(image_shape, weights)
        if frozen:
            trunk.trainable = False
        x = trunk.output
        for layer in (1, 2):
            x = layers.Dense(dense, activation="relu", name=f"trunk_dense{layer}")(x)
            x = layers.Dropout(dropout, name=f"trunk_dropout{layer}")(x)
        return trunk.input, heads.binary(list(tasks.values()), x)

    return build


def _trunk(image_shape: tuple[int, ...], weights: str | None) -> keras.Model:
    imagenet = weights == IMAGENET
    images = keras.Input(image_shape, name="images")
    maps = applications.apply_architecture("vgg16", _scaled(images, weights), imagenet=imagenet, pooling=None)
    trunk = keras.Model(images, layers.Flatten(name="trunk_flatten")(maps), name="trunk")
    if not imagenet:
        load_trunk_weights(trunk, weights, "vgg16_dense")
    return trunk


def _scaled(images: Any, weights: str | None) -> Any:
    if weights is not None:
        return applications.preprocess("vgg16", images)
    return layers.Rescaling(2.0, offset=-1.0, name="trunk_rescaling")(applications.to_colour("vgg16", images))
