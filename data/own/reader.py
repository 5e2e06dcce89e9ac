"""`OwnReader`: reads the examples of your own data, split by split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class OwnReader:
    """Examples `{"image": image, "labels": label vector}` from tf.data pipelines, one by one.

    Args:
        splits: split -> its examples.
        sizes: split -> its number of examples.
        fields: the fields of the label vector.
        encoded: whether images are JPEG or PNG bytes.
        version: the source of the examples, in a word.
        stamp: a string that changes when the stored images do; empty if unknown.
        synthetic: whether the images were drawn.
    """

    splits: Mapping[str, tf.data.Dataset]
    sizes: Mapping[str, int]
    fields: tuple[str, ...]
    encoded: bool
    version: str
    stamp: str = ""
    synthetic: bool = False

    def size(self, split: str) -> int:
        return self.sizes[split]

    def examples(self, split: str) -> tf.data.Dataset:
        return self.splits[split]

    def fetch(self, examples: Any, paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        return {
            path: examples["image"] if path == "image" else examples["labels"][:, self.fields.index(path)]
            for path in paths
        }

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        return stored

    def example_name(self, split: str, number: int) -> str:
        return str(number)

    def damaged_file(self, split: str) -> str | None:
        return None

    def fingerprint(self, split: str) -> str:
        return self.stamp
