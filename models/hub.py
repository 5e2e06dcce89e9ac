"""The backbones of KerasHub as trunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from models.applications import to_colour
from models.trunks import TRUNKS, Trunk

# By the number of axes of what a backbone gives.
_POOLING = {2: layers.Identity, 3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D}
_LONGEST = 300  # characters of somebody else's error


@TRUNKS.register
def keras_hub(preset: str, load_weights: bool = True) -> Trunk:
    """An image backbone of KerasHub, behind the scaling that it was trained with; needs `pip install keras-hub`.

    Its last feature map, or its sequence of patches, is averaged over the positions. Images keep the size that they
    have in the dataset; grey ones are repeated into three channels. To a preset without an image converter, as a folder
    of a backbone alone is, they are given in [0, 1].

    Args:
        preset: a name (`"resnet_18_imagenet"`), a handle (`"kaggle://..."`, `"hf://..."`) or a folder that
            `backbone.save_to_preset` wrote.
        load_weights: whether to begin with the weights of the preset, instead of random ones.

    References:
        https://keras.io/keras_hub/presets lists the presets.
    """

    def trunk(images: Any) -> Any:
        backbone, converter = _fetched(preset, load_weights)
        x = to_colour("keras_hub", images)
        if converter is not None:
            scale = [255.0 * part for part in _by_channel(converter.scale, 1.0)]
            x = layers.Rescaling(scale, _by_channel(converter.offset, 0.0), name="trunk_rescaling")(x)
        try:
            maps = backbone(x)
        except (ValueError, TypeError) as cause:
            shape = tuple(images.shape[1:])
            raise ValueError(f"Preset {preset!r} cannot take images of shape {shape}: {_one_line(cause)}") from cause
        if not isinstance(maps, keras.KerasTensor) or len(maps.shape) not in _POOLING:
            raise ValueError(f"Preset {preset!r} must give one feature map or sequence. Received: {maps!r}")
        return _POOLING[len(maps.shape)](name="trunk_features")(maps)

    return trunk


def _fetched(preset: str, load_weights: bool) -> tuple[keras.Model, Any]:
    """The backbone of a preset, and what images go through on their way to it; `None` if the preset does not say."""
    try:
        import keras_hub as library  # most of a second, which other trunks need not wait for
    except ImportError as cause:
        raise ImportError(
            f"Trunk 'keras_hub' needs KerasHub: pip install keras-hub. Received: preset={preset!r}"
        ) from cause
    folder = Path(preset).expanduser()
    place = str(folder) if folder.is_dir() else preset
    try:
        backbone = library.models.Backbone.from_preset(place, load_weights=load_weights)
        try:
            return backbone, library.layers.ImageConverter.from_preset(place)
        except FileNotFoundError:
            return backbone, None
    except Exception as cause:
        # Whichever library fetches it has classes of its own for what went wrong.
        raise ValueError(
            f"Preset {preset!r} of KerasHub could not be loaded: {_one_line(cause)} Where it can be fetched, "
            "keras_hub.models.Backbone.from_preset(...).save_to_preset(FOLDER) writes a folder, which takes its place."
        ) from cause


def _by_channel(value: Any, otherwise: float) -> list[float]:
    """A number of an image converter for each of three channels; it may have one for all, or none."""
    if value is None:
        value = otherwise
    return list(value) if isinstance(value, (list, tuple)) else [value] * 3


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
