"""`Reader`: what the pipeline needs of the place where a dataset is stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import tensorflow as tf


class Reader(Protocol):
    """The stored examples of a dataset: those of a TFDS directory, or those of plain files."""

    @property
    def version(self) -> str:
        """The TFDS version that was found, or `"files"`."""

    @property
    def synthetic(self) -> bool:
        """Whether the files themselves say that they were drawn."""

    @property
    def encoded(self) -> bool:
        """Whether images are stored as JPEG or PNG bytes, and not as floats."""

    def size(self, split: str) -> int:
        """Returns how many examples `"train"`, `"validation"` or `"test"` has."""

    def examples(self, split: str) -> tf.data.Dataset:
        """Returns the examples of a split in order, as they are stored: one tensor each, or a dictionary of them."""

    def fetch(self, examples: Any, paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        """Returns the features at some paths, (batch, ...) each, from a batch of `examples`.

        `"image"` is what `images` takes.
        """

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        """Returns images, (batch,) their bytes or (batch, height, width, channels), from what `fetch` said of them."""

    def example_name(self, split: str, number: int) -> str:
        """Returns what to call an example: its number in the split, from 0, or the name of its image's file."""

    def damaged_file(self, split: str) -> str | None:
        """Returns the first file of a split that cannot be read to its end; `None` if there is none."""

    def fingerprint(self, split: str) -> str:
        """Returns a digest that is another once the stored images of a split are others."""


def feature_at(features: Mapping[str, Any], path: str) -> Any:
    """Returns what a nested mapping holds at `"image"` or `"attributes/Smiling"`.

    Raises:
        KeyError: if there is nothing.
    """
    found: Any = features
    for key in path.split("/"):
        found = found[key]
    return found
