"""Reads .npy files, and their headers alone, with one-line errors that name the file."""

from __future__ import annotations

import functools
import io
import math
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

_MAGIC = 8
"""Bytes of the magic string and the version."""


class Header(NamedTuple):
    """What an .npy file declares of its array."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype


def read_header(path: Path) -> Header:
    """Returns the header of a complete .npy file. The values are not read.

    Raises:
        ValueError: if there is no such file, it cannot be read, or it is shorter than its header says.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return _header(file, path)
    except OSError as cause:
        raise _unreadable(path, cause) from cause


def read_array(path: Path) -> np.ndarray:
    """Returns the array in an .npy file.

    Raises:
        ValueError: as in `read_header`.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            header = _header(file, path)
            array: np.ndarray = np.empty(math.prod(header.shape), header.dtype)
            if array.nbytes and file.readinto(array.view(np.uint8).data) != array.nbytes:
                raise ValueError(f"Cannot read {path}: it was changed while it was read.")
    except OSError as cause:
        raise _unreadable(path, cause) from cause
    return array.reshape(header.shape, order="F" if header.fortran_order else "C")


def _header(file: BinaryIO, path: Path) -> Header:
    """Reads the header at the beginning of a file, and checks the size of the file."""
    start = file.read(_MAGIC + 4)
    wide = start[6:7] in (b"\x02", b"\x03")  # the version determines the size of the length
    begin = _MAGIC + (4 if wide else 2)
    size = int.from_bytes(start[_MAGIC:begin], "little")
    if not start.startswith(b"\x93NUMPY") or size > 2**16:
        raise ValueError(f"Cannot read {path}: it is no .npy file.")
    file.seek(0)
    header = _parsed(file.read(begin + size))
    if header is None or header.dtype.hasobject:
        raise ValueError(f"Cannot read {path}: it is no .npy file of numbers.")
    expected = begin + size + math.prod(header.shape) * header.dtype.itemsize
    found = os.fstat(file.fileno()).st_size
    if found < expected:
        raise ValueError(f"Cannot read {path}: it has {found} bytes of {expected}.")
    return header


@functools.lru_cache(maxsize=1024)  # the files of a folder have the same header, and parsing it takes 50 microseconds
def _parsed(start: bytes) -> Header | None:
    file = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return Header(*read(file))
    except ValueError:
        return None


def _unreadable(path: Path, cause: OSError) -> ValueError:
    if isinstance(cause, FileNotFoundError):
        return ValueError(f"There is no {path}")
    return ValueError(f"Cannot read {path}: {cause.strerror or cause}")
