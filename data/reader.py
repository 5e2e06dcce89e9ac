"""`Reader`: the pipeline's interface to a stored dataset."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tensorflow as tf


class Reader(abc.ABC):
    """The stored examples of a dataset, in a TFDS directory, in plain files or in tensors."""

    version: str
    """The TFDS version found, or a word for another source, such as `"files"`."""
    synthetic: bool
    """Whether the images were drawn."""
    encoded: bool
    """Whether images are stored as JPEG or PNG bytes rather than as numbers."""
    has_separate_labels: ClassVar[bool] = False
    """Whether labels are in memory and can be read without the images."""

    @abc.abstractmethod
    def size(self, split: str) -> int:
        """Returns how many examples `"train"`, `"validation"` or `"test"` has."""

    @abc.abstractmethod
    def examples(self, split: str) -> tf.data.Dataset:
        """Returns the stored examples of a split in order: one tensor or a dictionary of tensors each."""

    @abc.abstractmethod
    def fetch(self, examples: Any, paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        """Returns the features at the given paths, (batch, ...) each, from a batch of `examples`.

        `"image"` is the input of `images`.
        """

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        """Returns images, as bytes (batch,) or (batch, height, width, channels), from the `"image"` of `fetch`."""
        return stored

    def example_name(self, split: str, number: int) -> str:
        """Returns the name of an example in messages: its number in the split, from 0, or its image's file name."""
        return str(number)

    def damaged_file(self, split: str) -> str | None:
        """Returns the first file of a split that cannot be read to its end, or `None`."""
        return None

    @abc.abstractmethod
    def fingerprint(self, split: str) -> str:
        """Returns a digest that changes when the stored images of a split change."""


def feature_at(features: Mapping[str, Any], path: str) -> Any:
    """Returns the value at a path such as `"image"` or `"attributes/Smiling"` in a nested mapping.

    Raises:
        KeyError: if the path does not exist.
    """
    found: Any = features
    for key in path.split("/"):
        found = found[key]
    return found


def fingerprint(paths: Iterable[Path], names: Iterable[str] = ()) -> str:
    """Returns a digest of the paths, sizes and modification times of files, without reading them.

    Args:
        paths: the files, in any order.
        names: further text to include, in order.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        digest.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    for name in names:
        digest.update(f"{name}\n".encode())
    return digest.hexdigest()
