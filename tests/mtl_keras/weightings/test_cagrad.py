from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.cagrad import CAGrad
from tests.mtl_keras.weightings.gramians import CASES, cases_with


@pytest.mark.parametrize("c", [0.5, 0.2])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-8), ("float32", 1e-3)])
def test_exact_solutions(c: float, dtype: str, rtol: float) -> None:
    weighting, tested = CAGrad(c=c), 0
    for case, result in cases_with(f"CAGrad_c{c}"):
        weights = np.array(weighting(case.gramian.astype(dtype)))
        if result.exact_weights is not None:
            scale = np.abs(result.exact_weights) @ case.norms
            assert case.error(weights, result.exact_vector, scale) < rtol, case.name
            tested += 1
        # TorchJD's own solver is up to 3e-4 off, and gives no update in some cases.
        if dtype == "float64" and result.target == "torchjd":
            assert case.error(weights, result.vector, result.scale) < 1e-3, case.name
    assert tested == 18


@pytest.mark.parametrize("c", [0.1, 1.0, 3.0])
def test_the_dual_problem_has_the_same_value(c: float) -> None:
    for case in CASES:
        if case.kind in ("zero_row", "special"):
            continue
        rows, mean = case.jacobian, case.jacobian.mean(axis=0)
        extra = np.array(CAGrad(c=c)(case.gramian)) - 1 / len(rows)
        simplex, radius = extra / extra.sum(), c * np.linalg.norm(mean)
        worst = (rows @ (mean + extra @ rows)).min()
        assert np.linalg.norm(extra @ rows) == pytest.approx(radius, rel=1e-5), case.name
        bound = simplex @ rows @ mean + radius * np.linalg.norm(simplex @ rows)
        assert worst == pytest.approx(bound, rel=1e-5, abs=1e-7), case.name


def test_two_tasks_by_hand() -> None:
    # g = 1 and 3, mean 2: the worst-off gains most from the largest number in [1, 3], 2 + 1 g_1.
    np.testing.assert_allclose(CAGrad()([[1.0, 3.0], [3.0, 9.0]]), [1.5, 0.5])
    # g_1 = (1, 0), g_2 = (0, 1): the mean and 1.5 times of it.
    np.testing.assert_allclose(CAGrad()(np.eye(2)), [0.75, 0.75])
    np.testing.assert_allclose(CAGrad(c=0)(np.diag([1.0, 7.0])), [0.5, 0.5])


def test_where_not_every_task_can_gain() -> None:
    # g = 1 and -3, mean -1. In [-1.5, -0.5] task 1 loses least at -0.5 = -1 + 0.5 g_1.
    opposite = [[1.0, -3.0], [-3.0, 9.0]]
    np.testing.assert_allclose(CAGrad()(opposite), [1, 0.5])
    # In [-3, 1] no task loses at 0 = -1 + 1 g_1.
    np.testing.assert_allclose(CAGrad(c=2)(opposite), [1.5, 0.5], rtol=1e-6)
    # The zero gradient never gains; the mean (2, 0) of (4, 0) and 0 harms nobody.
    np.testing.assert_allclose(CAGrad()([[16.0, 0.0], [0.0, 0.0]]), [0.5, 0.5])
    # g = (2, 0), (-8, 2) and 0, mean (-2, 2/3). On g_1'd >= 0 the nearest is (0, 2/3) = mean + 1 g_1.
    np.testing.assert_allclose(
        CAGrad(c=1)([[4.0, -16.0, 0.0], [-16.0, 68.0, 0.0], [0.0, 0.0, 0.0]]), [4 / 3, 1 / 3, 1 / 3], rtol=1e-6
    )


def test_degenerate_gramians() -> None:
    np.testing.assert_allclose(CAGrad()(np.zeros((3, 3))), [1 / 3] * 3)
    np.testing.assert_allclose(CAGrad()([[9.0]]), [1])
    np.testing.assert_allclose(CAGrad()(np.eye(3), None, [0, 2, 0]), [0, 2, 0])
    np.testing.assert_array_equal(CAGrad()(np.eye(2), None, [0, 0]), [0, 0])
    np.testing.assert_allclose(CAGrad()(np.ones((4, 4))), [1.5 / 4] * 4)
    for scale in (1e-36, 1e36):
        np.testing.assert_allclose(CAGrad()(scale * np.eye(2)), [0.75, 0.75])
