from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings import DWA, State
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL


def after(weighting: DWA, *epochs: list[float]) -> State:
    state = weighting.initial_state(len(epochs[0]))
    for losses in epochs:
        state = weighting.after_epoch(np.array(losses, "float32"), state)
    return state


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights(dtype: str) -> None:
    """In each of six epochs and in the one after the last, with temperature 2."""
    weighting = DWA()
    state = {name: value.astype(dtype) for name, value in weighting.initial_state(3).items()}
    for epoch, expected in enumerate(PUBLISHED["dwa"]):
        # Within an epoch the weights stay, whatever the losses of its steps are.
        for losses in (np.ones(3, dtype), LOSSES[0].astype(dtype)):
            np.testing.assert_allclose(weighting(losses, state=state), expected, rtol=RTOL[dtype])
        if epoch < len(LOSSES):
            state = weighting.after_epoch(LOSSES[epoch].astype(dtype), state)


def test_two_tasks_by_hand() -> None:
    # Rates 0.5 and 1: exp(0.5), exp(1).
    weighting = DWA(temperature=1)
    weights = weighting([9.0, 9.0], state=after(weighting, [4.0, 3.0], [2.0, 3.0]))
    np.testing.assert_allclose(weights, 2 * np.exp([0.5, 1]) / np.exp([0.5, 1]).sum(), rtol=1e-6)


@pytest.mark.parametrize("absent", [float("nan"), float("inf"), 0.0])
def test_an_epoch_without_a_loss_leaves_the_rate(absent: float) -> None:
    weighting = DWA()
    state = after(weighting, [4.0, 3.0], [absent, 2.0], [1.0, absent])
    np.testing.assert_array_equal(state["last"], [1, 2])
    np.testing.assert_array_equal(state["last_but_one"], [4, 3])
