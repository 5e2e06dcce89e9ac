"""Geometric loss strategy."""

from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings import GLS
from tests.mtl_keras.weightings.reference import LOSSES, RTOL

# Gradients of the geometric mean with respect to the losses, and the mean.
WEIGHTS = np.array(
    [
        [0.44457967370017076, 1.1344446846142289, 0.07343503538797463],
        [0.4793294327393588, 1.088477253512294, 0.07098764696819308],
        [0.48783830773080694, 0.9120455318445522, 0.08324225092232024],
        [0.44379069693078765, 1.035511626171838, 0.08059406524450625],
        [0.5129913960430305, 0.9526983069370565, 0.07578281986999313],
        [0.44805263841774423, 0.8961052768354885, 0.09224613143894733],
    ]
)
MEANS = [
    3.0842714862949356,
    2.4490738204026616,
    1.9665981780398158,
    1.6018070467345622,
    1.5630206598186085,
    1.1761381758465788,
]


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    for losses, weights, mean in zip(LOSSES.astype(dtype), WEIGHTS, MEANS, strict=True):
        found = np.array(GLS()(losses))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, weights, rtol=RTOL[dtype])
        assert (found * losses).sum() == pytest.approx(mean, rel=RTOL[dtype])


def test_two_tasks_by_hand() -> None:
    # sqrt(4 * 9) = 6; its derivatives are 9 / (2 * 6) and 4 / (2 * 6).
    np.testing.assert_allclose(GLS()([4.0, 9.0]), [0.75, 1 / 3], rtol=1e-6)


def test_preferences_are_exponents() -> None:
    # 2^(1/4) * 8^(3/4) = 2^(10/4).
    weights = np.array(GLS()([2.0, 8.0], preference=[1.0, 3.0]))
    np.testing.assert_allclose(weights, [2**2.5 / 8, 3 * 2**2.5 / 32], rtol=1e-6)
    np.testing.assert_allclose(GLS()([2.0, 8.0], preference=[10.0, 30.0]), weights, rtol=1e-6)


def test_the_unit_of_a_loss_does_not_matter() -> None:
    weights, other = np.array(GLS()([2.0, 8.0])), np.array(GLS()([2.0, 8000.0]))
    np.testing.assert_allclose(other * [1, 1000] / 1000**0.5, weights, rtol=1e-5)


def test_a_loss_of_zero_has_a_finite_weight() -> None:
    np.testing.assert_allclose(GLS()([0.0, 1.0]), [0.5 * 1e-7**-0.5, 0.5 * 1e-7**0.5], rtol=1e-4)
