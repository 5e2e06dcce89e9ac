"""A lock on a folder, so that two programs never write to it at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other programs that ask for the lock out of a folder, until the block or the process ends, however it does.

    Args:
        folder: is made if it is not there.

    Raises:
        ValueError: if another process is at work in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if fcntl else -1
    except (OSError, ValueError) as cause:  # a ValueError for a name that cannot be
        reason = getattr(cause, "strerror", None) or cause
        raise ValueError(f"The run directory cannot be made: {reason}. Received: run_dir={str(folder)!r}") from cause
    if handle < 0:
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise ValueError(f"Another process is at work there. Received: run_dir={str(folder)!r}") from cause
        yield
    finally:
        os.close(handle)
