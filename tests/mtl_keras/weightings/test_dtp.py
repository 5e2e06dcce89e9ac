from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings import State
from mtl_keras.weightings.dtp import DTP
from tests.mtl_keras.weightings.reference import one_step


def after(weighting: DTP, *steps: list[float], preference: list[float] | None = None) -> State:
    state = weighting.initial_state(len(steps[0]))
    for losses in steps:
        ones = np.ones(len(losses), "float32") if preference is None else np.array(preference, "float32")
        state = one_step(weighting, np.array(losses, "float32"), preference=ones, state=state).state
    return state


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_two_tasks_by_hand(dtype: str) -> None:
    # Losses log 2 and log 4 are probabilities 1/2 and 1/4: (1/2)^2 log 2 and 3 (3/4)^2 log 4.
    losses = np.log(np.array([2.0, 4.0], dtype))
    weights = np.array(DTP()(losses, preference=[1.0, 3.0]))
    assert weights.dtype == dtype
    np.testing.assert_allclose(weights, [np.log(2) / 4, 27 / 16 * np.log(4)], rtol=1e-6)
    # With gamma 0 the weights are the losses.
    np.testing.assert_allclose(DTP(gamma=0)(losses), losses, rtol=1e-6)


def test_moving_average_by_hand() -> None:
    # 1/2 at first, then 1/4 in part: 0.25 / 4 + 0.75 / 2 = 7/16; then 1/2 again: 1/8 + 21/64 = 29/64.
    weighting = DTP(gamma=1, alpha=0.25)
    state = after(weighting, [np.log(2)], [np.log(4)])
    np.testing.assert_allclose(state["indicators"], [7 / 16], rtol=1e-6)
    np.testing.assert_allclose(weighting([np.log(2)], state=state), -(35 / 64) * np.log(29 / 64), rtol=1e-6)


def test_without_averaging_the_past_does_not_matter() -> None:
    weighting = DTP(alpha=1)
    np.testing.assert_allclose(weighting([0.7, 2.0], state=after(weighting, [5.0, 0.1])), weighting([0.7, 2.0]))


def test_a_task_that_does_not_run_keeps_its_average() -> None:
    weighting = DTP()
    state = after(weighting, [1.0, 2.0, 3.0], [0.5, np.nan, np.inf])
    state = one_step(weighting, np.ones(3, "float32"), preference=np.zeros(3, "float32"), state=state).state
    expected = [0.9 * np.exp(-1) + 0.1 * np.exp(-0.5), np.exp(-2), np.exp(-3)]
    np.testing.assert_allclose(state["indicators"], expected, rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_degenerate_losses(gamma: float) -> None:
    weighting = DTP(gamma=gamma)
    losses = [0.0, -1.0, 1e-18, 1e18]
    state = after(weighting, *[losses] * 30)
    weights = np.array(weighting(losses, state=state))
    np.testing.assert_allclose(weights[:3], 0, atol=1e-6)
    np.testing.assert_allclose(weights[3], -np.log(1e-7), rtol=1e-4)
