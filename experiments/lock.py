"""Locks a folder, so that two programs never write to it at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = ".lock"
"""A file in the folder that exists while the folder is locked, and after the process that held the lock was killed."""


@contextmanager
def locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Holds an exclusive lock on a folder until the block or the process ends, even by a crash.

    Args:
        folder: the folder; created if it does not exist, and then removed if the block leaves it empty.
        patience: seconds to wait for another process that holds the lock.

    Raises:
        ValueError: if another process holds the lock, or the folder cannot be created.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_FILE, timeout=patience)
        lock.acquire()
    except Timeout as cause:
        raise ValueError(f"Another process is using the run directory. Received: run_dir={str(folder)!r}") from cause
    except (OSError, ValueError) as cause:  # a ValueError for an invalid name
        reason = getattr(cause, "strerror", None) or cause
        raise ValueError(f"The run directory cannot be made: {reason}. Received: run_dir={str(folder)!r}") from cause
    try:
        yield
    finally:
        # Before the release: afterwards it may be the lock of another process. Windows cannot remove an open file.
        with contextlib.suppress(OSError):
            (folder / LOCK_FILE).unlink()
        lock.release()
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
