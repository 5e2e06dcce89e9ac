"""The architectures of `keras.applications` as trunks.

Layers made here have the prefix `trunk_`; those of an architecture keep the names that Keras gives them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

# Lower-case name -> function that builds the architecture, for all architectures in the installed Keras.
APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    name.lower(): value for name, value in vars(keras.applications).items() if inspect.isfunction(value)
}


def application_trunk(name: str, images: Any, imagenet: bool = False) -> Any:
    """Applies an architecture's preprocessing, its layers without the classifier, and global average pooling.

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, channels)` in [0, 1] with 1 or 3 channels.
        imagenet: whether to start from the weights that Keras fetches, instead of random ones.

    Returns:
        Features `(batch, features)`.

    Raises:
        ValueError: if the architecture cannot take images of that size or number of channels, or the weights cannot be
            fetched.
    """
    return apply_architecture(name, preprocess(name, images), imagenet=imagenet, pooling="avg")


def preprocess(name: str, images: Any) -> Any:
    """Applies an architecture's own `preprocess_input`, which expects colours in [0, 255].

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, channels)` in [0, 1] with 1 or 3 channels.

    Returns:
        Preprocessed images `(batch, height, width, 3)`.
    """
    x = layers.Rescaling(255.0, name="trunk_rescaling")(to_colour(name, images))
    # The module of each architecture has the preprocessing that it was published with.
    return sys.modules[APPLICATIONS[name].__module__].preprocess_input(x)


def check_images(what: str, shape: tuple[int | None, ...]) -> None:
    """Raises an error if inputs are not images.

    Args:
        what: the network or trunk, for the message.
        shape: shape of the inputs, without the batch axis.
    """
    if len(shape) != 3:
        raise ValueError(
            f"{what} takes images (height, width, channels); for vectors there is the trunk 'mlp'. "
            f"Received: image_shape={tuple(shape)}"
        )


def to_colour(trunk: str, images: Any) -> Any:
    """Returns colour images `(batch, height, width, 3)`. A single channel is repeated three times.

    Args:
        trunk: name of the trunk, for the error message.
        images: a Keras tensor `(batch, height, width, channels)`.

    Raises:
        ValueError: for other inputs than images of 1 or 3 channels.
    """
    check_images(f"Trunk {trunk!r}", images.shape[1:])
    channels = images.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"Trunk {trunk!r} takes images with 1 or 3 channels. Received: image_shape={images.shape[1:]}")
    if channels == 3:
        return images
    return layers.Concatenate(name="trunk_grey_to_colour")([images, images, images])


def apply_architecture(name: str, images: Any, *, imagenet: bool, pooling: str | None) -> Any:
    """Applies the layers of an architecture, without its classifier, to preprocessed images.

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, 3)`.
        imagenet: whether to start from the weights that Keras fetches, instead of random ones.
        pooling: `"avg"` for features `(batch, features)`, `None` for maps `(batch, rows, columns, features)`.

    Raises:
        ValueError: if the architecture cannot take images of that size, or the weights cannot be fetched.
    """
    shape = tuple(images.shape[1:])
    weights = "imagenet" if imagenet else None
    try:
        model = APPLICATIONS[name](
            include_top=False, weights=weights, input_tensor=images, input_shape=shape, pooling=pooling
        )
    except ValueError as cause:  # such as images that are too small
        raise ValueError(f"Trunk {name!r} cannot take images of {shape[0]}x{shape[1]}. {cause}") from cause
    except Exception as cause:
        # `keras.utils.get_file` raises a plain Exception that names the URL if it cannot fetch a file.
        raise ValueError(
            f"The ImageNet weights of trunk {name!r} could not be fetched: {cause}. Fetch that file elsewhere and pass "
            "its path as weights (--weights FILE), or put it into ~/.keras/models."
        ) from cause
    return model.output
