"""`open_saved_model`: an exported SavedModel, loaded again."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import tensorflow as tf


def open_saved_model(path: str | PathLike[str]) -> Any:
    """Returns what `tf.saved_model.load` does. It owns the variables: its functions need it to live as long as they do.

    Raises:
        OSError: if it is no SavedModel or is damaged, naming it.
    """
    if not Path(path, "saved_model.pb").is_file():
        raise OSError(f"{path} is no SavedModel: it has no file saved_model.pb")
    try:
        return tf.saved_model.load(str(path))
    except (tf.errors.OpError, OSError, ValueError, LookupError, RuntimeError) as cause:
        raise OSError(f"{path} is damaged: {str(cause).splitlines()[0]}") from cause
