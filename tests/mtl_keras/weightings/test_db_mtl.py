"""Dual balancing."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.db_mtl import DBMTL
from tests.mtl_keras.weightings.driver import driver
from tests.mtl_keras.weightings.reference import LOSSES, RTOL, one_step
from tests.mtl_keras.weightings.sequences import JACOBIANS, RUNS, steps


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("run", RUNS["DB_MTL"])
def test_published_steps(run: dict[str, Any], dtype: str) -> None:
    found = list(steps(DBMTL(**run["arguments"]), dtype))
    for step, (_, weights, state) in enumerate(found):
        np.testing.assert_allclose(weights * LOSSES[step], run["stretch"][step], rtol=RTOL[dtype])
        norms = np.linalg.norm(state["average"], axis=1)
        np.testing.assert_allclose(norms, run["norms"][step], rtol=RTOL[dtype])
    assert np.linalg.norm(found[-1][0] - run["vector"]) <= RTOL[dtype] * np.linalg.norm(run["vector"])


def test_two_tasks_by_hand() -> None:
    # Of the logarithms: (3, 4) / 2 and (0, 1); the longer has length 2.5. A tenth of it all, as beta is 0.9.
    weights, vector, _ = one_step(DBMTL(), np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([2.0, 5.0]))
    np.testing.assert_allclose(vector, [0.1 * 1.5, 0.1 * (2 + 2.5)], rtol=1e-6)
    np.testing.assert_allclose(weights, [1 / 2, 2.5 / 5], rtol=1e-6)
    # The second gradient again, turned round; the averages are now 0.19 (1.5, 2) and (0, 0.09 - 0.1).
    _, vector, _ = one_step(
        DBMTL(),
        np.array([[3.0, 4.0], [0.0, -5.0]]),
        np.array([2.0, 5.0]),
        state=one_step(DBMTL(), np.array([[3.0, 4.0], [0.0, 5.0]]), np.array([2.0, 5.0]))[2],
    )
    np.testing.assert_allclose(vector, [0.19 * 1.5, 0.19 * (2 - 2.5)], rtol=1e-5)


def test_the_unit_of_a_loss_does_not_matter() -> None:
    _, usual, _ = one_step(DBMTL(), JACOBIANS[0], LOSSES[0])
    units = np.array([1e4, 1.0, 1e-2])
    weights, scaled, _ = one_step(DBMTL(), JACOBIANS[0] * units[:, None], LOSSES[0] * units)
    preferred_weights, preferred, _ = one_step(DBMTL(), JACOBIANS[0], LOSSES[0], units)
    np.testing.assert_allclose(scaled, usual, rtol=1e-6)
    np.testing.assert_allclose(preferred, usual, rtol=1e-6)
    # The logged weights are those of the unweighted gradients.
    np.testing.assert_allclose(preferred_weights, weights * units, rtol=1e-6)


def test_left_out_tasks_stay_and_the_others_go_on_without_them() -> None:
    state, alone = DBMTL().initial_state(3, 16), DBMTL().initial_state(2, 16)
    for jacobian, losses in zip(JACOBIANS.astype("float32"), LOSSES.astype("float32"), strict=True):
        weights, vector, state = one_step(DBMTL(), jacobian, losses, [1.0, 0.0, 2.0], state)
        two, expected, alone = one_step(DBMTL(), jacobian[[0, 2]], losses[[0, 2]], [1.0, 2.0], alone)
        np.testing.assert_allclose(vector, expected, rtol=1e-5)
        np.testing.assert_allclose(weights, np.insert(two, 1, 0), rtol=1e-5)
    for name, entry in DBMTL().initial_state(3, 16).items():
        np.testing.assert_array_equal(state[name][1], entry[1])


@pytest.mark.parametrize("losses", [[0, 0, 0], [1e-18, 1, 1e18], [3e38, 3e38, 3e38], [-1, 1, 1], [np.inf, np.nan, 1]])
def test_extreme_figures(losses: list[float]) -> None:
    for scales, preference in product(
        [[0, 0, 0], [1e-30, 1, 1e25], [1e18, 1e18, 0]], [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    ):
        state = None
        for jacobian in JACOBIANS[:3] * np.array(scales)[:, None]:
            jacobian[:, 3:6] = 0
            weights, vector, state = driver("db_mtl").step(jacobian, losses, preference, state)
            assert all(np.isfinite(entry).all() for entry in (vector, weights, *state.values()))


@pytest.mark.parametrize(
    ("argument", "value"), [("beta", -0.1), ("beta", 1), ("beta", float("nan")), ("beta_sigma", -1)]
)
def test_impossible_arguments(argument: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{argument} must be .*Received: {argument}="):
        DBMTL(**{argument: value})
