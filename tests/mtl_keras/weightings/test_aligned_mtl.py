from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.aligned_mtl import AlignedMTL
from tests.mtl_keras.weightings.gramians import CASES, cases_with


@pytest.mark.parametrize("mode", ["min", "median", "rmse"])
def test_published_weights(mode: Any) -> None:
    found = cases_with(f"AlignedMTL_{mode}")
    assert len(found) == len(CASES)
    for case, expected in found:
        weights = AlignedMTL(scale_mode=mode)(case.gramian)
        assert case.error(weights, expected.vector, expected.scale) <= expected.rtol64, case.name
        assert case.weight_error(weights, expected.weights, expected.scale) <= expected.rtol64, case.name
        single = np.array(AlignedMTL(scale_mode=mode)(case.gramian.astype("float32")))
        assert np.isfinite(single).all()
        if expected.rtol32 is not None:
            assert case.error(single, expected.vector, expected.scale) <= expected.rtol32, case.name


def test_two_tasks_by_hand() -> None:
    # Orthogonal, norms 1 and 2: l = (1, 4). min: s = 1, B = diag(1, 1/2). rmse: s = 5/2.
    gramian = np.diag([1.0, 4.0])
    np.testing.assert_allclose(AlignedMTL()(gramian), [0.5, 0.25])
    np.testing.assert_allclose(AlignedMTL(scale_mode="median")(gramian), [0.5, 0.25])
    np.testing.assert_allclose(AlignedMTL(scale_mode="rmse")(gramian), np.sqrt(2.5) * np.array([0.5, 0.25]))


def test_degenerate_gradients() -> None:
    np.testing.assert_allclose(AlignedMTL()(np.zeros((4, 4))), [0.25] * 4)
    np.testing.assert_allclose(AlignedMTL()(np.ones((4, 4))), [0.25] * 4)
    for scale in (1e-36, 1e36):
        np.testing.assert_allclose(AlignedMTL()(scale * np.diag([1.0, 4.0])), [0.5, 0.25])
    # What is below the spacing of float64 is not seen any more, rather than dividing all others.
    np.testing.assert_allclose(AlignedMTL()(np.diag([1e-36, 1e36])), [0, 0.5])


@pytest.mark.parametrize("mode", ["median", "rmse"])
def test_a_dropped_task_has_no_effect(mode: Any) -> None:
    weighting = AlignedMTL(scale_mode=mode)
    jacobian = np.random.default_rng(0).normal(size=(4, 6))
    gramian = jacobian @ jacobian.T
    weights = np.array(weighting(gramian, preference=[1, 0, 2, 1]))
    rest = gramian[[0, 2, 3]][:, [0, 2, 3]]
    assert weights[1] == 0
    np.testing.assert_allclose(weights[[0, 2, 3]], weighting(rest, preference=[1, 2, 1]))
