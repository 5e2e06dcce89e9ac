"""Trunks: the part of a network that all tasks share, from images to features.

A trunk is any callable from images `(batch, height, width, channels)` in [0, 1] to features `(batch, features)` or, for
tasks that predict every pixel, feature maps `(batch, rows, columns, features)`: a function, a `keras.layers.Layer`, a
`keras.Model`. Trunks registered in `TRUNKS` can be selected by name, with arguments (`"cnn(filters=16)"`), and so can
every architecture in `keras.applications` (`"mobilenetv2"`).
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import keras
from keras import layers

from models.applications import APPLICATIONS, application_trunk, check_images
from mtl_keras.checks import unknown_value
from mtl_keras.serialization import Registry, Spec, parse_spec
from mtl_keras.tasks import DENSE_HEADS, TaskSet

Trunk = Callable[[Any], Any]

IMAGENET = "imagenet"


@runtime_checkable
class LoadsWeights(Protocol):
    """A trunk that loads initial weights in its own way."""

    def __call__(self, images: Any) -> Any: ...

    def load_into(self, model: keras.Model, weights: str) -> None:
        """Loads weights into a model of the trunk: see `get`, which calls this."""


class _TrunkRegistry(Registry[Trunk]):
    """Registry of trunks. Architectures in arguments are names: `"dilated(resnet50)"`."""

    def _resolve(self, value: Any) -> Any:
        is_architecture = isinstance(value, Spec) and value.name.lower() in APPLICATIONS
        return value.name if is_architecture and not (value.args or value.kwargs) else super()._resolve(value)


TRUNKS: Registry[Trunk] = _TrunkRegistry("trunk")

_FULL_RESOLUTION = 64  # images of up to this size are convolved at every position
_GRID = 8  # feature maps are halved until they are at most this size
_WIDEST = 128  # channels are doubled up to this number


@TRUNKS.register
def cnn(filters: int = 32, dense: int = 128, dropout: float = 0.5) -> Trunk:
    """Returns a compact convolutional network for images from 28x28 to about 200x200.

    Blocks of 3x3 convolution, max-pooling, batch normalisation and ReLU. Each block has half the resolution and twice
    the channels (up to 128) of the previous block; the last works on at most 8x8 positions. Its output is flattened,
    not averaged, so the features keep spatial information. The first convolution has stride 2 for images larger than 64
    pixels.

    Args:
        filters: channels of the first convolution.
        dense: number of features.
        dropout: the share of the last feature map that is dropped in training. The features themselves are not dropped,
            because dropout on them makes the regression of points inaccurate.
    """

    def trunk(images: Any) -> Any:
        check_images("Trunk 'cnn'", images.shape[1:])
        size = max(images.shape[1:3])
        stride = 1 if size <= _FULL_RESOLUTION else 2
        size = -(-size // stride)
        x, channels, block = images, filters, 1
        while True:
            x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False, name=f"trunk_conv{block}")(x)
            last = size <= _GRID
            if not last:
                # Pool before the normalisation, which then has a quarter of the values: half the time of a step.
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
    # Low momentum, so the moving averages converge in runs of a few hundred steps.
    return layers.BatchNormalization(momentum=0.9, name=name)


@TRUNKS.register
def lenet(kernel: int = 5, dense: int = 50) -> Trunk:
    """Returns the small LeNet of multi-task benchmarks on MultiMNIST and MultiFashion.

    Two convolutions without padding, of 10 and 20 channels, each followed by 2x2 max-pooling and ReLU, and a fully
    connected layer.

    Args:
        kernel: side of the first convolution's kernel: 5 in Sener and Koltun, 9 in Pareto MTL (for 36x36 images). The
            second convolution is 5x5.
        dense: number of features.

    References:
        O. Sener, V. Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018,
        https://arxiv.org/abs/1810.04650
        X. Lin, H.-L. Zhen, Z. Li, Q. Zhang, S. Kwong, "Pareto Multi-Task Learning", NeurIPS 2019,
        https://arxiv.org/abs/1912.12854
    """

    def trunk(images: Any) -> Any:
        check_images("Trunk 'lenet'", images.shape[1:])
        least = kernel + 11  # leaves 12 positions for the first pooling and 2 for the second
        if min(images.shape[1:3]) < least:
            raise ValueError(
                f"Trunk 'lenet' with kernel={kernel} takes images of at least {least}x{least}. "
                f"Received: image_shape={tuple(images.shape[1:])}"
            )
        x = images
        for block, (filters, size) in enumerate([(10, kernel), (20, 5)], start=1):
            x = layers.Conv2D(filters, size, name=f"trunk_conv{block}")(x)
            x = layers.MaxPooling2D(name=f"trunk_pool{block}")(x)
            x = layers.ReLU(name=f"trunk_relu{block}")(x)
        x = layers.Flatten(name="trunk_flatten")(x)
        x = layers.Dense(dense, name="trunk_dense")(x)
        return layers.ReLU(name="trunk_features")(x)

    return trunk


@TRUNKS.register
def mlp(dense: int | Sequence[int] = 256, depth: int = 2, dropout: float = 0.2) -> Trunk:
    """Returns fully connected layers on the flattened image, or on a vector.

    Args:
        dense: width of each layer; `[64, 32]` for two layers of different widths. The last is the number of features.
        depth: number of layers, if `dense` is one number.
        dropout: the share of each layer's output that is dropped in training.
    """
    widths = [dense] * depth if isinstance(dense, int) else list(dense)

    def trunk(images: Any) -> Any:
        x = layers.Flatten(name="trunk_flatten")(images) if len(images.shape) > 2 else images
        for layer, width in enumerate(widths, start=1):
            x = layers.Dense(width, activation="relu", name=f"trunk_dense{layer}")(x)
            x = layers.Dropout(dropout, name=f"trunk_dropout{layer}")(x)
        return x

    return trunk


def default_trunk(input_shape: Sequence[int], heads: Iterable[str] = ()) -> str:
    """Returns the name of the usual trunk: `"mlp"` for vectors, `"unet"` for dense tasks, else `"cnn"`.

    Args:
        input_shape: shape of the inputs, without the batch axis.
        heads: the kinds of heads of the tasks to predict.
    """
    if len(input_shape) == 1:
        return "mlp"
    return "unet" if set(heads) & set(DENSE_HEADS) else "cnn"


def names() -> list[str]:
    """Returns the names that `get` accepts: registered trunks and the architectures of `keras.applications`."""
    return [*TRUNKS.names, *APPLICATIONS]


def check_name(identifier: str, kind: str = "trunk", others: Iterable[str] = ()) -> None:
    """Checks the name and the argument names of a trunk, without building it.

    Args:
        identifier: see `get`.
        kind: what is expected, for the message.
        others: further accepted names, for the message.

    Raises:
        ValueError: for an unknown name or wrong arguments.
    """
    spec = parse_spec(identifier, kind)
    if spec.name in TRUNKS:
        TRUNKS.get(spec)
    elif spec.name.lower() not in APPLICATIONS:
        raise unknown_value(kind, spec.name, [*names(), *others])
    elif spec.args or spec.kwargs:
        raise ValueError(f"Trunk {spec.name.lower()!r} takes no arguments. Received: {identifier!r}")


def get(
    identifier: str | Trunk, input_shape: tuple[int, ...], weights: str | None = None, tasks: TaskSet | None = None
) -> keras.Model:
    """Returns a trunk as a model.

    Args:
        identifier: the name of a trunk, with or without arguments (`"mlp"`, `"cnn(filters=16)"`); the name of an
            architecture in `keras.applications`, in any case (`"MobileNetV2"`); or a trunk. A functional `keras.Model`
            is returned unchanged.
        input_shape: `(height, width, channels)` of the images, or `(features,)` of vectors.
        weights: `None` for random weights (or those of the given trunk), `"imagenet"` for the weights that Keras
            fetches for an architecture of `keras.applications`, or the path of a file of the trunk's weights: see
            `load_trunk_weights`.
        tasks: the tasks to predict. If one is dense, the name of an architecture means its trunk of feature maps:
            `"resnet50"` is `"dilated(resnet50)"`.

    Returns:
        A model from images `(batch, height, width, channels)` in [0, 1] to features `(batch, features)` or feature maps
        `(batch, rows, columns, features)`.

    Raises:
        ValueError: for an unknown name, wrong arguments, images that the trunk does not support, a trunk whose output
            is not features, or weights that are missing or do not fit.
    """
    imagenet = weights == IMAGENET
    maps = tasks is not None and any(task.is_dense for task in tasks.values())
    if isinstance(identifier, str):
        name, trunk = identifier, _by_name(identifier, imagenet, maps)
    elif callable(identifier):
        name, trunk = getattr(identifier, "name", "trunk"), identifier
    else:
        raise ValueError(f"trunk must be a name, a model, a layer or a function. Received: {identifier!r}")
    if isinstance(trunk, keras.Model) and hasattr(trunk, "inputs"):
        model = trunk
    else:
        inputs = keras.Input(input_shape, name="images" if len(input_shape) == 3 else "features")
        model = keras.Model(inputs, trunk(inputs), name="trunk")
    _check(model, tuple(input_shape))
    if isinstance(trunk, LoadsWeights):
        if weights is not None:
            trunk.load_into(model, weights)
    elif not (imagenet and name.lower() in APPLICATIONS):  # these weights are already loaded
        load_trunk_weights(model, weights, name)
    return model


def load_trunk_weights(trunk: keras.Model, weights: str | None, name: str) -> None:
    """Loads the initial weights of a trunk, in place.

    Args:
        trunk: a trunk for which Keras ships no weights.
        weights: `None` to leave the trunk unchanged, or a path: a file that `save_weights` (`.weights.h5`) or `save`
            (`.keras`) wrote for a trunk with the same layers, or the file that `keras.applications` fetches for an
            architecture (`..._notop.h5`).
        name: name of the trunk in error messages.

    Raises:
        ValueError: for `"imagenet"`, a missing file, a file without weights, or weights of other layers.
    """
    if weights is None:
        return
    if weights == IMAGENET:
        raise ValueError(
            f"Keras ships no ImageNet weights for {name!r}. Pass the path of a .weights.h5 or .keras file of a model "
            f"with the same layers (the documentation of {name} says which they are). Received: weights={weights!r}"
        )
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ValueError(
            f"There is no file {path}. weights is 'imagenet' or the path of a file. Received: weights={weights!r}"
        )
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that the file does not have and that keep their random weights.
            warnings.filterwarnings("error", "Skipping nested container", UserWarning)
            trunk.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, UserWarning) as cause:
        # Messages of Keras have many lines, and the reason is not always in the first.
        reason = " ".join(str(cause).split())
        raise ValueError(f"{path} does not hold weights for {name!r}: {reason[:300]}") from cause


def _by_name(identifier: str, imagenet: bool, maps: bool) -> Trunk:
    check_name(identifier)
    name = parse_spec(identifier).name
    if name in TRUNKS:
        return TRUNKS.get(identifier)
    if maps:
        return TRUNKS.get(Spec("dilated", (name.lower(),)))
    return partial(application_trunk, name.lower(), imagenet=imagenet)


def _check(model: keras.Model, input_shape: tuple[int, ...]) -> None:
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs]
    same_rank = len(shapes) == 1 and len(shapes[0]) == len(input_shape)
    if not same_rank or any(a not in (None, b) for a, b in zip(shapes[0], input_shape)):
        raise ValueError(
            f"The trunk must take one batch of images of shape {input_shape}. Received: inputs of shape {shapes}"
        )
    shapes = [tuple(tensor.shape[1:]) for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) not in (1, 3) or None in shapes[0]:
        raise ValueError(
            "The trunk must give one tensor of features (batch, features), or of feature maps (batch, rows, columns, "
            f"features) of known size. Received: outputs of shape {shapes}"
        )
