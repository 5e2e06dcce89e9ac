"""The architectures of `keras.applications` as trunks, untrained."""

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


def application(name: str, images: Any) -> Any:
    """Applies an architecture of `keras.applications`, with random weights and without its classifier.

    The images go through the architecture's own `preprocess_input`, which is written for [0, 255]. Grey images are
    repeated into three channels. The last feature map is averaged over its positions.

    Args:
        name: a key of `APPLICATIONS`.
        images: a Keras tensor `(batch, height, width, channels)` in [0, 1] with 1 or 3 channels.

    Returns:
        Features `(batch, features)`.

    Raises:
        ValueError: if the architecture cannot take images of that size or number of channels.
    """
    build = APPLICATIONS[name]
    height, width, channels = images.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"Trunk {name!r} takes images with 1 or 3 channels. Received: image_shape={images.shape[1:]}")
    x = layers.Rescaling(255.0, name="trunk_rescaling")(images)
    if channels == 1:
        x = layers.Concatenate(name="trunk_grey_to_colour")([x, x, x])
    # Every architecture's module brings the preprocessing that it was published with.
    x = sys.modules[build.__module__].preprocess_input(x)
    try:
        model = build(include_top=False, weights=None, input_tensor=x, input_shape=(height, width, 3), pooling="avg")
    except ValueError as cause:
        raise ValueError(f"Trunk {name!r} cannot take images of shape {images.shape[1:]}. {cause}") from cause
    return model.output
