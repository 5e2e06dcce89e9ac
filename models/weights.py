"""What a trunk begins with: random weights, or those in a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

IMAGENET = "imagenet"


def load(trunk: keras.Model, weights: str | None, name: str) -> None:
    """Gives a trunk the weights that it should begin with, in place.

    Args:
        trunk: a trunk for which Keras ships no weights.
        weights: `None` to leave it as it is, or a path: what `save_weights` (`.weights.h5`) or `save` (`.keras`) wrote
            for a trunk with the same layers, or the file that `keras.applications` fetches for an architecture
            (`..._notop.h5`).
        name: what to call the trunk in an error.

    Raises:
        ValueError: for `"imagenet"`, a file that is missing, one without weights, or one with those of other layers.
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
        # Keras explains over many lines, and what does not fit is not always in the first.
        reason = " ".join(str(cause).split())
        raise ValueError(f"{path} does not hold weights for {name!r}: {reason[:300]}") from cause
