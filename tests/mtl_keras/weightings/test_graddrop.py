from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.graddrop import GradDrop, keep_one_sign
from tests.mtl_keras.weightings.gramians import GRADDROP_U, cases_with
from tests.mtl_keras.weightings.reference import one_step


@pytest.mark.parametrize("method", ["GradDrop_fixedU", "GradDrop_fixedU_leak"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_published_vectors(method: str, dtype: str) -> None:
    found = cases_with(method)
    assert len(found) == 22
    for case, result in found:
        leak = np.array(result.more.get("leak", 0.0), dtype)
        vector, _ = keep_one_sign(case.jacobian.astype(dtype), GRADDROP_U.astype(dtype), leak)
        tolerance = result.rtol64 if dtype == "float64" else result.rtol32
        assert tolerance is not None
        assert np.linalg.norm(vector - result.vector) <= tolerance * result.scale, case.name


def test_expected_vectors() -> None:
    """The mean over draws that are spread evenly is that over all draws."""
    for case, result in cases_with("GradDrop_expected"):
        draws = (np.arange(2000) + 0.5) / 2000
        jacobian = np.repeat(case.jacobian, len(draws), axis=1)
        vector, _ = keep_one_sign(jacobian, np.tile(draws, case.jacobian.shape[1]))
        mean = np.array(vector).reshape(-1, len(draws)).mean(axis=1)
        np.testing.assert_allclose(mean, result.vector, atol=1e-3 * np.abs(case.jacobian).sum(axis=0).max())


def test_draws_are_uniform() -> None:
    # 3 and -1: P = (1 + 2 / 4) / 2 = 3 / 4.
    jacobian = np.tile([[3.0], [-1.0]], 20000)
    weights, vector, _ = one_step(GradDrop(seed=3), jacobian)
    assert np.mean(np.array(vector) == 3) == pytest.approx(0.75, abs=0.015)
    assert set(np.array(vector)) == {3.0, -1.0}
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=0.015)


def test_two_tasks_by_hand() -> None:
    # Column 1: P = (1 + 1 / 3) / 2 = 2 / 3, column 2: both +, column 3: both -.
    jacobian = np.array([[2.0, 1.0, -1.0], [-1.0, 4.0, -2.0]])
    vector, share = keep_one_sign(jacobian, np.array([0.66, 0.999, 0.0]))
    np.testing.assert_allclose(vector, [2, 5, -3])
    np.testing.assert_allclose(share, [1, 6 / 7])
    vector, share = keep_one_sign(jacobian, np.array([0.67, 0.999, 0.0]), np.array([0.5, 0.25]))
    np.testing.assert_allclose(vector, [0.5 * 2 - 1, 5, -3])
    np.testing.assert_allclose(share, [3 / 4, 1])


def test_every_step_has_its_own_draws_and_every_run_the_same() -> None:
    jacobian = np.array([np.ones(64), -np.ones(64)], "float32")
    first = GradDrop().initial_state(2)
    _, one, second = one_step(GradDrop(), jacobian, state=first)
    _, two, _ = one_step(GradDrop(), jacobian, state=second)
    _, again, _ = one_step(GradDrop(), jacobian, state=first)
    other = GradDrop(seed=1)(jacobian, state=first)
    np.testing.assert_array_equal(one, again)
    assert 10 < np.sum(np.array(one) != np.array(two)) < 54
    assert 10 < np.sum(np.array(one) != np.array(other)) < 54


def test_a_leak_of_one_is_the_sum() -> None:
    jacobian = np.array([[1.0, -2.0], [-3.0, 5.0]])
    weights, vector, _ = one_step(GradDrop(leak=1), jacobian)
    np.testing.assert_allclose(vector, [-2, 3])
    np.testing.assert_allclose(weights, 1)


@pytest.mark.parametrize("scale", [0.0, 1e-37, 1e-18, 1e18, 1e30])
def test_extreme_gradients(scale: float) -> None:
    weights, vector, _ = one_step(GradDrop(), np.array([[scale, 0.0], [0.0, 0.0], [scale, -1.0]], "float32"))
    np.testing.assert_allclose(vector, [2 * np.float32(scale), -1], rtol=1e-6)
    np.testing.assert_allclose(weights, [scale > 0, 0, 1])
