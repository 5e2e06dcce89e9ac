from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.fairgrad import FairGrad
from tests.mtl_keras.weightings.gramians import cases_with


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exact_solutions(alpha: int, dtype: str) -> None:
    tested = 0
    for case, result in cases_with(f"FairGrad_a{alpha}"):
        if result.target != "exact":
            continue
        weights = np.array(FairGrad(alpha=alpha)(case.gramian.astype(dtype)))
        scale = np.abs(result.exact_weights) @ case.norms
        assert case.error(weights, result.exact_vector, scale) < (1e-8 if dtype == "float64" else 1e-4), case.name
        if dtype == "float64":
            assert case.weight_error(weights, result.exact_weights, scale) < 1e-6, case.name
        tested += 1
    assert tested == 20


def test_two_tasks_by_hand() -> None:
    # 16 w = w^(-1/alpha): w^2, w^(3/2) and w^3 are 1/16.
    gramian = np.diag([1.0, 16.0])
    np.testing.assert_allclose(FairGrad()(gramian), [1, 1 / 4])
    np.testing.assert_allclose(FairGrad(alpha=2)(gramian), [1, 16 ** (-2 / 3)])
    np.testing.assert_allclose(FairGrad(alpha=0.5)(gramian), [1, 16 ** (-1 / 3)])
    # By symmetry 3 w + 1 w = w^(-1/2).
    np.testing.assert_allclose(FairGrad(alpha=2)([[3.0, 1.0], [1.0, 3.0]]), [4 ** (-2 / 3)] * 2)


def test_gradients_without_a_solution() -> None:
    for alpha in (0.5, 1, 2, 5):
        weights = np.array(FairGrad(alpha=alpha)([[1.0, -3.0], [-3.0, 9.0]]))
        np.testing.assert_allclose(weights[0] - 3 * weights[1], 0, atol=1e-5)
        assert 0 < weights[1] < weights[0] <= 1.5


def test_degenerate_gramians() -> None:
    for alpha in (0.5, 1, 2, 5):
        weighting = FairGrad(alpha=alpha)
        np.testing.assert_array_equal(weighting(np.zeros((3, 3))), [0, 0, 0])
        np.testing.assert_allclose(weighting(np.eye(3), None, [0, 2, 0]), [0, 2, 0])
        np.testing.assert_allclose(weighting(np.diag([0.0, 1.0, 1.0])), [0, 1, 1])
        for scale in (1e-36, 1e36):
            np.testing.assert_allclose(weighting(scale * np.eye(2)), [scale ** (-alpha / (1 + alpha))] * 2)
