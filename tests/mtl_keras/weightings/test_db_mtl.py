from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.db_mtl import DBMTL
from tests.mtl_keras.weightings.reference import JACOBIANS, LOSSES, RTOL, RUNS, one_step, steps


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
