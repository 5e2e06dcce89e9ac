"""Fixed random binary labels: a function of an example's id only.

They can only be memorised, not learned. A task with random labels can only harm the other tasks, and so tests how a
method handles negative transfer.
"""

from __future__ import annotations

import tensorflow as tf

MOST = 16
"""Number of random labels per example."""
_SEED = (2023, 7)


def random_bits(ids: tf.Tensor) -> tf.Tensor:
    """Returns `MOST` random bits, as an int32 in [0, 2 ** MOST), for each id.

    They do not depend on the order of the examples, the split or the machine: they are a keyed hash (SipHash).

    Args:
        ids: strings (...).
    """
    return tf.cast(tf.strings.to_hash_bucket_strong(ids, 2**MOST, _SEED), tf.int32)


def random_label(bits: tf.Tensor, number: int) -> tf.Tensor:
    """Returns random label `number`, int32 (...), 0 or 1. Labels of different numbers are independent.

    Args:
        bits: from `random_bits`, int32 (...).
        number: number of the label, from 0 to `MOST - 1`.
    """
    return tf.bitwise.right_shift(bits, number) & 1
