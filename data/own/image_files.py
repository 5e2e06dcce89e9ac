"""`ImageFiles`: examples whose images are separate files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from data.fingerprint import fingerprint
from data.own.reader import OwnReader


@dataclass(frozen=True, kw_only=True)
class ImageFiles(OwnReader):
    """Examples stored as image file paths.

    Args:
        paths: split -> the paths of its images.
        names: split -> the names of its examples in messages.
    """

    paths: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]]

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, stored, fn_output_signature=tf.TensorSpec((), tf.string))

    def example_name(self, split: str, number: int) -> str:
        return self.names[split][number]

    def fingerprint(self, split: str) -> str:
        existing = {path for path in self.paths[split] if os.path.exists(path)}
        return fingerprint(map(Path, existing), self.paths[split])


def open_image_files(
    paths: Sequence[str],
    names: Sequence[str],
    labels: np.ndarray,
    fields: Sequence[str],
    rows: Mapping[str, np.ndarray],
) -> ImageFiles:
    """Opens examples whose images are files.

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
    return ImageFiles(examples, sizes, tuple(fields), True, "files", paths=files, names=example_names)
