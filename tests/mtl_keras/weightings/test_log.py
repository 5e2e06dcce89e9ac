"""Logarithms of the losses."""

from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.log import Log
from tests.mtl_keras.weightings.reference import LOSSES, RTOL

WEIGHTS = np.array(
    [
        [0.43243243056245434, 1.103448263686088, 0.07142857137755101],
        [0.5871559598552311, 1.3333333155555558, 0.08695652166351606],
        [0.7441860409734993, 1.3913043284688091, 0.1269841268228773],
        [0.831168824260415, 1.9393939017814514, 0.150943395998576],
        [0.9846153749207102, 1.8285713951346942, 0.14545454524297521],
        [1.1428571297959185, 2.285714233469389, 0.2352941170934256],
    ]
)


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    """The factors by which LibMTL's DB-MTL multiplies the gradients before it balances those."""
    rtol = 1e-12 if dtype == "float64" else RTOL[dtype]
    for losses, weights in zip(LOSSES.astype(dtype), WEIGHTS, strict=True):
        np.testing.assert_allclose(Log()(losses), weights, rtol=rtol)


def test_two_tasks_by_hand() -> None:
    # 1 / 4 and 3 / 8.
    np.testing.assert_allclose(Log()([4.0, 8.0], preference=[1.0, 3.0]), [0.25, 0.375], rtol=1e-6)


def test_the_unit_of_a_loss_does_not_matter() -> None:
    np.testing.assert_allclose(Log()([4000.0, 8.0]) * np.array([1000, 1]), Log()([4.0, 8.0]), rtol=1e-6)


def test_degenerate_losses() -> None:
    np.testing.assert_allclose(Log()([0.0, -1.0, 1e-18, 1e18]), [1e8, 1e8, 1e8, 1e-18], rtol=1e-6)
    np.testing.assert_allclose(Log()([2.0, np.nan, np.inf], preference=[1.0, 0.0, 0.0]), [0.5, 0, 0], rtol=1e-6)
