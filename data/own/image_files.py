"""`ImageFiles`: the examples of one's own images, each in a file of its own."""

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
    """Examples whose image is the path of its file.

    Args:
        paths: split -> the paths of its images.
        names: split -> what to call each of its examples.
    """

    paths: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]]

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(tf.io.read_file, stored, fn_output_signature=tf.TensorSpec((), tf.string))

    def example_name(self, split: str, number: int) -> str:
        return self.names[split][number]

    def fingerprint(self, split: str) -> str:
        there = {path for path in self.paths[split] if os.path.exists(path)}
        return fingerprint(map(Path, there), self.paths[split])


def open_image_files(
    paths: Sequence[str],
    names: Sequence[str],
    labels: np.ndarray,
    fields: Sequence[str],
    rows: Mapping[str, np.ndarray],
) -> ImageFiles:
    """Opens images that lie in files.

    Args:
        paths: of each example, the path of its image.
        names: of each example, what to call it.
        labels: float32 (examples, fields).
        fields: what each number of the labels is.
        rows: split -> which examples it has.
    """
    files = {split: [paths[row] for row in chosen] for split, chosen in rows.items()}
    examples = {
        split: tf.data.Dataset.from_tensor_slices({"image": files[split], "labels": labels[chosen]})
        for split, chosen in rows.items()
    }
    called = {split: [names[row] for row in chosen] for split, chosen in rows.items()}
    sizes = {split: len(chosen) for split, chosen in rows.items()}
    return ImageFiles(examples, sizes, tuple(fields), True, "files", paths=files, names=called)
