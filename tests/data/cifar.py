"""Tiny CIFAR datasets, written by TFDS with the features of the real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tests.data.conftest import write

SIZES = {"train": 40, "test": 16}


def scene(number: int, **labels: int) -> dict[str, Any]:
    """An example whose first pixel tells which one it is."""
    image = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    image[0, 0] = number
    return {"id": f"{'train' if number < SIZES['train'] else 'test'}_{number:05d}", "image": image, **labels}


def features(**classes: int) -> dict[str, Any]:
    labels = {name: tfds.features.ClassLabel(num_classes=count) for name, count in classes.items()}
    return {"id": tfds.features.Text(), "image": tfds.features.Image(shape=(32, 32, 3)), **labels}


def cifar10(root: Path, order: slice = slice(None)) -> str:
    """Writes a CIFAR-10 and returns its TFDS directory.

    Args:
        root: where.
        order: in which order the examples are stored.
    """
    scenes = [scene(number, label=number % 10) for number in range(sum(SIZES.values()))]
    splits = {"train": scenes[: SIZES["train"]][order], "test": scenes[SIZES["train"] :][order]}
    return write(root, "cifar10", "3.0.2", features(label=10), splits)
