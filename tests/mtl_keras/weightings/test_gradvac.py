from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.gradvac import GradVac, vaccinate
from mtl_keras.weightings.gramian import ascending_order
from mtl_keras.weightings.pcgrad import PCGrad
from tests.mtl_keras.weightings.gramians import CASES
from tests.mtl_keras.weightings.reference import PUBLISHED, one_step


def double(state: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, "float64") for name, value in state.items()}


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
def test_published_steps_of_two_tasks(dtype: str, rtol: float) -> None:
    """The Gramian (three entries), the weights and the target after the step."""
    state = {name: value.astype(dtype) for name, value in GradVac().initial_state(2).items()}
    for (a, b, c), expected, target in PUBLISHED["gradvac"]:
        weights, _, state = one_step(GradVac(), np.array([[a, b], [b, c]], dtype), state=state)
        np.testing.assert_allclose(weights, expected, rtol=rtol)
        np.testing.assert_allclose(np.array(state["targets"]), [[0, target], [target, 0]], rtol=rtol)


def test_published_steps_of_five_tasks() -> None:
    """TorchJD 0.18.0 gives these in ascending order; it adds 1e-8 to denominators."""
    jacobian = next(case for case in CASES if case.name == "conflicting_K5").jacobian
    expected = [
        [1.9682837924700598, 1.7545650109983533, 2.322586705352355, 2.1667463105090303, 2.703035142546617],
        [1.5873911377642855, 1.1617397672930432, 1.7234475916011933, 1.4908838559009485, 1.6616571725296165],
        [1.207154046339156, 1.1077768600758457, 1.1934101686171288, 1.1678386675653374, 1.2930418200207818],
    ]
    targets = np.zeros((5, 5))
    for step, row in enumerate(expected):
        turned = jacobian.copy()
        turned[0] += 0.7 * step * jacobian[1]
        weights, cosines = vaccinate(turned @ turned.T, ascending_order(5), targets)
        np.testing.assert_allclose(weights, row, rtol=1e-7)
        targets = targets + 0.5 * (np.array(cosines) - targets)
    row = [-0.2247729838195047, -0.28229143010035085, -0.3078754502678961, -0.5909005969354629, 0]
    np.testing.assert_allclose(targets[4], row, atol=1e-8)


def test_two_tasks_by_hand() -> None:
    # At a right angle, with a target of 0.6 = 3/5: a = |g_i| 3/4 / |g_j|. Then the target is 0.6 - 0.6 / 4.
    state = double(GradVac().initial_state(2)) | {"targets": np.array([[0, 0.6], [0.6, 0]])}
    weights, _, state = one_step(GradVac(beta=0.25), np.diag([4.0, 9.0]), state=state)
    np.testing.assert_allclose(weights, [1 + 0.75 * 3 / 2, 1 + 0.75 * 2 / 3])
    np.testing.assert_allclose(np.array(state["targets"])[0, 1], 0.45)


def test_first_step_is_pcgrad() -> None:
    for case in CASES[:8]:
        np.testing.assert_allclose(GradVac(seed=3)(case.gramian), PCGrad(seed=3)(case.gramian), rtol=1e-6)


def test_targets_follow_permuted_rows() -> None:
    """With the tasks in another order, columns stay where they were, and are understood as before."""
    rows = [2, 0, 1]
    jacobian = np.array([[1.0, 0, 0.1], [-0.5, 1, 0], [0.2, -0.7, 1]])
    gramian = jacobian @ jacobian.T
    weighting = GradVac()
    _, _, state = one_step(weighting, gramian, state=double(weighting.initial_state(3)))
    permuted = {name: np.array(value)[rows] for name, value in state.items()}
    np.testing.assert_array_equal(permuted["columns"], rows)
    _, _, later = one_step(weighting, gramian, state=state)
    _, _, later_permuted = one_step(weighting, gramian[rows][:, rows], state=permuted)
    assert (np.array(state["targets"])[~np.eye(3, dtype=bool)] != 0).all()
    # Which pairs meet first is random, but the first cosine that a copy meets is that of the gradients.
    cosine = gramian / np.sqrt(np.outer(np.diag(gramian), np.diag(gramian)))
    first = np.isclose(np.array(later["targets"]), (np.array(state["targets"]) + cosine) / 2)
    first_permuted = np.isclose(np.array(later_permuted["targets"]), (permuted["targets"] + cosine[rows]) / 2)
    assert (first.sum(axis=1) >= 1).all()
    assert (first_permuted.sum(axis=1) >= 1).all()


def test_degenerate_gradients() -> None:
    weighting = GradVac()
    state = double(weighting.initial_state(3)) | {"targets": 0.9 * (1 - np.eye(3))}
    weights, _, after = one_step(weighting, np.diag([0.0, 0.0, 1.0]), state=state)
    np.testing.assert_array_equal(weights, [1, 1, 1])
    np.testing.assert_array_equal(after["targets"], state["targets"])
    # Equal gradients whose target has become 1, and then are opposite.
    state["targets"] = np.ones((3, 3))
    np.testing.assert_allclose(weighting(np.ones((3, 3)), state=state), 1)
    opposite = np.outer([1.0, -1, 1], [1.0, -1, 1])
    assert np.isfinite(np.array(weighting(opposite, state=state))).all()


def test_targets_of_dropped_tasks_stay() -> None:
    weighting = GradVac()
    state = double(weighting.initial_state(3)) | {"targets": 0.3 * (1 - np.eye(3))}
    gramian = np.array([[1.0, 0.2, 0.1], [0.2, 1, 0.3], [0.1, 0.3, 1]])
    weights, _, after = one_step(weighting, gramian, preference=[1, 0, 1], state=state)
    targets = np.array(after["targets"])
    np.testing.assert_array_equal(targets[1], state["targets"][1])
    np.testing.assert_array_equal(targets[:, 1], state["targets"][:, 1])
    np.testing.assert_allclose([targets[0, 2], targets[2, 0]], 0.2)
    without = {"targets": state["targets"][:2, :2], "columns": np.arange(2.0), "draws": np.zeros(2)}
    two = weighting([[1.0, 0.1], [0.1, 1]], state=without)
    np.testing.assert_allclose(np.array(weights)[[0, 2]], two, rtol=1e-6)
