from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.nash_mtl import NashMTL
from tests.mtl_keras.weightings.gramians import CASES, cases_with


@pytest.mark.parametrize("max_norm", [0, 1])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exact_solutions(max_norm: int, dtype: str) -> None:
    tested = 0
    for case, result in cases_with(f"NashMTL_maxnorm{max_norm}"):
        if result.target != "exact":
            continue
        weights = np.array(NashMTL(max_norm=max_norm)(case.gramian.astype(dtype)))
        scale = np.abs(result.exact_weights) @ case.norms
        assert case.error(weights, result.exact_vector, scale) < (1e-8 if dtype == "float64" else 1e-4), case.name
        if dtype == "float64":
            assert case.weight_error(weights, result.exact_weights, scale) < 1e-6, case.name
        tested += 1
    assert tested == 20


def test_two_tasks_by_hand() -> None:
    # w (2 w - w) = 1.
    np.testing.assert_allclose(NashMTL(max_norm=0)([[2.0, -1.0], [-1.0, 2.0]]), [1, 1])
    # 1 w^2 = 1 and 4 w^2 = 1; both unit vectors together are the square root of 2 long.
    np.testing.assert_allclose(NashMTL(max_norm=0)(np.diag([1.0, 4.0])), [1, 0.5])
    np.testing.assert_allclose(NashMTL()(np.diag([1.0, 4.0])), np.array([1, 0.5]) / np.sqrt(2))
    np.testing.assert_allclose(NashMTL(max_norm=2)(np.diag([1.0, 4.0])), [1, 0.5])


def test_gradients_without_a_bargain() -> None:
    for case in CASES:
        if case.name == "special_pareto_stationary_K3":
            weights = np.array(NashMTL()(case.gramian))
            # The convex combination that is zero, as the file describes it: weights 1, 1, 2.
            np.testing.assert_allclose(weights / weights[0], [1, 1, 2], rtol=1e-4)
            assert (weights * case.norms).max() == pytest.approx(1, rel=1e-6)
    # Opposite gradients of the lengths 1 and 3, and one across, which has no say either.
    weights = np.array(NashMTL()([[1.0, -3.0, 0.0], [-3.0, 9.0, 0.0], [0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(weights[:2], [1, 1 / 3], rtol=1e-6)
    assert 0 < weights[2] < 1e-4


def test_degenerate_gramians() -> None:
    np.testing.assert_array_equal(NashMTL()(np.zeros((3, 3))), [0, 0, 0])
    np.testing.assert_allclose(NashMTL()(np.eye(3), None, [0, 2, 0]), [0, 2, 0])
    np.testing.assert_allclose(NashMTL(max_norm=0)(np.ones((4, 4))), [0.5] * 4)
    np.testing.assert_allclose(NashMTL(max_norm=0)(np.diag([0.0, 1.0, 4.0])), [0, 1, 0.5])
    for scale in (1e-18, 1e18):
        np.testing.assert_allclose(NashMTL(max_norm=0)(np.diag([scale**2, 1.0])), [1 / scale, 1])
