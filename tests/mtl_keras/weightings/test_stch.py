from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.weightings import State
from mtl_keras.weightings.stch import STCH
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL


def after(weighting: STCH, *epochs: list[float]) -> State:
    state = weighting.initial_state(len(epochs[0]))
    for losses in epochs:
        state = weighting.after_epoch(np.array(losses, "float32"), state)
    return state


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize(("mu", "warmup_epochs", "steps", "later"), PUBLISHED["stch"])
def test_published_weights(mu: float, warmup_epochs: int, steps: int, later: list[list[float]], dtype: str) -> None:
    """In the warm-up of some steps per epoch the weights are those of the logarithms."""
    weighting = STCH(mu, warmup_epochs)
    state: State = {name: value.astype(dtype) for name, value in weighting.initial_state(3).items()}
    warmup = (warmup_epochs + 1) * steps
    for step, expected in enumerate(PUBLISHED["log"][:warmup] + later):
        np.testing.assert_allclose(weighting(LOSSES[step].astype(dtype), state=state), expected, rtol=RTOL[dtype])
        if step % steps == steps - 1:
            mean = LOSSES[step + 1 - steps : step + 1].mean(axis=0)
            state = weighting.after_epoch(mean.astype(dtype), state)
    np.testing.assert_allclose(state["nadir"], LOSSES[warmup - steps : warmup].mean(axis=0))


def test_two_tasks_by_hand() -> None:
    weighting = STCH(mu=0.5, warmup_epochs=0)
    np.testing.assert_allclose(weighting([4.0, 8.0], preference=[1.0, 3.0]), [1 / 4, 3 / 8], rtol=1e-6)
    # With the nadir (4, 8) the ratios are 1/4 and 1/2, their squares (1 / mu = 2) are as 1 to 4: z = (1/5, 4/5).
    weights = weighting([1.0, 4.0], preference=[1.0, 3.0], state=after(weighting, [4.0, 8.0]))
    np.testing.assert_allclose(weights, [2 / 5 / 1, 3 * 8 / 5 / 4], rtol=1e-6)


def test_small_mu_takes_the_task_that_has_come_down_least() -> None:
    for mu in (1e-6, 0.01):
        weighting = STCH(mu=mu, warmup_epochs=0)
        state = after(weighting, [4.0, 8.0, 1.0])
        np.testing.assert_allclose(weighting([1.0, 4.0, 0.2], state=state), [0, 3 / 4, 0], atol=1e-6)


def test_each_task_counts_the_epochs_in_which_it_runs() -> None:
    weighting = STCH(warmup_epochs=1)
    state = after(weighting, [9.0, 9.0], [4.0, np.nan], [3.0, 5.0], [2.0, 1.0])
    np.testing.assert_array_equal(state["nadir"], [4, 5])
    np.testing.assert_array_equal(state["epochs"], [4, 3])
    # Before the second task has a nadir, the first is alone in the maximum: 1 / L for both.
    halfway = after(weighting, [9.0, 9.0], [4.0, np.nan])
    np.testing.assert_array_equal(halfway["nadir"], [4, 0])
    np.testing.assert_allclose(weighting([2.0, 8.0], state=halfway), [1 / 2, 1 / 8], rtol=1e-6)


def test_a_dropped_task_is_not_in_the_maximum() -> None:
    weighting = STCH(warmup_epochs=0)
    weights = weighting([1.0, np.nan, 4.0], preference=[1.0, 0.0, 1.0], state=after(weighting, [4.0, 1.0, 8.0]))
    np.testing.assert_allclose(weights, [2 / 3, 0, 4 / 3 / 4], rtol=1e-6)


@pytest.mark.parametrize("losses", [[0.0, 1.0, -1.0], [1e-38, 1.0, 1e38]])
def test_degenerate_losses(losses: list[float]) -> None:
    weighting = STCH(mu=1e-6, warmup_epochs=0)
    for nadir in ([1.0, 1.0, 1.0], [1e-38, 1.0, 1e38], [0.0, np.inf, np.nan]):
        state = after(weighting, nadir)
        weights = np.array(weighting(losses, state=state))
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        assert all(np.isfinite(np.array(entry)).all() for entry in state.values())
