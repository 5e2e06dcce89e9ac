"""MTAN on SegNet: attention of each task at each level of the encoder and of the decoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from models import heads
from models.encoder_decoders import SegNet, cropped
from models.networks import NETWORKS, Graph, Network
from models.trunks import load_trunk_weights
from mtl_keras.layers import TaskAttention
from mtl_keras.tasks import TaskSet


@NETWORKS.register
def segnet_mtan(width: float = 1.0) -> Network:
    """Builds the shared SegNet of `segnet`, from which each task selects features by attention at each level.

    In the encoder, a mask is computed from a level's first maps and from what the task selected one level above; what
    it selects goes through a convolution that all tasks share, and is pooled. In the decoder, the selected features
    are upsampled (bilinear) and go through a shared convolution; a mask is computed from them and from the unpooled
    maps of the shared network. Masks are applied to the last maps of a level. With segmentation of 13 classes, depth
    and normals, the network has 44,229,073 trained weights.

    Args:
        width: factor of the channels.

    References:
        S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, section 3 and
        figure 2, https://arxiv.org/abs/1803.10704
        V. Badrinarayanan, A. Kendall, R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
        Segmentation", TPAMI 2017, https://arxiv.org/abs/1511.00561
    """
    trunk = SegNet(width)

    def build(tasks: TaskSet, image_shape: tuple[int, ...], weights: str | None = None) -> Graph:
        images = keras.Input(image_shape, name="images")
        encoder = trunk.encoder(images)
        decoder = trunk.decoder([level.last for level in encoder])
        load_trunk_weights(keras.Model(images, decoder[-1].last, name="trunk"), weights, "segnet_mtan")
        following = [*encoder[1:], encoder[-1]]
        down = [_Shared(f"trunk_refine_down{n}", each.last.shape[-1]) for n, each in enumerate(following, start=1)]
        up = [_Shared(f"trunk_refine_up{n}", each.last.shape[-1]) for n, each in enumerate(decoder, start=1)]
        outputs = {}
        for task in tasks.values():
            x = None
            for number, (level, shared) in enumerate(zip(encoder, down), start=1):
                sources = [level.first] if x is None else [level.first, x]
                x = TaskAttention(name=f"{task.name}_attention{number}")([level.last, *sources])
                x = layers.MaxPooling2D(name=f"{task.name}_pool{number}")(shared(x))
            for number, (level, shared) in enumerate(zip(decoder, up), start=1):
                x = layers.UpSampling2D(interpolation="bilinear", name=f"{task.name}_up{number}")(x)
                sources = [level.read, shared(x)]
                x = TaskAttention(name=f"{task.name}_attention{len(encoder) + number}")([level.last, *sources])
            outputs[task.name] = heads.head(task, cropped(x, images, f"{task.name}_crop"))
        return images, outputs

    return build


class _Shared:
    """A 3x3 convolution with batch normalisation and ReLU, which all tasks share."""

    def __init__(self, name: str, channels: int) -> None:
        self.layers: Sequence[keras.Layer] = (
            layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv"),
            layers.BatchNormalization(momentum=0.9, name=f"{name}_norm"),
            layers.ReLU(name=f"{name}_relu"),
        )

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x
