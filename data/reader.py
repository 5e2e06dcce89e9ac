"""`Reader`: the pipeline's interface to a stored dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import tensorflow as tf


class Reader(Protocol):
    """The stored examples of a dataset, in a TFDS directory or in plain files."""

    @property
    def version(self) -> str:
        """The TFDS version found, or `"files"`."""

    @property
    def synthetic(self) -> bool:
        """Whether the files are marked as drawn."""

    @property
    def encoded(self) -> bool:
        """Whether images are stored as JPEG or PNG bytes rather than floats."""

    def size(self, split: str) -> int:
        """Returns how many examples `"train"`, `"validation"` or `"test"` has."""

    def examples(self, split: str) -> tf.data.Dataset:
        """Returns the stored examples of a split in order: one tensor or a dictionary of tensors each."""

    def fetch(self, examples: Any, paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        """Returns the features at the given paths, (batch, ...) each, from a batch of `examples`.

        `"image"` is the input of `images`.
        """

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        """Returns images, as bytes (batch,) or (batch, height, width, channels), from the `"image"` of `fetch`."""

    def example_name(self, split: str, number: int) -> str:
        """Returns the name of an example in messages: its number in the split, from 0, or its image's file name."""

    def damaged_file(self, split: str) -> str | None:
        """Returns the first file of a split that cannot be read to its end, or `None`."""

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
