"""CelebA's image files: a folder of JPEGs, or the original zip file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from data.celeb_a_lists import refuse_html

FOLDER = "img_align_celeba"
ARCHIVE = f"{FOLDER}.zip"
# Bytes; far larger than any photograph.
_MAX_FILE_BYTES = 64 * 2**20


class Images(Protocol):
    """Image files by name."""

    def read(self, name: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of the image called `name`, both scalar strings."""

    def paths(self, names: Iterable[str]) -> list[Path]:
        """Returns the files that hold the named images."""


class Folder:
    """Images in a folder, or in a folder of the same name within it, as in Kaggle's copy.

    Args:
        path: the folder.
        names: (images,), the images that it must hold.

    Raises:
        ValueError: if some of them are missing.
    """

    def __init__(self, path: Path, names: np.ndarray) -> None:
        self._path = path / path.name if (path / path.name).is_dir() else path
        with os.scandir(self._path) as entries:
            present = {entry.name for entry in entries}
        _check_present(path, names, present, f"Extract {ARCHIVE} again")

    def read(self, name: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(tf.strings.join([f"{self._path}{os.sep}", name]))

    def paths(self, names: Iterable[str]) -> list[Path]:
        return [self._path / name for name in names]


class Archive:
    """Images in a zip file, read one by one without extracting it.

    Args:
        path: the zip file; its members may be in folders.
        names: (images,), the images that it must hold.

    Raises:
        ValueError: if it is not a zip file, some images are missing, or a member is too large for an image.
    """

    def __init__(self, path: Path, names: np.ndarray) -> None:
        refuse_html(path)
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as cause:
            raise ValueError(f"{path} is not a whole zip file ({cause}). Download it again.") from cause
        self._members = {member.rpartition("/")[2]: member for member in self._zip.namelist()}
        largest = max(self._zip.infolist(), key=lambda member: member.file_size, default=None)
        if largest and largest.file_size > _MAX_FILE_BYTES:
            raise ValueError(
                f"{path} is not CelebA's: {largest.filename!r} in it unpacks to {largest.file_size / 2**20:.0f} MiB."
            )
        _check_present(path, names, self._members.keys(), "Download it again")

    def read(self, name: tf.Tensor) -> tf.Tensor:
        encoded, reason = tf.numpy_function(self._read, [name], (tf.string, tf.string))
        reason.set_shape(())
        encoded.set_shape(())
        message = f"{self._path} is damaged, download it again: "
        # The check is an operation, so that its error contains the name of the dataset and the split.
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(reason, ""), [message, reason])]):
            return tf.identity(encoded)

    def paths(self, names: Iterable[str]) -> list[Path]:
        return [self._path]

    def _read(self, name: bytes) -> tuple[bytes, bytes]:
        """Returns the bytes of an image and an error message. Many threads may read a `ZipFile` at once."""
        try:
            return self._zip.read(self._members[name.decode()]), b""
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
            return b"", f"{name.decode()}: {error}".encode()


def open_images(path: Path, names: np.ndarray) -> Images:
    """Opens a folder or a zip file that must hold the images `names` (images,).

    Raises:
        ValueError: if images are missing; the one-line message says what to do.
    """
    return Folder(path, names) if path.is_dir() else Archive(path, names)


def _check_present(path: Path, names: np.ndarray, present: Collection[str], advice: str) -> None:
    missing = [name for name in names.tolist() if name not in present]
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} of the {len(names)} images listed, the first {missing[0]}. {advice}."
        )
