"""Trunks: the part of a network that all its tasks share, from images to features.

A trunk is anything that can be called on images `(batch, height, width, channels)` in [0, 1] and gives features
`(batch, features)`: a function, a `keras.layers.Layer`, a `keras.Model`. Those registered in `TRUNKS` can be asked for
by name, with arguments (`"cnn(filters=16)"`), and so can every architecture in `keras.applications` (`"mobilenetv2"`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

from models import weights as weight_files
from models.applications import APPLICATIONS, application
from mtl_keras.serialization import Registry, parse_spec, unknown_value

Trunk = Callable[[Any], Any]

TRUNKS: Registry[Trunk] = Registry("trunk")

_FULL_RESOLUTION = 64  # images of up to this size are convolved at every position
_GRID = 8  # feature maps are halved until they are no larger
_WIDEST = 128  # channels are doubled up to here


@TRUNKS.register
def cnn(filters: int = 32, dense: int = 128, dropout: float = 0.5) -> Trunk:
    """A compact convolutional network for images from 28x28 to some 200x200.

    Blocks of 3x3 convolution, max-pooling, batch normalisation and ReLU. Each block sees half the resolution and has
    twice the channels (up to 128) of the one before; the last works on at most 8x8 positions. These are flattened, not
    averaged, so that the features can still tell where things are. The first convolution of an image larger than 64
    pixels has a stride of 2.

    Args:
        filters: channels of the first convolution.
        dense: how many features it gives.
        dropout: the share of the last feature map that is dropped in training. The features themselves are not
            dropped: points could not be told to a pixel from features that come and go.
    """

    def trunk(images: Any) -> Any:
        size = max(images.shape[1:3])
        stride = 1 if size <= _FULL_RESOLUTION else 2
        size = -(-size // stride)
        x, channels, block = images, filters, 1
        while True:
            x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, name=f"trunk_conv{block}")(x)
            last = size <= _GRID
            if not last:
                # Before the normalisation, which is then over a quarter of the values: half the time of a step.
                x = layers.MaxPooling2D(padding="same", name=f"trunk_pool{block}")(x)
            x = _normalisation(f"trunk_norm{block}")(x)
            x = layers.ReLU(name=f"trunk_relu{block}")(x)
            if last:
                break
            size, stride, block = -(-size // 2), 1, block + 1
            channels = max(channels, min(2 * channels, _WIDEST))
        x = layers.Flatten(name="trunk_flatten")(x)
        x = layers.Dropout(dropout, name="trunk_dropout")(x)
        x = layers.Dense(dense, use_bias=False, name="trunk_dense")(x)
        x = _normalisation("trunk_dense_norm")(x)
        return layers.ReLU(name="trunk_features")(x)

    return trunk


def _normalisation(name: str) -> layers.Layer:
    # A short memory: the moving averages have to keep up in runs of a few hundred steps.
    return layers.BatchNormalization(momentum=0.9, name=name)


@TRUNKS.register
def mlp(dense: int = 256, depth: int = 2, dropout: float = 0.2) -> Trunk:
    """Fully connected layers on the flattened image.

    Args:
        dense: width of each layer, and how many features it gives.
        depth: how many layers.
        dropout: the share of each layer's output that is dropped in training.
    """

    def trunk(images: Any) -> Any:
        x = layers.Flatten(name="trunk_flatten")(images)
        for layer in range(1, depth + 1):
            x = layers.Dense(dense, activation="relu", name=f"trunk_dense{layer}")(x)
            x = layers.Dropout(dropout, name=f"trunk_dropout{layer}")(x)
        return x

    return trunk


def names() -> list[str]:
    """The names that `get` takes: those registered, and the architectures of `keras.applications`."""
    return [*TRUNKS.names, *APPLICATIONS]


def get(identifier: str | Trunk, input_shape: tuple[int, int, int], weights: str | None = None) -> keras.Model:
    """Returns a trunk as a model of its own.

    Args:
        identifier: the name of a trunk, with or without arguments (`"mlp"`, `"cnn(filters=16)"`); the name of an
            architecture in `keras.applications` in any case (`"MobileNetV2"`); or a trunk. A functional
            `keras.Model` is returned as it is.
        input_shape: `(height, width, channels)` of the images.
        weights: `None` for random ones (or those that a trunk has), `"imagenet"` for what Keras fetches for an
            architecture of `keras.applications`, or the path of a file of the trunk's weights: see
            `models.weights.load`.

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 1] to features `(batch, features)`.

    Raises:
        ValueError: for an unknown name, wrong arguments, images that the trunk cannot take, a trunk that gives
            something else than features, or weights that are not there or do not fit.
    """
    imagenet = weights == weight_files.IMAGENET
    if isinstance(identifier, str):
        name, trunk = identifier, _by_name(identifier, imagenet)
    elif callable(identifier):
        name, trunk = getattr(identifier, "name", "trunk"), identifier
    else:
        raise ValueError(f"trunk must be a name, a model, a layer or a function. Received: {identifier!r}")
    if isinstance(trunk, keras.Model) and hasattr(trunk, "inputs"):
        model = trunk
    else:
        images = keras.Input(input_shape, name="images")
        model = keras.Model(images, trunk(images), name="trunk")
    _check(model, tuple(input_shape))
    if not (imagenet and name.lower() in APPLICATIONS):  # those have been fetched
        weight_files.load(model, weights, name)
    return model


def _by_name(identifier: str, imagenet: bool) -> Trunk:
    spec = parse_spec(identifier)
    if spec.name in TRUNKS:
        return TRUNKS.get(identifier)
    name = spec.name.lower()
    if name not in APPLICATIONS:
        raise unknown_value("trunk", spec.name, names())
    if spec.args or spec.kwargs:
        raise ValueError(f"Trunk {name!r} takes no arguments. Received: {identifier!r}")
    return partial(application, name, imagenet=imagenet)


def _check(model: keras.Model, input_shape: tuple[int, ...]) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    takes = len(shapes) == 1 and len(shapes[0]) == len(input_shape)
    if not takes or any(a not in (None, b) for a, b in zip(shapes[0], input_shape)):
        raise ValueError(
            f"The trunk must take one batch of images of shape {input_shape}. Received: inputs of shape {shapes}"
        )
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] is None:
        raise ValueError(
            "The trunk must give one tensor of features (batch, features): flatten or pool feature maps. "
            f"Received: outputs of shape {shapes}"
        )
