"""`open_saved_model`: loads an exported SavedModel."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import tensorflow as tf


def open_saved_model(path: str | PathLike[str]) -> Any:
    """Returns the result of `tf.saved_model.load`. It owns the variables, so keep it while you use its functions.

    Raises:
        OSError: if `path` is not a SavedModel or is damaged; the message names it.
    """
    if not Path(path, "saved_model.pb").is_file():
        raise OSError(f"{path} is no SavedModel: it has no file saved_model.pb")
    try:
        return tf.saved_model.load(str(path))
    except (tf.errors.OpError, OSError, ValueError, LookupError, RuntimeError) as cause:
        raise OSError(f"{path} is damaged: {str(cause).splitlines()[0]}") from cause
