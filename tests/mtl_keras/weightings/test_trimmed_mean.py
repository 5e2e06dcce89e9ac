from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings.trimmed_mean import TrimmedMean
from tests.mtl_keras.weightings.gramians import CASES, cases_with
from tests.mtl_keras.weightings.reference import one_step


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize(("trim", "count"), [(1, 18), (2, 9)])
def test_published_vectors(trim: int, count: int, dtype: str, tolerance: float) -> None:
    found = cases_with(f"TrimmedMean_t{trim}")
    assert len(found) == count
    for case, result in found:
        vector = TrimmedMean(trim)(case.jacobian.astype(dtype))
        assert np.linalg.norm(vector - result.vector) <= tolerance * result.scale, case.name


def test_no_trimming_is_the_mean() -> None:
    for case in CASES:
        weights, vector, _ = one_step(TrimmedMean(trim=0), case.jacobian)
        np.testing.assert_allclose(vector, case.jacobian.mean(axis=0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(weights, 1 / len(case.jacobian))


def test_three_tasks_by_hand() -> None:
    # Medians of the columns. Middle: tasks 1, 2, 2; in the last column tasks 1 and 2 are both at the border.
    weights, vector, _ = one_step(
        TrimmedMean(), np.array([[2.0, 0.0, 9.0, 4.0], [1.0, 5.0, 8.0, 4.0], [7.0, 6.0, 0.0, 0.0]])
    )
    np.testing.assert_allclose(vector, [2, 5, 8, 4])
    np.testing.assert_allclose(weights, [2 / 5, 3 / 5, 0])


@pytest.mark.parametrize("large", [1e3, 1e18, 1e38])
def test_one_task_alone_has_no_power(large: float) -> None:
    jacobian = np.array([[1.0, 1.0], [3.0, 3.0], [2.0, 2.0], [large, -large]], "float32")
    np.testing.assert_allclose(TrimmedMean()(jacobian), [2.5, 1.5])


def test_dropped_tasks() -> None:
    jacobian = np.array([[-9.0], [1.0], [2.0], [6.0], [8.0]])
    # The middle two of 1, 2, 6, 8; then of 2 * 1, 2, 6, 8, of which both 2 count as one of them.
    weights, vector, _ = one_step(TrimmedMean(), jacobian, preference=np.array([0.0, 1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(vector, [4])
    np.testing.assert_allclose(weights, [0, 0, 0.5, 0.5, 0])
    weights, vector, _ = one_step(TrimmedMean(), jacobian, preference=np.array([0.0, 2.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(vector, [4])
    np.testing.assert_allclose(weights, [0, 2 / 3, 1 / 3, 1 / 3, 0])


@pytest.mark.parametrize(("active", "mean"), [([1, 1, 0], 2.0), ([0, 0, 1], 7.0), ([0, 0, 0], 0.0)])
def test_too_few_tasks_in_a_step_give_their_mean(active: list[float], mean: float) -> None:
    weights, vector, _ = one_step(TrimmedMean(), np.array([[1.0], [3.0], [7.0]]), preference=np.array(active))
    np.testing.assert_allclose(vector, [mean])
    np.testing.assert_allclose(weights, np.array(active) / max(1, sum(active)))


def test_too_few_tasks_of_the_model() -> None:
    with pytest.warns(UserWarning, match="needs at least 5 tasks; with 4 it averages all gradients"):
        vector = TrimmedMean(2)(np.array([[1.0], [2.0], [3.0], [6.0]]))
    np.testing.assert_array_equal(vector, [3])
