"""Heads that predict something for every pixel, from feature maps to maps of a task.

A head ends with the activation of its task: softmax for classes, sigmoid for masks and images, unit vectors for
normals, none for depth and other numbers. Names and types are those of `models.heads`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import layers
from keras.initializers import Constant

from mtl_keras.tasks import Task

FILTERS = 256
RATES = (12, 24, 36)
DROPOUT = 0.5
_SKIP_FILTERS = 48
_ACTIVATIONS = {"segmentation": "softmax", "mask": "sigmoid", "reconstruction": "sigmoid"}


def dense(task: Task, maps: Any) -> Any:
    """Returns the output of a task: `convolutions` on maps of the output's size, else `deeplab`.

    Args:
        task: a dense task, or a reconstruction.
        maps: a Keras tensor `(batch, rows, columns, features)`.
    """
    return (convolutions if tuple(maps.shape[1:3]) == _size(task) else deeplab)(task, maps)


def convolutions(task: Task, maps: Any) -> Any:
    """Returns the output of a task from maps of its size: a 3x3 convolution, and a 1x1 convolution to its channels.

    Args:
        task: a dense task, or a reconstruction.
        maps: a Keras tensor `(batch, height, width, features)`.

    References:
        S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019,
        https://arxiv.org/abs/1803.10704: the heads of its SegNet
    """
    x = layers.Conv2D(maps.shape[-1], 3, padding="same", name=f"{task.name}_conv")(maps)
    normals = task.head == "normals"
    x = layers.Conv2D(
        task.shape[-1],
        1,
        activation=_ACTIVATIONS.get(task.head),
        bias_initializer=_bias(task),
        dtype="float32",
        name=f"{task.name}_vectors" if normals else task.name,
    )(x)
    return layers.UnitNormalization(dtype="float32", name=task.name)(x) if normals else x


def deeplab(
    task: Task,
    maps: Any,
    filters: int = FILTERS,
    rates: Sequence[int] = RATES,
    dropout: float = DROPOUT,
    low_level: Any = None,
) -> Any:
    """Returns the output of a task from coarse maps: atrous spatial pyramid pooling, then bilinear upsampling.

    The pyramid concatenates a 1x1 convolution, a 3x3 convolution for each rate and the average over all positions;
    another 1x1 convolution reduces it, and a 3x3 convolution and a 1x1 convolution to the task's channels follow.

    Args:
        task: a dense task, or a reconstruction.
        maps: a Keras tensor `(batch, rows, columns, features)`.
        filters: channels of each part of the pyramid and of the layers behind it.
        rates: dilation rates of the 3x3 convolutions; at most the longer side of the maps, where a higher rate has the
            same result.
        dropout: rate of the dropout behind the pyramid.
        low_level: maps of higher resolution, which are reduced to 48 channels and concatenated with the upsampled
            pyramid, as in DeepLab v3+; there are then two 3x3 convolutions. `None` for DeepLab v3.

    References:
        L.-C. Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017, section 3.3,
        https://arxiv.org/abs/1706.05587
        L.-C. Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV
        2018, https://arxiv.org/abs/1802.02611
    """
    name = task.name
    parts = [_convolution(maps, filters, 1, 1, f"{name}_aspp1")]
    for number, rate in enumerate(rates, start=2):
        parts.append(_convolution(maps, filters, 3, rate, f"{name}_aspp{number}"))
    mean = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_aspp_pool")(maps)
    mean = _convolution(mean, filters, 1, 1, f"{name}_aspp_image")
    parts.append(layers.UpSampling2D(maps.shape[1:3], name=f"{name}_aspp_repeat")(mean))
    x = layers.Concatenate(name=f"{name}_aspp")(parts)
    x = _convolution(x, filters, 1, 1, f"{name}_projection")
    x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    if low_level is not None:
        x = layers.Resizing(*low_level.shape[1:3], name=f"{name}_decoder_resize")(x)
        skip = _convolution(low_level, _SKIP_FILTERS, 1, 1, f"{name}_skip")
        x = layers.Concatenate(name=f"{name}_decoder")([x, skip])
        x = _convolution(x, filters, 3, 1, f"{name}_decoder1")
    x = _convolution(x, filters, 3, 1, f"{name}_features")
    return _upsampled(task, x)


def _size(task: Task) -> tuple[int, ...]:
    """Returns the height and width of a task's output."""
    if len(task.shape) != 3:
        raise ValueError(
            f"The shape of task {task.name!r} must be (height, width, channels) to build its head: use "
            f"tasks.at_size(height, width), as models.network does. Received: {task.shape}"
        )
    return task.shape[:2]


def _bias(task: Task) -> Any:
    """Returns the initial bias of the output: not 0 for unit vectors.

    The gradient of the normalisation is infinite at 0, where a position would start if ReLU made all its features 0.
    """
    return Constant(0.5) if task.head == "normals" else "zeros"


def _upsampled(task: Task, x: Any) -> Any:
    """Applies a 1x1 convolution to the task's channels, bilinear upsampling and the task's activation, in float32."""
    name, activation = task.name, _ACTIVATIONS.get(task.head)
    height, width = _size(task)
    linear = activation is None and task.head != "normals"
    x = layers.Conv2D(task.shape[-1], 1, bias_initializer=_bias(task), dtype="float32", name=f"{name}_coarse")(x)
    x = layers.Resizing(height, width, dtype="float32", name=name if linear else f"{name}_resize")(x)
    if task.head == "normals":
        return layers.UnitNormalization(dtype="float32", name=name)(x)
    return x if linear else layers.Activation(activation, dtype="float32", name=name)(x)


def _convolution(x: Any, filters: int, size: int, rate: int, name: str) -> Any:
    # Beyond the size of the maps, a higher rate has the same result: only the centre of the kernel meets a value. But
    # TensorFlow pads by the rate, which took most of the time on small images.
    rate = min(rate, max(x.shape[1:3]))
    x = layers.Conv2D(filters, size, padding="same", dilation_rate=rate, use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
