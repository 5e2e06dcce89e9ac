"""Reads the files of labels of pixels: images whose values are kept, and NumPy arrays."""

from __future__ import annotations

import numpy as np
from PIL import Image, UnidentifiedImageError

LABEL_SUFFIXES = (".png", ".npy", ".tif", ".tiff", ".bmp", ".gif")
"""The suffixes of files of labels, in any case."""
LOSSY_SUFFIXES = (".jpg", ".jpeg")
_VALUES = ("1", "L", "P", "I", "F", "RGB")
"""Modes of Pillow whose values are read as they are."""


def read_labels(path: str) -> np.ndarray:
    """Returns the stored labels of an image, (height, width) or (height, width, channels).

    The values of images are not changed: those of a palette image are the indices of the palette. 16-bit images are
    uint16.

    Raises:
        ValueError: if the file is missing or cannot be read; the message begins with the verb.
    """
    lower = path.lower()
    if lower.endswith(LOSSY_SUFFIXES):
        raise ValueError("is a JPEG, which does not keep exact values: store labels as PNG or .npy")
    try:
        return _read_array(path) if lower.endswith(".npy") else _read_image(path)
    except (FileNotFoundError, IsADirectoryError) as cause:
        raise ValueError("does not exist") from cause
    except (OSError, EOFError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as cause:
        reason = str(cause).splitlines() or [type(cause).__name__]
        raise ValueError(f"cannot be read ({reason[0].replace(path, 'the file')})") from cause


def _read_array(path: str) -> np.ndarray:
    # Mapping the file first checks its length, and refuses objects.
    array = np.array(np.lib.format.open_memmap(path, mode="r"))
    if array.ndim not in (2, 3) or array.dtype.kind not in "buif" or not array.size:
        raise ValueError(f"not numbers (height, width) or (height, width, channels), but {array.dtype} {array.shape}")
    return array


def _read_image(path: str) -> np.ndarray:
    with Image.open(path) as image:
        if image.mode.startswith("I"):
            values = np.asarray(image)
            return values.astype(np.uint16) if values.min() >= 0 and values.max() < 2**16 else values.astype(np.int32)
        if image.mode in _VALUES:
            return np.array(image)
        return np.array(image.convert("L" if image.mode == "LA" else "RGB"))
