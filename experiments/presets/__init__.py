"""Named experiments. `python train.py --list` lists them."""

from __future__ import annotations

from experiments.config import Preset
from experiments.presets import (
    celeba_attributes,
    celeba_landmarks,
    cifar10,
    cifar10_wide,
    cifar100,
    cityscapes,
    fashion_mnist,
    multi_fashion,
    nyuv2,
)
from mtl_keras.checks import unknown_value

_MODULES = (
    fashion_mnist,
    multi_fashion,
    cifar10,
    cifar10_wide,
    cifar100,
    celeba_attributes,
    celeba_landmarks,
    nyuv2,
    cityscapes,
)
PRESETS: dict[str, Preset] = {name: preset for module in _MODULES for name, preset in module.PRESETS.items()}


def get(name: str) -> Preset:
    """Returns a preset.

    Raises:
        ValueError: for an unknown name, with the closest match and the choices.
    """
    if name not in PRESETS:
        raise unknown_value("experiment", name, PRESETS)
    return PRESETS[name]
