from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from data.images import to_unit_range


@pytest.mark.parametrize("count", [2, 0])
@pytest.mark.parametrize("compiled", [False, True])
def test_bytes_are_divided_by_255_and_nothing_else(compiled: bool, count: int) -> None:
    images = np.tile(np.arange(256, dtype=np.uint8), (count, 1)).reshape(count, 16, 16, 1)
    expected = images / np.float32(255)
    np.testing.assert_array_equal(to_unit_range(tf.constant(images), compiled=compiled), expected)
    batches = tf.data.Dataset.from_tensors(images).map(lambda batch: to_unit_range(batch, compiled=compiled))
    np.testing.assert_array_equal(next(iter(batches)), expected)


def test_floats_are_left_as_they_are() -> None:
    images = tf.constant([[0.25, 1.0]], tf.float16)
    for compiled in (False, True):
        np.testing.assert_array_equal(to_unit_range(images, compiled=compiled), np.float32([[0.25, 1.0]]))
