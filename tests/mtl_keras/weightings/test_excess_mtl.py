from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.excess_mtl import ExcessMTL
from tests.mtl_keras.weightings.driver import driver
from tests.mtl_keras.weightings.reference import JACOBIANS, RTOL, RUNS, one_step, steps


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("run", RUNS["ExcessMTL"])
def test_published_steps(run: dict[str, Any], dtype: str) -> None:
    found = list(steps(ExcessMTL(**run["arguments"]), dtype))
    for step, (_, weights, state) in enumerate(found):
        np.testing.assert_allclose(weights, run["weights"][step], rtol=RTOL[dtype])
        np.testing.assert_allclose(state["first"], run["excess_risks"][0], rtol=RTOL[dtype])
    np.testing.assert_allclose(found[-1][2]["squares"], np.square(JACOBIANS).sum(axis=0), rtol=RTOL[dtype])
    assert np.linalg.norm(found[-1][0] - run["vector"]) <= RTOL[dtype] * np.linalg.norm(run["vector"])


def test_two_tasks_by_hand() -> None:
    # First: e = 3 + 4 and 2. Then: 9 / sqrt(9 + 9) + 0, and 4 / sqrt(4 + 4).
    weighting = ExcessMTL(step_size=2)
    weights, vector, state = one_step(weighting, np.array([[3.0, 4.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(vector, [3, 6])
    np.testing.assert_array_equal(weights, 1)
    np.testing.assert_allclose(state["first"], [7, 2], rtol=1e-6)
    weights, vector, _ = one_step(weighting, np.array([[3.0, 0.0], [0.0, 2.0]]), state=state)
    raised = np.exp([2 * 9 / np.sqrt(18) / 7, 2 * 4 / np.sqrt(8) / 2])
    np.testing.assert_allclose(weights, 2 * raised / raised.sum(), rtol=1e-6)
    np.testing.assert_allclose(vector, [3, 2] * np.array(weights), rtol=1e-6)


def test_a_task_that_was_dropped_so_far_starts_with_a_third() -> None:
    state = ExcessMTL(step_size=1).initial_state(3, 16)
    for jacobian in JACOBIANS.astype("float32"):
        weights, _, state = one_step(ExcessMTL(step_size=1), jacobian, preference=[1.0, 0.0, 1.0], state=state)
    # The others share two thirds in the proportion that they had.
    found, _, _ = one_step(ExcessMTL(step_size=0), JACOBIANS[0].astype("float32"), state=state)
    np.testing.assert_allclose(found, np.add(weights, [0, 1, 0]), rtol=1e-5)


def test_without_a_gradient_there_is_no_first_step() -> None:
    weighting, state = ExcessMTL(step_size=1), ExcessMTL().initial_state(2, 2)
    for _ in range(2):
        weights, _, state = one_step(weighting, np.zeros((2, 2), "float32"), state=state)
        np.testing.assert_array_equal(weights, 1)
    _, _, state = one_step(weighting, np.array([[1, 0], [0, 0]], "float32"), state=state)
    np.testing.assert_allclose(state["first"], [1, 0], rtol=1e-6)
    np.testing.assert_array_equal(state["log_weights"], 0)


@pytest.mark.parametrize("scales", [[0, 0, 0], [1e-30, 1, 1e30], [1e18, 1e-18, 0], [1e-15, 1e37, 1]])
@pytest.mark.parametrize("preference", [[1, 1, 1], [0, 1, 0], [0, 0, 0]])
def test_extreme_gradients_give_finite_weights_of_the_same_sum(scales: list[float], preference: list[float]) -> None:
    state = None
    for jacobian in JACOBIANS[:4] * np.array([scales, scales[::-1], scales, scales])[:, :, None]:
        jacobian[:, 3:6] = 0
        weights, vector, state = driver("excess_mtl(step_size=1)").step(jacobian, None, preference, state)
        assert all(np.isfinite(entry).all() for entry in (vector, weights, *state.values()))
        assert np.sum(weights) == pytest.approx(sum(preference), rel=1e-5)
