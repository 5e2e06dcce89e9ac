from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.pbi import PBI
from tests.mtl_keras.weightings.reference import LOSSES, RTOL

EQUAL, RAY = [1.0, 1.0, 1.0], [1.0, 0.5, 3.0]
# TorchJD 0.18.0 gives these derivatives, for the first and the last losses of the reference.
PUBLISHED = [
    (5.0, EQUAL, 0, [-1.1082686649264635, -1.7999360087127005, 4.640255481208041]),
    (5.0, EQUAL, 5, [-1.0819464281983944, -1.8233343142653822, 4.637331550032654]),
    (5.0, RAY, 0, [-3.668737228182953, -2.3187142367335145, 2.6765521550887117]),
    (5.0, RAY, 5, [-3.8782342508337506, -1.9391171254168753, 2.683118310752871]),
    (0.5, EQUAL, 0, [0.4087883757780169, 0.3396216413993932, 0.9836407903914673]),
    (0.5, RAY, 5, [-0.1067106536838841, -0.05335532684194205, 1.11165014527376]),
]


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    for theta, preference, row, weights in PUBLISHED:
        found = np.array(PBI(theta)(LOSSES[row].astype(dtype), preference=preference))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, weights, rtol=RTOL[dtype])


def test_two_tasks_by_hand() -> None:
    # u = (3, 4) / 5. L = (1, 7): d1 = 31/5, L - d1 u = (-68, 51) / 25 = 85/25 (-4, 3) / 5; weights u + 5 (-4, 3) / 5.
    np.testing.assert_allclose(PBI()([1.0, 7.0], preference=[3.0, 4.0]), [0.6 - 4, 0.8 + 3], rtol=1e-6)
    np.testing.assert_allclose(PBI(theta=0)([1.0, 7.0], preference=[3.0, 4.0]), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e18])
def test_weights_do_not_change_with_the_scale_of_all_losses(scale: float) -> None:
    np.testing.assert_allclose(PBI()([scale, 7 * scale], preference=[3.0, 4.0]), [-3.4, 3.8], rtol=1e-5)


def test_weights_are_the_derivatives_of_the_value() -> None:
    """By central differences, also for a dropped task."""
    preference = np.array([1.0, 0.0, 0.4, 3.0])

    def value(losses: np.ndarray) -> float:
        ray = preference / np.linalg.norm(preference)
        losses = losses * (preference > 0)
        return losses @ ray + 5 * np.linalg.norm(losses - losses @ ray * ray)

    losses = np.array([0.7, 9.0, 2.0, 0.2])
    steps = 1e-6 * np.eye(4)
    expected = [(value(losses + step) - value(losses - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(PBI()(losses, preference=preference), expected, rtol=1e-6, atol=1e-9)


def test_on_the_ray_the_weights_are_the_ray() -> None:
    np.testing.assert_allclose(PBI()([0.75, 1.0], preference=[3.0, 4.0]), [0.6, 0.8], rtol=1e-6)
    np.testing.assert_allclose(PBI()([0.3] * 7), [7**-0.5] * 7, rtol=1e-6)
    # Half way into the smooth part: an offset of 5e-7 |L| has half its penalty.
    losses = np.array([0.6, 0.8]) + 5e-7 * np.array([-0.8, 0.6])
    np.testing.assert_allclose(PBI()(losses, preference=[3.0, 4.0]), [0.6 - 2, 0.8 + 1.5], rtol=1e-6)


def test_degenerate_losses_and_preferences() -> None:
    np.testing.assert_allclose(PBI()([0.0, 0.0], preference=[3.0, 4.0]), [0.6, 0.8], rtol=1e-6)
