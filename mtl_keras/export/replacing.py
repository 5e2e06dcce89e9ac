"""Writing a file or a folder so that what was there before goes only when its successor is complete."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

# What TensorFlow puts around the reason: "{{node ...}} <file>; No space left on device [Op:SaveV2]".
_AROUND_REASON = re.compile(r"\{\{.*?\}\} ?|.*; | \[Op:.*")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path on the same disk to write to, which takes the place of `path` when the block ends without an error.

    Args:
        path: the file or folder to write; the folders above it are made.

    Yields:
        A path of the same name in a new temporary folder beside `path`. Whatever happens, that folder goes.

    Raises:
        OSError: if something cannot be written, in one line that names `path`.
    """
    try:
        if not path.parent.exists():  # for a file in its place, `mkdir` says no more than that it exists
            path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            new, old = Path(folder, path.name), Path(folder, f"{path.name}.old")
            yield new
            # No call swaps two folders on every system: for an instant there is neither, and an error puts `old` back.
            existed = path.exists()
            if existed:
                os.replace(path, old)
            try:
                os.replace(new, path)
            except OSError:
                if existed:
                    os.replace(old, path)
                raise
    except tf.errors.OpError as error:
        reason = _AROUND_REASON.sub("", str(error.message)).splitlines()[0]
        raise OSError(f"Cannot write {path}: {reason}") from error
    except OSError as error:
        raise OSError(f"Cannot write {path}: {error.strerror or error}") from error
