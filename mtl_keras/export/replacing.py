"""Replaces a file or folder only when the new one is complete."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

# TensorFlow's text around the reason: "{{node ...}} <file>; No space left on device [Op:SaveV2]".
_AROUND_REASON = re.compile(r"\{\{.*?\}\} ?|.*; | \[Op:.*")


_WRITING = ".writing-"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path on the same disk to write to; it replaces `path` when the block ends without an error.

    Args:
        path: the file or folder to write; missing parent folders are created.

    Yields:
        A path of the same name in a new temporary folder next to `path`. That folder is always removed.

    Raises:
        OSError: if something cannot be written, in one line that names `path`.
    """
    try:
        if not path.parent.exists():  # if the parent is a file, `mkdir` only reports that it exists
            path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{_WRITING}{path.name}-") as folder:
            new, old = Path(folder, path.name), Path(folder, f"{path.name}.old")
            yield new
            _flush(new)
            # No call swaps two folders on every system: for a moment neither exists, and an error restores `old`.
            move_old = path.is_dir()
            if move_old:
                os.replace(path, old)
            try:
                os.replace(new, path)
            except OSError:
                if move_old:
                    os.replace(old, path)
                raise
    except tf.errors.OpError as error:
        reason = _AROUND_REASON.sub("", str(error.message)).splitlines()[0]
        raise OSError(f"Cannot write {path}: {reason}") from error
    except OSError as error:
        raise OSError(f"Cannot write {path}: {error.strerror or error}") from error


def remove_unfinished(folder: Path) -> None:
    """Removes temporary folders of killed `replacing` blocks from a folder and its subfolders."""
    for temporary in folder.rglob(f"{_WRITING}*"):
        shutil.rmtree(temporary, ignore_errors=True)


def _flush(path: Path) -> None:
    """Waits until a file, or all files of a folder, are on the disk: the name may be written before the content."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("r+b") as content:
                os.fsync(content.fileno())
