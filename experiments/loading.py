"""Loading the model that a run saved."""

from __future__ import annotations

from pathlib import Path

import keras

from mtl_keras import MultiTaskModel


def load_model(path: Path) -> MultiTaskModel:
    """Loads a model that a run saved.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    if not path.exists():
        raise ValueError(f"There is no model to be found at {path}")
    try:
        return keras.models.load_model(path)
    except (OSError, ValueError, KeyError, TypeError) as cause:
        if "safe_mode" in str(cause):
            raise ValueError(f"{path} is refused: it holds code of its own, such as a Lambda layer") from cause
        # Keras calls a file that is no zip archive one that it has not found.
        reason = "it is no model file of Keras" if "File not found" in str(cause) else str(cause).splitlines()[0]
        raise ValueError(f"{path} is damaged: {reason}") from cause
