from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.cosmos import COSMOS
from tests.mtl_keras.weightings.reference import LOSSES, RTOL

EQUAL, RAY = [1.0, 1.0, 1.0], [1.0, 0.5, 3.0]
# TorchJD 0.18.0 gives these derivatives (for weights that add up to 1), for the first and the last losses.
PUBLISHED = [
    (2.0, EQUAL, 0, [0.26811772338357565, 0.2583911054674373, 0.34895672561992497]),
    (2.0, EQUAL, 5, [0.136318909385136, 0.10244091156020446, 0.3976634640346077]),
    (2.0, RAY, 0, [0.2007841067604249, 0.09795995546312807, 0.6710590864389089]),
    (2.0, RAY, 5, [0.17020937302971506, 0.08510468651485753, 0.6800523263853265]),
    (0.01, EQUAL, 0, [0.33300725528358455, 0.33295862219400385, 0.33341145029476627]),
    (0.01, RAY, 5, [0.22196215797625968, 0.11098107898812984, 0.66673359496526]),
]


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    for lam, preference, row, weights in PUBLISHED:
        found = np.array(COSMOS(lam)(LOSSES[row].astype(dtype), preference=preference))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, weights, rtol=RTOL[dtype])


def test_two_tasks_by_hand() -> None:
    # L = (3, 4), |L| = 5; r = (1/2, 1/2), u = (1, 1) / sqrt 2, cos = 7 / (5 sqrt 2).
    # u - cos L / |L| = (1 - 21/25, 1 - 28/25) / sqrt 2 = (4, -3) / (25 sqrt 2), of which lam / |L| = 2/5.
    turn = np.array([4, -3]) / (25 * np.sqrt(2))
    np.testing.assert_allclose(COSMOS()([3.0, 4.0]), 0.5 - 0.4 * turn, rtol=1e-6)
    np.testing.assert_allclose(COSMOS(lam=0)([3.0, 4.0], preference=[1.0, 3.0]), [0.25, 0.75], rtol=1e-6)


def test_weights_are_the_derivatives_of_the_value() -> None:
    """By central differences, also for a dropped task."""
    preference = np.array([1.0, 0.0, 0.4, 3.0])

    def value(losses: np.ndarray) -> float:
        losses = losses * (preference > 0)
        cosine = preference @ losses / np.linalg.norm(preference) / np.linalg.norm(losses)
        return preference @ losses / preference.sum() - 2 * cosine

    losses = np.array([0.7, 9.0, 2.0, 0.2])
    steps = 1e-6 * np.eye(4)
    expected = [(value(losses + step) - value(losses - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(COSMOS()(losses, preference=preference), expected, rtol=1e-6, atol=1e-9)


def test_degenerate_losses_and_preferences() -> None:
    for losses in ([0.0, 0.0], [1e-18, 7e-18]):
        np.testing.assert_allclose(COSMOS()(losses, preference=[1.0, 3.0]), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(COSMOS()([1e18, 7e18], preference=[1.0, 3.0]), [0.25, 0.75], rtol=1e-6)
    weights = np.array(COSMOS()([1e-7, 1e-9], preference=[1.0, 3.0]))
    assert np.isfinite(weights).all()
    assert np.abs(weights).max() > 1e6
