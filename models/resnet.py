"""ResNet-18 as a trunk; the smallest ResNet of `keras.applications` is ResNet-50."""

from __future__ import annotations

from typing import Any

from keras import layers
from keras.initializers import VarianceScaling

from models.applications import to_colour
from models.trunks import TRUNKS, Trunk

_CHANNELS = (64, 128, 256, 512)
# Mean and deviation of ImageNet for red, green and blue in [0, 1].
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


@TRUNKS.register
def resnet18() -> Trunk:
    """Returns the 18-layer residual network without its classifier: 512 features, 11.2 million weights.

    The layout is torchvision's: a 7x7 convolution of stride 2 and 3x3 max-pooling of stride 2; four stages of two basic
    blocks with 64, 128, 256 and 512 channels; average pooling. Padding is symmetric and BatchNorm has epsilon 1e-5 and
    momentum 0.9, so torchvision's weights fit after transposing their kernels to (height, width, in, out). In a file,
    the weights are in the order of the layers, each shortcut after the two convolutions of its block. Images (grey
    images as three equal channels) are normalised with the means and deviations of ImageNet.

    References:
        K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, table 1,
        https://arxiv.org/abs/1512.03385
    """

    def trunk(images: Any) -> Any:
        x = layers.Rescaling(
            [1 / deviation for deviation in _DEVIATION],
            offset=[-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION)],
            name="trunk_rescaling",
        )(to_colour("resnet18", images))
        x = _convolution(x, 64, 7, 2, "trunk_stem")
        x = layers.ReLU(name="trunk_stem_relu")(x)
        # The values are not negative, so padding with zeros does not change the maxima.
        x = layers.ZeroPadding2D(1, name="trunk_stem_pool_pad")(x)
        x = layers.MaxPooling2D(3, strides=2, name="trunk_stem_pool")(x)
        for stage, channels in enumerate(_CHANNELS, start=1):
            x = _block(x, channels, 1 if stage == 1 else 2, f"trunk_stage{stage}_block1")
            x = _block(x, channels, 1, f"trunk_stage{stage}_block2")
        return layers.GlobalAveragePooling2D(name="trunk_pool")(x)

    return trunk


def _block(x: Any, channels: int, stride: int, name: str) -> Any:
    shortcut = x
    x = _convolution(x, channels, 3, stride, f"{name}_1")
    x = layers.ReLU(name=f"{name}_1_relu")(x)
    x = _convolution(x, channels, 3, 1, f"{name}_2")
    if stride > 1:
        shortcut = _convolution(shortcut, channels, 1, stride, f"{name}_shortcut")
    x = layers.Add(name=f"{name}_sum")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)


def _convolution(x: Any, channels: int, size: int, stride: int, name: str) -> Any:
    """Applies a convolution without bias, padded equally on all sides, and batch normalisation."""
    if size > 1:
        # With a stride, padding="same" would pad only at the right and the bottom.
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        channels,
        size,
        strides=stride,
        use_bias=False,
        kernel_initializer=VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
