"""Encoder-decoders as trunks: feature maps in the resolution of the image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers

from models.applications import check_images
from models.trunks import TRUNKS, Trunk
from mtl_keras.checks import check_integer, check_positive
from mtl_keras.layers import MaxUnpooling2D

_SEGNET_FILTERS = (64, 128, 256, 512, 512)


class EncoderDecoder(ABC):
    """A trunk with feature maps in the resolution of the image, whose decoder may also be copied for each task."""

    def __call__(self, images: Any) -> Any:
        """Returns feature maps `(batch, height, width, features)` of images `(batch, height, width, channels)`."""
        return self.decode(self.encode(images), images)

    @abstractmethod
    def encode(self, images: Any) -> list[Any]:
        """Returns the maps of each level that the decoder reads, from fine to coarse."""

    @abstractmethod
    def decode(self, encoded: Sequence[Any], images: Any, name: str = "trunk") -> Any:
        """Returns maps in the resolution of the images.

        Args:
            encoded: the result of `encode`.
            images: the images.
            name: prefix of the names of the layers.
        """


@dataclass(frozen=True)
class _UNet(EncoderDecoder):
    filters: int
    depth: int

    def __post_init__(self) -> None:
        check_integer("filters", self.filters, 1)
        check_integer("depth", self.depth, 1)

    def encode(self, images: Any) -> list[Any]:
        check_images("Trunk 'unet'", images.shape[1:])
        x = padded(images, 2**self.depth)
        found = []
        for level in range(1, self.depth + 1):
            found.append(_level(x, self.filters * 2 ** (level - 1), f"trunk_down{level}"))
            x = layers.MaxPooling2D(name=f"trunk_pool{level}")(found[-1])
        return [*found, _level(x, self.filters * 2**self.depth, "trunk_middle")]

    def decode(self, encoded: Sequence[Any], images: Any, name: str = "trunk") -> Any:
        *skips, x = encoded
        for level in range(self.depth, 0, -1):
            channels = self.filters * 2 ** (level - 1)
            x = layers.Conv2DTranspose(channels, 2, strides=2, name=f"{name}_up{level}")(x)
            x = layers.Concatenate(name=f"{name}_skip{level}")([x, skips[level - 1]])
            x = _level(x, channels, f"{name}_up{level}")
        return cropped(x, images, f"{name}_crop")


@TRUNKS.register
def unet(filters: int = 16, depth: int = 4) -> Trunk:
    """Returns a small U-Net: `filters` channels in the resolution of the image.

    Each level has two 3x3 convolutions with batch normalisation and ReLU. On the way down, 2x2 max-pooling halves the
    resolution and the channels double. On the way up, a transposed 2x2 convolution doubles the resolution and halves
    the channels, and the maps of the same level on the way down are concatenated. Convolutions are padded, so images
    of any size are accepted. The paper's network is `unet(filters=64)`, without padding and normalisation.

    Args:
        filters: channels of the first level.
        depth: how many times the resolution is halved.

    References:
        O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI
        2015, https://arxiv.org/abs/1505.04597
    """
    return _UNet(filters, depth)


def _level(x: Any, channels: int, name: str) -> Any:
    for number in (1, 2):
        x = _normalised_convolution(x, channels, f"{name}_{number}", use_bias=False)
    return x


def _normalised_convolution(x: Any, channels: int, name: str, use_bias: bool = True) -> Any:
    x = layers.Conv2D(channels, 3, padding="same", use_bias=use_bias, name=f"{name}_conv")(x)
    # Low momentum, so the moving averages converge in runs of a few hundred steps.
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


@dataclass(frozen=True)
class Level:
    """A level of a SegNet.

    Args:
        read: the maps that its convolutions read: images, pooled or unpooled maps.
        first: the maps behind its first convolution.
        last: the maps behind its last convolution.
    """

    read: Any
    first: Any
    last: Any


@dataclass(frozen=True)
class SegNet(EncoderDecoder):
    """The trunk `segnet`, level by level.

    Args:
        width: factor of the channels.
    """

    width: float = 1.0

    def __post_init__(self) -> None:
        check_positive("width", self.width)

    @property
    def filters(self) -> list[int]:
        """The channels of each level."""
        return [max(1, round(count * self.width)) for count in _SEGNET_FILTERS]

    def encode(self, images: Any) -> list[Any]:
        return [level.last for level in self.encoder(images)]

    def decode(self, encoded: Sequence[Any], images: Any, name: str = "trunk") -> Any:
        return cropped(self.decoder(encoded, name)[-1].last, images, f"{name}_crop")

    def encoder(self, images: Any) -> list[Level]:
        """Returns the levels of the encoder, from fine to coarse, of images padded to multiples of 32."""
        check_images("Trunk 'segnet'", images.shape[1:])
        x = padded(images, 2 ** len(self.filters))
        found: list[Level] = []
        for number, channels in enumerate(self.filters, start=1):
            found.append(_segnet_level(x, channels, 2 if number < 3 else 3, f"trunk_down{number}"))
            x = layers.MaxPooling2D(name=f"trunk_pool{number}")(found[-1].last)
        return found

    def decoder(self, encoded: Sequence[Any], name: str = "trunk") -> list[Level]:
        """Returns the levels of a decoder, from coarse to fine, of the last maps of each level of the encoder."""
        x = layers.MaxPooling2D(name=f"{name}_bottom")(encoded[-1])
        found: list[Level] = []
        for number in range(len(encoded), 0, -1):
            x = MaxUnpooling2D(name=f"{name}_unpool{number}")([x, encoded[number - 1]])
            channels = self.filters[max(0, number - 2)]
            found.append(_segnet_level(x, channels, 2 if number < 3 else 3, f"{name}_up{number}"))
            x = found[-1].last
        return found


@TRUNKS.register
def segnet(width: float = 1.0) -> Trunk:
    """Returns the SegNet of multi-task benchmarks: 64 channels in the resolution of the image, 24.9 million weights.

    The encoder has the layout of VGG16 with 2, 2, 3, 3 and 3 convolutions of 64, 128, 256, 512 and 512 channels, each
    level followed by 2x2 max-pooling. The decoder mirrors it: each value is put back where the maximum was
    (`mtl_keras.layers.MaxUnpooling2D`), and its levels have 3, 3, 3, 2 and 2 convolutions, the first of which reduces
    the channels to those of the level below. Convolutions are 3x3 with a bias, batch normalisation and ReLU. Images are
    padded to multiples of 32.

    Args:
        width: factor of the channels.

    References:
        V. Badrinarayanan, A. Kendall, R. Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
        Segmentation", TPAMI 2017, https://arxiv.org/abs/1511.00561
        S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
        https://arxiv.org/abs/1803.10704: the version with fewer layers in the decoder
    """
    return SegNet(width)


def _segnet_level(read: Any, channels: int, count: int, name: str) -> Level:
    found = [read]
    for number in range(1, count + 1):
        found.append(_normalised_convolution(found[-1], channels, f"{name}_{number}"))
    return Level(read, found[1], found[-1])


def padded(images: Any, multiple: int) -> Any:
    """Pads images with zeros at the bottom and the right, so that their sides can be divided by a number.

    Args:
        images: a Keras tensor `(batch, height, width, channels)`.
        multiple: the divisor.
    """
    excess = [-side % multiple for side in images.shape[1:3]]
    if not any(excess):
        return images
    return layers.ZeroPadding2D(((0, excess[0]), (0, excess[1])), name="trunk_padding")(images)


def cropped(maps: Any, images: Any, name: str) -> Any:
    """Crops maps `(batch, height, width, channels)` of `padded` images to the size of the images."""
    excess = [side - wanted for side, wanted in zip(maps.shape[1:3], images.shape[1:3])]
    if not any(excess):
        return maps
    return layers.Cropping2D(((0, excess[0]), (0, excess[1])), name=name)(maps)
