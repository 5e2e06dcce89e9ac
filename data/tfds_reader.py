"""`TfdsReader`: reads the stored records of a prepared TFDS dataset, and parses their features in batches.

TFDS parses record by record and feature by feature: with 50 labels per image this takes longer than decoding the image.
Here the labels of many records are parsed at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import file_adapters

from data.reader import Reader, feature_at, fingerprint
from data.recipe import Recipe

# The same interleaving of files as in TFDS, so that examples come in the same order.
_FILES_AT_A_TIME, _BLOCK = 16, 16
DRAWN = "DRAWN"
"""A file of this name next to a dataset in a TFDS directory marks it as drawn."""


class TfdsReader(Reader):
    """The examples of a prepared TFDS dataset.

    Args:
        recipe: recipe of the dataset.
        builder: its TFDS builder, with the features that the recipe needs.
    """

    def __init__(self, recipe: Recipe, builder: tfds.core.DatasetBuilder) -> None:
        self._recipe, self._builder = recipe, builder
        self._features = builder.info.features
        self._adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
        self.version = str(builder.version)
        self.synthetic = is_drawn(builder)
        self.encoded = bool(self._features["image"].np_dtype == np.uint8)

    def size(self, split: str) -> int:
        return int(self._info(split).num_examples)

    def examples(self, split: str) -> tf.data.Dataset:
        """Returns the records of a split, scalar strings, in the order of `builder.as_dataset`."""
        info = self._info(split)
        files = info.file_instructions
        places = (
            [os.fspath(file.filename) for file in files],
            np.array([file.skip for file in files], np.int64),
            np.array([file.take for file in files], np.int64),
        )
        records = tf.data.Dataset.from_tensor_slices(places).interleave(
            lambda path, skip, take: self._adapter.make_tf_data(path).skip(skip).take(take),
            cycle_length=1 if self._builder.info.disable_shuffling else _FILES_AT_A_TIME,
            block_length=_BLOCK,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        # TensorFlow reports no error for a truncated file.
        return records.apply(tf.data.experimental.assert_cardinality(info.num_examples))

    def fetch(self, examples: tf.Tensor, paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        """Parses records (batch,): integers become int64, floats float32, everything else strings."""
        specs = {}
        for path in paths:
            stored = feature_at(self._features, path).get_serialized_info()
            kind = np.dtype(stored.np_dtype).kind
            dtype = tf.int64 if kind in "biu" else tf.float32 if kind == "f" else tf.string
            specs[path] = tf.io.FixedLenFeature(stored.shape, dtype)
        return tf.io.parse_example(examples, specs)

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        if self.encoded:
            return stored
        spec = tf.TensorSpec(self._recipe.stored_shape, tf.float32)
        decode = self._features["image"].decode_example
        return tf.map_fn(lambda image: tf.cast(decode(image), tf.float32), stored, fn_output_signature=spec)

    def missing_file(self, split: str) -> str | None:
        """Returns the first missing file of a split, or `None`."""
        files = (os.fspath(file.filename) for file in self._info(split).file_instructions)
        return next((file for file in files if not tf.io.gfile.exists(file)), None)

    def damaged_file(self, split: str) -> str | None:
        for file in self._info(split).file_instructions:
            path = os.fspath(file.filename)
            try:
                found = sum(1 for _ in self._adapter.make_tf_data(path))
            except tf.errors.OpError:
                return path
            if found < file.examples_in_shard:
                return path
        return None

    def fingerprint(self, split: str) -> str:
        return builder_fingerprint(self._builder)

    def _info(self, split: str) -> Any:
        return self._builder.info.splits[self._recipe.splits[split]]


def builder_fingerprint(builder: tfds.core.DatasetBuilder) -> str:
    """Returns a digest that changes when the files of a prepared dataset change."""
    return fingerprint(Path(path) for path in builder.data_path.iterdir())


def is_drawn(builder: tfds.core.DatasetBuilder) -> bool:
    """Returns whether a prepared dataset is marked as drawn."""
    return (Path(builder.data_dir).parents[1] / DRAWN).exists()
