"""Dual-cone projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.dual_proj import DualProj
from tests.mtl_keras.weightings.gramians import CASES, cases_with


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_published_weights(dtype: str) -> None:
    for case, result in cases_with("DualProj"):
        weights = DualProj()(case.gramian.astype(dtype))
        rtol = 1e-10 if dtype == "float64" else result.rtol32
        assert case.error(weights, result.vector, result.scale) < rtol, case.name
        assert case.weight_error(weights, result.weights, result.scale) < rtol, case.name


def test_nothing_conflicts_without_regularization() -> None:
    for case in CASES:
        vector = np.array(DualProj(regularization=0, smallest=0)(case.gramian)) @ case.jacobian
        assert (case.jacobian @ vector >= -1e-9 * case.norms * case.norms.max(initial=0)).all(), case.name


def test_two_tasks_by_hand() -> None:
    # g_1 = (1, 0), g_2 = (-3, 1), mean (-1, 1/2): on the cone the nearest is (0, 1/2) = mean + g_1.
    gramian = np.array([[1.0, -3.0], [-3.0, 10.0]])
    np.testing.assert_allclose(DualProj(regularization=0)(gramian), [1.5, 0.5])
    np.testing.assert_allclose(DualProj()(np.diag([1.0, 9.0])), [0.5, 0.5])
    # Below a trace of 1e-4 the Gramian counts as zero, unless told otherwise.
    np.testing.assert_allclose(DualProj()(1e-6 * gramian), [0.5, 0.5])
    np.testing.assert_allclose(DualProj(smallest=0)(1e-6 * gramian), DualProj(smallest=0)(gramian), rtol=1e-9)


def test_degenerate_gramians() -> None:
    np.testing.assert_allclose(DualProj()(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(DualProj(regularization=0, smallest=0)(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(DualProj()([[9.0]]), [1])
    np.testing.assert_allclose(DualProj()(np.eye(3), None, [0, 2, 0]), [0, 2, 0])
    np.testing.assert_array_equal(DualProj()(np.eye(2), None, [0, 0]), [0, 0])
    np.testing.assert_allclose(DualProj()(np.ones((4, 4))), [0.25] * 4)
    for scale in (1e-36, 1e36):
        assert np.isfinite(DualProj(smallest=0)(scale * np.array([[1.0, -0.9], [-0.9, 1.0]]))).all()


@pytest.mark.parametrize("argument", ["regularization", "smallest"])
@pytest.mark.parametrize("value", [-1e-4, float("nan"), float("inf"), "1"])
def test_impossible_arguments(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{argument} must be a finite number from 0 on\. Received: {argument}="):
        DualProj(**{argument: value})
