"""The cache folder, for files that can be recomputed."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Returns the folder `chosen`, else the one that `MTL_KERAS_CACHE` names, else `~/.cache/mtl_keras`."""
    return Path(chosen or os.environ.get("MTL_KERAS_CACHE") or Path.home() / ".cache" / "mtl_keras").expanduser()
