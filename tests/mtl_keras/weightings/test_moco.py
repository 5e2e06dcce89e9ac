from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.moco import MoCo
from tests.mtl_keras.weightings.driver import driver
from tests.mtl_keras.weightings.reference import JACOBIANS, RTOL, RUNS, one_step, steps


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("run", RUNS["MoCo"])
def test_published_steps(run: dict[str, Any], dtype: str) -> None:
    found = list(steps(MoCo(**run["arguments"]), dtype))
    for step, (_, weights, state) in enumerate(found):
        np.testing.assert_allclose(weights, run["weights"][step], rtol=RTOL[dtype])
        norms = np.linalg.norm(state["tracked"], axis=1)
        np.testing.assert_allclose(norms, run["norms"][step], rtol=RTOL[dtype])
    assert np.linalg.norm(found[-1][0] - run["vector"]) <= RTOL[dtype] * np.linalg.norm(run["vector"])


def test_two_tasks_by_hand() -> None:
    # Lengthened to the losses: (5, 0) and (0, 2); tracked by halves: (2.5, 0) and (0, 1).
    # Y Y' lambda = (6.25 / 2, 1 / 2), so lambda = softmax(1 / 2 - 0.1 * that).
    weights, vector, state = one_step(MoCo(), np.array([[3.0, 0.0], [0.0, 7.0]]), np.array([5.0, 2.0]))
    first = 1 / (1 + np.exp(0.1 * (6.25 - 1) / 2))
    np.testing.assert_allclose(weights, [first, 1 - first])
    np.testing.assert_allclose(vector, [2.5 * first, 1 - first])
    np.testing.assert_array_equal(state["steps"], 1)


def test_a_gradients_length_does_not_matter() -> None:
    usual = one_step(MoCo(), JACOBIANS[0])
    scaled = one_step(MoCo(), JACOBIANS[0] * [[1e3], [1], [1e-12]])
    np.testing.assert_allclose(scaled[0], usual[0])
    np.testing.assert_allclose(scaled[1], usual[1])


def test_a_task_that_was_dropped_so_far_starts_with_a_third() -> None:
    state = MoCo().initial_state(3, 16)
    for jacobian in JACOBIANS.astype("float32"):
        _, _, state = one_step(MoCo(), jacobian, preference=[1.0, 0.0, 2.0], state=state)
    assert float(sum(state["shares"])) == pytest.approx(3)
    weights, _, _ = one_step(MoCo(gamma=0), JACOBIANS[0].astype("float32"), state=state)
    np.testing.assert_allclose(weights, np.exp(state["shares"] / 3) / np.exp(state["shares"] / 3).sum(), rtol=1e-6)


@pytest.mark.parametrize("losses", [[0, 0, 0], [1e-18, 1, 1e18], [3e38, 3e38, 3e38], [-1, 1, 1], [np.inf, np.nan, 1]])
@pytest.mark.parametrize("scales", [[0, 0, 0], [1e-30, 1, 1e30], [1e18, 1e18, 0]])
def test_extreme_losses_and_gradients_give_finite_weights_of_sum_1(losses: list[float], scales: list[float]) -> None:
    for preference in ([1, 1, 1], [0, 1, 0], [0, 0, 0]):
        state = None
        for jacobian in JACOBIANS[:3] * np.array(scales)[:, None]:
            weights, vector, state = driver("moco").step(jacobian, losses, preference, state)
            assert all(np.isfinite(entry).all() for entry in (vector, weights, *state.values()))
            assert np.sum(weights) == pytest.approx(float(any(preference)))
