"""Locks a folder, so that two programs never write to it at once."""

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
    """Holds an exclusive lock on a folder until the block or the process ends, even by a crash.

    Args:
        folder: the folder; created if it does not exist.

    Raises:
        ValueError: if another process holds the lock, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if fcntl else -1
    except (OSError, ValueError) as cause:  # a ValueError for an invalid name
        reason = getattr(cause, "strerror", None) or cause
        raise ValueError(f"The run directory cannot be made: {reason}. Received: run_dir={str(folder)!r}") from cause
    if handle < 0:
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise ValueError(
                f"Another process is using the run directory. Received: run_dir={str(folder)!r}"
            ) from cause
        yield
    finally:
        os.close(handle)
