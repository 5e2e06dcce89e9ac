"""Loads initial trunk weights: random, or from a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

IMAGENET = "imagenet"


def load(trunk: keras.Model, weights: str | None, name: str) -> None:
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
        trunk.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as cause:
        # Messages of Keras have many lines, and the reason is not always in the first.
        reason = " ".join(str(cause).split())
        raise ValueError(f"{path} does not hold weights for {name!r}: {reason[:300]}") from cause
