from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings import Uncertainty
from mtl_keras.weightings.imtl_l import IMTLL
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL, one_step


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize(("scales", "weights", "gradients"), PUBLISHED["imtl_l"])
def test_published_weights_and_gradients(
    scales: list[float], weights: list[float], gradients: list[list[float]], dtype: str
) -> None:
    state = {**IMTLL().initial_state(3), "log_scales": np.array(scales, dtype)}
    for losses, gradient in zip(LOSSES.astype(dtype), gradients, strict=True):
        np.testing.assert_allclose(IMTLL()(losses, state=state), weights, rtol=RTOL[dtype])
        np.testing.assert_allclose(IMTLL().gradient(losses, state), gradient, rtol=RTOL[dtype])


def test_two_tasks_by_hand() -> None:
    # exp(0) = 1 and 3 * exp(log 2) = 6; the gradients are 5 * 1 - 1 and 7 * 2 - 1.
    state = {**IMTLL().initial_state(2), "log_scales": np.log([1.0, 2.0])}
    np.testing.assert_allclose(IMTLL()([5.0, 7.0], preference=[1.0, 3.0], state=state), [1, 6])
    np.testing.assert_allclose(IMTLL().gradient(np.array([5.0, 7.0]), state), [4, 13])
    # Adam's first step is one learning rate against the sign of the gradient, and none for a dropped task.
    weighting = IMTLL(learning_rate=0.1)
    moved = one_step(weighting, np.array([5.0, 0.5, 5.0], "float32"), preference=[1.0, 2.0, 0.0])
    np.testing.assert_allclose(moved.state["log_scales"], [-0.1, 0.1, 0], rtol=1e-4)


def test_twice_the_weights_of_uncertainty() -> None:
    weighting, other = IMTLL(learning_rate=0.02), Uncertainty(learning_rate=0.02)
    state, other_state = weighting.initial_state(3), other.initial_state(3)
    for losses in LOSSES.astype("float32"):
        state = one_step(weighting, losses, state=state).state
        other_state = one_step(other, losses, state=other_state).state
    weights = np.array(weighting(losses, state=state))
    np.testing.assert_allclose(weights, 2 * np.array(other(losses, state=other_state)), rtol=1e-4)
    assert np.abs(weights - 1).min() > 0.05


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_changes_nothing(loss: float) -> None:
    weighting = IMTLL()
    state = one_step(weighting, np.array([loss], "float32")).state
    assert all(np.array(entry) == [0] for entry in state.values())
