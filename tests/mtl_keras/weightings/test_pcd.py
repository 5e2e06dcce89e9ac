from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from mtl_keras.weightings.pcd import PCD
from tests.mtl_keras.weightings.gramians import CASES
from tests.mtl_keras.weightings.reference import PUBLISHED, one_step

JACOBIANS = {case.name: case.jacobian for case in CASES}


def second(jacobian: np.ndarray) -> np.ndarray:
    return np.vstack([jacobian[:-1], 0.4 * jacobian[-1] - jacobian[0]])


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
def test_published_steps(dtype: str, rtol: float) -> None:
    """With tau 0.3, in two steps, in the second of which the last gradient is that of `second`."""
    for name, (first, later) in PUBLISHED["pcd"].items():
        if dtype == "float32" and name.startswith("nearly"):
            continue
        state: Any = PCD().initial_state(len(JACOBIANS[name]))
        for jacobian, expected in ((JACOBIANS[name], first), (second(JACOBIANS[name]), later)):
            weights, _, state = one_step(PCD(tau=0.3), (jacobian @ jacobian.T).astype(dtype), state=state)
            scale = np.abs(expected) @ np.linalg.norm(jacobian, axis=1)
            assert np.linalg.norm((np.array(weights) - expected) @ jacobian) <= rtol * scale, name


@pytest.mark.parametrize("primary", [0, 2])
def test_solves_its_problem(primary: int) -> None:
    """In the first step the normalised gradients are unit vectors."""
    jacobian = JACOBIANS["conflicting_K5"]
    update = np.array(PCD(tau=0.2, primary=primary)(jacobian @ jacobian.T)) @ jacobian
    unit = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    others = np.delete(unit, primary, axis=0)
    found = minimize(
        lambda d: ((d - unit[primary]) ** 2).sum() / 2,
        unit[primary],
        jac=lambda d: d - unit[primary],
        constraints={"type": "ineq", "fun": lambda d: others @ d - 0.2, "jac": lambda d: others},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 200},
    ).x
    np.testing.assert_allclose(np.linalg.norm(update), np.linalg.norm(jacobian[primary]))
    np.testing.assert_allclose(update / np.linalg.norm(update), found / np.linalg.norm(found), atol=1e-5)


def test_two_tasks_by_hand() -> None:
    # Unit gradients (1, 0) and (-0.6, 0.8), tau = 0.2: -0.6 + m = 0.2, so m = 0.8. d = (0.52, 0.64), of the squared
    # norm 0.68; scaled to the norm of the primary, which is 1.
    weights = PCD(tau=0.2, eps=0)([[1.0, -0.6], [-0.6, 1.0]])
    np.testing.assert_allclose(weights, np.array([1, 0.8]) / np.sqrt(0.68), rtol=1e-6)
    # The other one as primary, three times as long.
    weights = PCD(tau=0.2, eps=0, primary=1)([[1.0, -1.8], [-1.8, 9.0]])
    np.testing.assert_allclose(weights, np.array([0.8 * 3, 1]) / np.sqrt(0.68), rtol=1e-6)


def test_moving_averages_by_hand() -> None:
    # beta 1/2: squares 4 and then 16 make (2 / 2 + 16 / 2) / (3/4) = 12. The second task runs in the first step alone.
    weighting = PCD(beta=0.5)
    state = weighting.initial_state(2)
    _, _, state = one_step(weighting, np.diag([4.0, 9.0]), state=state)
    _, _, state = one_step(weighting, np.diag([16.0, 9.0]), preference=[1, 0], state=state)
    np.testing.assert_allclose(np.square(state["norms"]), [9, 4.5], rtol=1e-6)
    np.testing.assert_array_equal(state["steps"], [2, 1])


def test_contradicting_constraints_are_dropped() -> None:
    jacobian = np.array([[0.0, 3.0], [1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(PCD()(jacobian @ jacobian.T), [1, 0, 0])
    # With tau = 0 they do not contradict each other: the plane between them is left, and the primary lies in it.
    np.testing.assert_allclose(PCD(tau=0)(jacobian @ jacobian.T), [1, 0, 0])
    # Not quite opposite: there is a wedge.
    jacobian[1:, 1] = -0.01
    update = np.array(PCD()(jacobian @ jacobian.T)) @ jacobian
    assert (jacobian[1:] @ update > 0).all()
    assert np.linalg.norm(update) == pytest.approx(3)


def test_degenerate_gradients() -> None:
    np.testing.assert_array_equal(PCD()(np.diag([0.0, 1.0])), [0, 0])
    np.testing.assert_allclose(PCD()(np.diag([4.0, 0.0])), [1, 0])
    # The primary against one other: no direction serves both.
    weights = np.array(PCD(tau=0)([[1.0, -1.0], [-1.0, 1.0]]))
    assert np.abs(weights[0] - weights[1]) <= 1e-6


def test_without_the_primary_task_the_others_are_averaged() -> None:
    np.testing.assert_allclose(PCD()(np.eye(3), preference=[0, 1, 1]), [0, 0.5, 0.5])


def test_a_primary_task_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of the 2 tasks\. Received: primary=2"):
        PCD(primary=2)(np.eye(2))
