from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings import GLS
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    """The gradients of the geometric mean with respect to the losses, and the mean."""
    published = PUBLISHED["gls"]
    for losses, weights, mean in zip(LOSSES.astype(dtype), published["weights"], published["means"], strict=True):
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


def test_a_loss_of_zero_has_a_finite_weight() -> None:
    np.testing.assert_allclose(GLS()([0.0, 1.0]), [0.5 * 1e-7**-0.5, 0.5 * 1e-7**0.5], rtol=1e-4)
