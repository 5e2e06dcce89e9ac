"""Projections onto the cone of directions that conflict with no task: UPGrad and dual-cone projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings import DualProj, UPGrad
from tests.mtl_keras.weightings.gramians import CASES, cases_with

both = pytest.mark.parametrize("method", [UPGrad, DualProj])


@both
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_published_weights(method: Any, dtype: str) -> None:
    for case, result in cases_with(method.__name__):
        weights = method()(case.gramian.astype(dtype))
        rtol = 1e-10 if dtype == "float64" else result.rtol32
        assert case.error(weights, result.vector, result.scale) < rtol, case.name
        assert case.weight_error(weights, result.weights, result.scale) < rtol, case.name


@both
def test_nothing_conflicts_without_regularization(method: Any) -> None:
    for case in CASES:
        vector = np.array(method(regularization=0, smallest=0)(case.gramian)) @ case.jacobian
        assert (case.jacobian @ vector >= -1e-9 * case.norms * case.norms.max(initial=0)).all(), case.name


@pytest.mark.parametrize(
    ("method", "gramian", "weights"),
    [
        # g_1 = (1, 0), g_2 = (-1, 1). The projection of g_1 is (1/2, 1/2) = g_1 + g_2 / 2, that of g_2 is
        # (0, 1) = g_1 + g_2. Half of both.
        (UPGrad, [[1.0, -1.0], [-1.0, 2.0]], [1, 0.75]),
        # g_1 = (1, 0), g_2 = (-3, 1), mean (-1, 1/2): on the cone the nearest is (0, 1/2) = mean + g_1.
        (DualProj, [[1.0, -3.0], [-3.0, 10.0]], [1.5, 0.5]),
    ],
)
def test_two_tasks_by_hand(method: Any, gramian: Any, weights: Any) -> None:
    gramian = np.array(gramian)
    np.testing.assert_allclose(method(regularization=0)(gramian), weights)
    np.testing.assert_allclose(method()(np.diag([1.0, 9.0])), [0.5, 0.5])
    # Below a trace of 1e-4 the Gramian counts as zero, unless `smallest` is 0.
    np.testing.assert_allclose(method()(1e-6 * gramian), [0.5, 0.5])
    np.testing.assert_allclose(method(smallest=0)(1e-6 * gramian), method(smallest=0)(gramian), rtol=1e-9)


@both
def test_degenerate_gramians(method: Any) -> None:
    np.testing.assert_allclose(method()(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(method(regularization=0, smallest=0)(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(method()(np.eye(3), None, [0, 2, 0]), [0, 2, 0])
    np.testing.assert_allclose(method()(np.ones((4, 4))), [0.25] * 4)
    for scale in (1e-36, 1e36):
        assert np.isfinite(method(smallest=0)(scale * np.array([[1.0, -0.9], [-0.9, 1.0]]))).all()
