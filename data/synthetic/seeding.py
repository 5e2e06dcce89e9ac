"""One random stream per example, so that an example does not depend on the number of examples."""

from __future__ import annotations

import zlib

import numpy as np


def example_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """Returns the random generator of example `index` of `split`.

    Args:
        seed: the data set's seed, >= 0.
        split: the split's name. Splits of the same seed share no stream.
        index: the example's index in the split, >= 0.
    """
    return np.random.default_rng((seed, zlib.crc32(split.encode()), index))
