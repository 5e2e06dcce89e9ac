from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.sdmgrad import SDMGrad
from tests.mtl_keras.weightings.reference import PUBLISHED, one_step

HALVES = PUBLISHED["halves"]


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-3)])
def test_published_steps(dtype: str, rtol: float) -> None:
    state: Any = {"shares": np.full(3, 1 / 3, dtype)}
    for halves, shares, expected in PUBLISHED["sdmgrad"]:
        weights, _, state = one_step(SDMGrad(), np.array(HALVES[halves], dtype), state=state)
        np.testing.assert_allclose(weights, expected, rtol=rtol)
        np.testing.assert_allclose(np.array(state["shares"]), shares, rtol=rtol, atol=rtol)


def test_two_tasks_by_hand() -> None:
    # Norms 1 and 3: m = 2, A = diag(1, 9) / 4. One step of 0.1 with lam 1: A (w + e) = (1/4, 9/4), so that
    # w = (0.475, 0.275) + 0.125 = (0.6, 0.4), and weights are (1.1, 0.9) / 2.
    weighting = SDMGrad(lam=1, inner_learning_rate=0.1, iterations=1)
    np.testing.assert_allclose(weighting(np.diag([1.0, 9.0])), [0.55, 0.45])
    # A second step, with a momentum of 1/2: A (w + e) = (1.1, 8.1) / 4, the velocity is (0.4, 3.15), and
    # w = (0.56, 0.085) + 0.1775.
    twice = SDMGrad(lam=1, inner_learning_rate=0.1, iterations=2)
    np.testing.assert_allclose(twice(np.diag([1.0, 9.0])), [(0.7375 + 0.5) / 2, (0.2625 + 0.5) / 2])


def test_common_scale_does_not_matter() -> None:
    gramian = np.array(HALVES["12"])
    for scale in (1e-36, 1e-9, 1e36):
        np.testing.assert_allclose(SDMGrad()(scale * gramian), SDMGrad()(gramian), rtol=1e-9)


def test_degenerate_gradients() -> None:
    np.testing.assert_allclose(SDMGrad()(np.zeros((3, 3))), [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(SDMGrad()([[-7.0]]), [1])
    # The halves are opposed: no norm can be told from the diagonal.
    weights = np.array(SDMGrad()(-np.array(HALVES["12"])))
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
