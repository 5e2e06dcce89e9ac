from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.modo import MoDo
from tests.mtl_keras.weightings.reference import PUBLISHED, RTOL, one_step


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize(("gamma", "rows"), PUBLISHED["modo"])
def test_published_steps(gamma: float, rows: list[list[float]], dtype: str) -> None:
    """With rho 0.1, from the products of the gradients of samples 0 and 1, 3 and 4, 1 and 2."""
    weighting = MoDo(gamma=gamma)
    state: Any = {"shares": np.full(3, 1 / 3, dtype)}
    for halves, expected in zip(("01", "34", "12"), rows):
        weights, _, state = one_step(weighting, np.array(PUBLISHED["halves"][halves], dtype), state=state)
        np.testing.assert_allclose(weights, expected, rtol=RTOL[dtype], atol=1e-7 if dtype == "float32" else 1e-12)


def test_two_tasks_by_hand() -> None:
    # w = (1/2, 1/2), G w = (1, 3) / 2: (0.5 - 0.05, 0.5 - 0.15) = (0.45, 0.35), to which 0.1 each is added.
    np.testing.assert_allclose(MoDo(gamma=0.1, rho=0)([[1.0, 0.0], [1.0, 2.0]]), [0.55, 0.45], rtol=1e-6)


def test_a_large_rho_makes_weights_equal() -> None:
    state = {"shares": np.array([0.9, 0.1])}
    np.testing.assert_allclose(MoDo(gamma=0.1, rho=10)(np.zeros((2, 2)), state=state), [0.5, 0.5])


def test_degenerate_gradients() -> None:
    np.testing.assert_allclose(MoDo()(np.zeros((3, 3))), [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(MoDo()([[-7.0]]), [1])
    for scale in (1e-36, 1e36):
        weights = np.array(MoDo()(scale * np.array(PUBLISHED["halves"]["01"])))
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()
    # Only a task runs that has lost all of its weight.
    state = {"shares": np.array([1.0, 0.0, 0.0])}
    np.testing.assert_allclose(MoDo()(np.eye(3), preference=[0, 1, 1], state=state), [0, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(MoDo()(np.eye(3), preference=[0, 0, 0]), [0, 0, 0])
