"""Readers of your own data: tensors from tf.data pipelines, or image files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from data.reader import Reader, fingerprint


@dataclass(frozen=True)
class TensorReader(Reader):
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

    def fingerprint(self, split: str) -> str:
        return self.stamp


@dataclass(frozen=True, kw_only=True)
class TableReader(TensorReader):
    """Examples from the rows of a table; its labels are in memory.

    Args:
        names: split -> the names of its examples in messages.
    """

    names: Mapping[str, Sequence[str]]
    has_separate_labels: ClassVar[bool] = True

    def example_name(self, split: str, number: int) -> str:
        return self.names[split][number]


@dataclass(frozen=True, kw_only=True)
class ImageFileReader(TableReader):
    """Examples stored as image file paths.

    Args:
        paths: split -> the paths of its images.
    """

    paths: Mapping[str, Sequence[str]]

    @classmethod
    def from_rows(
        cls,
        paths: Sequence[str],
        names: Sequence[str],
        labels: np.ndarray,
        fields: Sequence[str],
        rows: Mapping[str, np.ndarray],
    ) -> ImageFileReader:
        """Returns the reader of the rows of a table.

        Args:
            paths: the image path of each example.
            names: the name of each example in messages.
            labels: float32 (examples, fields).
            fields: the fields of the label vector.
            rows: split -> the indices of its examples.
        """
        files = {split: [paths[row] for row in chosen] for split, chosen in rows.items()}
        examples = {
            split: tf.data.Dataset.from_tensor_slices({"image": files[split], "labels": labels[chosen]})
            for split, chosen in rows.items()
        }
        example_names = {split: [names[row] for row in chosen] for split, chosen in rows.items()}
        sizes = {split: len(chosen) for split, chosen in rows.items()}
        return cls(examples, sizes, tuple(fields), True, "files", paths=files, names=example_names)

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, stored, fn_output_signature=tf.TensorSpec((), tf.string))

    def fingerprint(self, split: str) -> str:
        existing = {path for path in self.paths[split] if os.path.exists(path)}
        return fingerprint(map(Path, existing), self.paths[split])
