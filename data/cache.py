"""The cache folder, and decoded images in it: one NumPy file per split, mapped into memory.

Each file is written under a temporary name in the same folder and renamed once it is complete and on disk, so a cached
file is always complete. Two processes may write the same file at once: each writes its own copy with the same content,
and the last one replaces the other.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np


def cache_folder(chosen: str | os.PathLike[str] | None = None) -> Path:
    """Returns the folder `chosen`, else the one that `MTL_KERAS_CACHE` names, else `~/.cache/mtl_keras`."""
    return Path(chosen or os.environ.get("MTL_KERAS_CACHE") or Path.home() / ".cache" / "mtl_keras").expanduser()


def cached_array(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, make: Callable[[], Iterable[np.ndarray]]
) -> np.ndarray:
    """Returns the array in a file; writes the file first if it is missing or incomplete.

    Args:
        path: the file.
        shape: shape of the array.
        dtype: dtype of the array.
        make: returns the array in pieces, along its first axis.

    Returns:
        The array, memory-mapped: it is read from disk on access, and writes to it do not change the file.

    Raises:
        OSError: if the disk is full or cannot be written; a one-line message. No partial file is left.
    """
    found = _open(path, shape, dtype)
    if found is None:
        _write(path, shape, dtype, make)
        found = _open(path, shape, dtype)
    if found is None:
        raise OSError(f"{path} was changed by another process while it was written.")
    return found


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Maps a file; returns `None` if it is missing, truncated or of another form. Does not check the images."""
    try:
        array = np.lib.format.open_memmap(path, mode="c")
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    whole = path.stat().st_size == array.offset + array.nbytes
    return array if whole and (array.shape, array.dtype) == (shape, dtype) else None


def _write(path: Path, shape: tuple[int, ...], dtype: np.dtype, make: Callable[[], Iterable[np.ndarray]]) -> None:
    needed = math.prod(shape) * dtype.itemsize
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
        if free < needed:
            raise OSError(f"that takes {needed / 2**30:.2f} GiB, and {free / 2**30:.2f} GiB are free")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                rows = 0
                for piece in make():
                    rows += len(piece)
                    file.write(np.ascontiguousarray(piece, dtype).data)
                if rows != shape[0]:
                    raise ValueError(f"There are {rows} images, but the dataset declares {shape[0]}.")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    except OSError as cause:
        raise OSError(
            f"Cannot store the decoded images in {path.parent}: {cause.strerror or cause}. Make room, name another "
            "folder in MTL_KERAS_CACHE, or do without the disk cache."
        ) from cause
