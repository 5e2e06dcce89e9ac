from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.log import Log
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    """The factors by which LibMTL's DB-MTL multiplies the gradients before it balances those."""
    rtol = 1e-12 if dtype == "float64" else RTOL[dtype]
    for losses, weights in zip(LOSSES.astype(dtype), PUBLISHED["log"], strict=True):
        np.testing.assert_allclose(Log()(losses), weights, rtol=rtol)


def test_two_tasks_by_hand() -> None:
    # 1 / 4 and 3 / 8.
    np.testing.assert_allclose(Log()([4.0, 8.0], preference=[1.0, 3.0]), [0.25, 0.375], rtol=1e-6)


def test_degenerate_losses() -> None:
    np.testing.assert_allclose(Log()([0.0, -1.0, 1e-18, 1e18]), [1e8, 1e8, 1e8, 1e-18], rtol=1e-6)
