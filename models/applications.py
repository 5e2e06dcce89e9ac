"""The architectures of `keras.applications` as trunks."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

# Lower-case name -> the function that builds the architecture, for all that the installed Keras has.
APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    name.lower(): value for name, value in vars(keras.applications).items() if inspect.isfunction(value)
}


def application(name: str, images: Any, imagenet: bool = False) -> Any:
    """Applies an architecture of `keras.applications` without its classifier, behind its own preprocessing.

    The last feature map is averaged over its positions.

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, channels)` in [0, 1] with 1 or 3 channels.
        imagenet: whether to begin with the weights that Keras fetches, instead of random ones.

    Returns:
        Features `(batch, features)`.

    Raises:
        ValueError: if the architecture cannot take images of that size or number of channels, or the weights cannot be
            fetched.
    """
    return build(name, preprocess(name, images), imagenet=imagenet, pooling="avg")


def preprocess(name: str, images: Any) -> Any:
    """Applies an architecture's own `preprocess_input`, which is written for colours in [0, 255].

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, channels)` in [0, 1] with 1 or 3 channels.
    """
    x = layers.Rescaling(255.0, name="trunk_rescaling")(to_colour(name, images))
    # Every architecture's module brings the preprocessing that it was published with.
    return sys.modules[APPLICATIONS[name].__module__].preprocess_input(x)


def to_colour(trunk: str, images: Any) -> Any:
    """Returns images `(batch, height, width, 3)`: grey ones are repeated into three channels.

    Args:
        trunk: who needs them, for the error.
        images: a Keras tensor `(batch, height, width, channels)`.

    Raises:
        ValueError: if there are neither 1 nor 3 channels.
    """
    channels = images.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"Trunk {trunk!r} takes images with 1 or 3 channels. Received: image_shape={images.shape[1:]}")
    if channels == 3:
        return images
    return layers.Concatenate(name="trunk_grey_to_colour")([images, images, images])


def build(name: str, images: Any, *, imagenet: bool, pooling: str | None) -> Any:
    """Applies an architecture without its classifier to images that were preprocessed.

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, 3)`.
        imagenet: whether to begin with the weights that Keras fetches, instead of random ones.
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
    except ValueError as cause:
        raise ValueError(f"Trunk {name!r} cannot take images of {shape[0]}x{shape[1]}. {cause}") from cause
    except Exception as cause:
        # `keras.utils.get_file` raises this class itself when it cannot fetch a file, and names the URL.
        raise ValueError(
            f"The ImageNet weights of trunk {name!r} could not be fetched: {cause}. Fetch that file elsewhere and pass "
            "its path as weights (--weights FILE), or put it into ~/.keras/models."
        ) from cause
    return model.output
