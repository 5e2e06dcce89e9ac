"""Reads the stored records of a prepared TFDS dataset, and parses their features in batches.

TFDS parses record by record and feature by feature: with 50 labels per image this takes longer than decoding the image.
Here the labels of many records are parsed at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core import file_adapters

from data.reader import feature_at

# The same interleaving of files as in TFDS, so that examples come in the same order.
_FILES_AT_A_TIME, _BLOCK = 16, 16


def stored_records(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    """Returns the records of a split, scalar strings, in the order of `builder.as_dataset`.

    Args:
        builder: the dataset.
        split: a TFDS split expression.
    """
    adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
    info = builder.info.splits[split]
    files = info.file_instructions
    places = (
        [os.fspath(file.filename) for file in files],
        np.array([file.skip for file in files], np.int64),
        np.array([file.take for file in files], np.int64),
    )
    records = tf.data.Dataset.from_tensor_slices(places).interleave(
        lambda path, skip, take: adapter.make_tf_data(path).skip(skip).take(take),
        cycle_length=1 if builder.info.disable_shuffling else _FILES_AT_A_TIME,
        block_length=_BLOCK,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    # TensorFlow reports no error for a truncated file.
    return records.apply(tf.data.experimental.assert_cardinality(info.num_examples))


def missing_file(builder: tfds.core.DatasetBuilder, split: str) -> str | None:
    """Returns the first missing file of a split, or `None`."""
    files = (os.fspath(file.filename) for file in builder.info.splits[split].file_instructions)
    return next((file for file in files if not tf.io.gfile.exists(file)), None)


def damaged_file(builder: tfds.core.DatasetBuilder, split: str) -> str | None:
    """Returns the first file of a split with unreadable or missing records, or `None`."""
    adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
    for file in builder.info.splits[split].file_instructions:
        path = os.fspath(file.filename)
        try:
            found = sum(1 for _ in adapter.make_tf_data(path))
        except tf.errors.OpError:
            return path
        if found < file.examples_in_shard:
            return path
    return None


def parse(features: tfds.features.FeaturesDict, paths: Iterable[str], records: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the stored values of records at the given paths: integers as int64, floats as float32, else strings.

    Args:
        features: the features of the dataset.
        paths: paths of features of fixed shape, such as `"attributes/Smiling"`.
        records: (batch,).
    """
    specs = {}
    for path in paths:
        stored = feature_at(features, path).get_serialized_info()
        kind = np.dtype(stored.np_dtype).kind
        dtype = tf.int64 if kind in "biu" else tf.float32 if kind == "f" else tf.string
        specs[path] = tf.io.FixedLenFeature(stored.shape, dtype)
    return tf.io.parse_example(records, specs)
