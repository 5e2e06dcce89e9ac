"""KerasHub backbones as trunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from models.applications import to_colour
from models.trunks import TRUNKS, Trunk

# By the number of axes of the backbone's output.
_POOLING = {2: layers.Identity, 3: layers.GlobalAveragePooling1D, 4: layers.GlobalAveragePooling2D}
_MAX_ERROR_LENGTH = 300  # characters of an error message of another library


@TRUNKS.register
def keras_hub(preset: str, load_weights: bool = True) -> Trunk:
    """Returns an image backbone of KerasHub, preceded by its input scaling; needs `pip install keras-hub`.

    The last feature map, or the sequence of patches, is averaged over the positions. Images keep their size in the
    dataset; grey images are repeated into three channels. If the preset has no image converter, like a folder with only
    a backbone, the inputs are images in [0, 1].

    Args:
        preset: a name (`"resnet_18_imagenet"`), a handle (`"kaggle://..."`, `"hf://..."`) or a folder that
            `backbone.save_to_preset` wrote.
        load_weights: whether to start from the weights of the preset, instead of random ones.

    References:
        https://keras.io/keras_hub/presets lists the presets.
    """

    def trunk(images: Any) -> Any:
        backbone, converter = _load_preset(preset, load_weights)
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


def _load_preset(preset: str, load_weights: bool) -> tuple[keras.Model, Any]:
    """Returns the backbone of a preset and its image converter; None if the preset has no converter."""
    try:
        import keras_hub as library  # takes most of a second, so only this trunk imports it
    except ImportError as cause:
        raise ImportError(
            f"Trunk 'keras_hub' needs KerasHub: pip install keras-hub. Received: preset={preset!r}"
        ) from cause
    folder = Path(preset).expanduser()
    source = str(folder) if folder.is_dir() else preset
    try:
        backbone = library.models.Backbone.from_preset(source, load_weights=load_weights)
        try:
            return backbone, library.layers.ImageConverter.from_preset(source)
        except FileNotFoundError:
            return backbone, None
    except Exception as cause:
        # Each library that fetches presets raises its own error classes.
        raise ValueError(
            f"Preset {preset!r} of KerasHub could not be loaded: {_one_line(cause)} Where it can be fetched, "
            "keras_hub.models.Backbone.from_preset(...).save_to_preset(FOLDER) writes a folder, which takes its place."
        ) from cause


def _by_channel(value: Any, default: float) -> list[float]:
    """Returns a value of an image converter for each of three channels; it may be one number for all, or None."""
    if value is None:
        value = default
    return list(value) if isinstance(value, (list, tuple)) else [value] * 3


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _MAX_ERROR_LENGTH else f"{text[:_MAX_ERROR_LENGTH]}..."
