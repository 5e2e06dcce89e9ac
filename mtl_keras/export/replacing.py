"""Writing a file or a folder so that what was there before goes only when its successor is complete."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

# What TensorFlow puts around the reason: "{{node ...}} <file>; No space left on device [Op:SaveV2]".
_AROUND_REASON = re.compile(r"\{\{.*?\}\} ?|.*; | \[Op:.*")


_WRITING = ".writing-"


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
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{_WRITING}{path.name}-") as folder:
            new, old = Path(folder, path.name), Path(folder, f"{path.name}.old")
            yield new
            _flush(new)
            # No call swaps two folders on every system: for an instant there is neither, and an error puts `old` back.
            aside = path.is_dir()
            if aside:
                os.replace(path, old)
            try:
                os.replace(new, path)
            except OSError:
                if aside:
                    os.replace(old, path)
                raise
    except tf.errors.OpError as error:
        reason = _AROUND_REASON.sub("", str(error.message)).splitlines()[0]
        raise OSError(f"Cannot write {path}: {reason}") from error
    except OSError as error:
        raise OSError(f"Cannot write {path}: {error.strerror or error}") from error


def remove_unfinished(folder: Path) -> None:
    """Removes what processes that were killed in a `replacing` block left in a folder, and in those in it."""
    for left in folder.rglob(f"{_WRITING}*"):
        shutil.rmtree(left, ignore_errors=True)


def _flush(path: Path) -> None:
    """Waits until the files of a folder, or one file, are on the disk: a name may get there before what it names."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("r+b") as content:
                os.fsync(content.fileno())
