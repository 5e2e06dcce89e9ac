from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings import Previous, State
from mtl_keras.weightings.famo import FAMO
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL, one_step

ONES = np.ones(3, "float32")
# Of the same batch after each step; in one run the losses of the next batch take their place.
AFTER = np.array(PUBLISHED["famo"]["losses_after"])
RUNS = PUBLISHED["famo"]["runs"]


def initial(weighting: FAMO, dtype: str, tasks: int = 3) -> State:
    return {name: value.astype(dtype) for name, value in weighting.initial_state(tasks).items()}


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("run", RUNS)
def test_published_weights(run: dict[str, Any], dtype: str) -> None:
    weighting, weights, logits = FAMO(gamma=run["gamma"]), run["weights"], run["logits"]
    later = AFTER if run["after"] == "same batch" else LOSSES[1:]
    assert weighting.needs == {"losses_after"}
    state, previous = initial(weighting, dtype), None
    atol = RTOL[dtype] / 1000
    known = [[0.0, 0.0, 0.0], *logits]
    for before, after, expected, moved in zip(LOSSES.astype(dtype), later.astype(dtype), weights, known, strict=False):
        found, _, state = one_step(weighting, before, state=state, previous=previous)
        np.testing.assert_allclose(found, expected, rtol=RTOL[dtype])
        np.testing.assert_allclose(state["logits"], moved, rtol=RTOL[dtype], atol=atol)
        previous = Previous(before, after, ONES)
    state = one_step(weighting, before, state=state, previous=previous).state
    np.testing.assert_allclose(state["logits"], logits[-1], rtol=RTOL[dtype], atol=atol)


def test_published_gradients() -> None:
    weighting = FAMO()
    logits = [[0.0, 0.0, 0.0], *RUNS[1]["logits"]]
    for before, after, start, gradient in zip(LOSSES, AFTER, logits, PUBLISHED["famo"]["gradients"], strict=False):
        found = weighting.gradient(np.log(before) - np.log(after), ONES > 0, {"logits": np.array(start)})
        np.testing.assert_allclose(found, gradient, rtol=1e-5, atol=1e-9)


def test_without_another_forward_pass_the_logits_move_one_step_later() -> None:
    """The losses after a step of the first run are those of the next one: the same changes, seen a step later."""
    weighting = FAMO(same_batch=False)
    assert weighting.needs == set()
    state = one_step(weighting, LOSSES[0], state=initial(weighting, "float64")).state
    np.testing.assert_array_equal(state["logits"], 0)
    for losses, moved in zip(LOSSES[1:], RUNS[0]["logits"], strict=True):
        state = one_step(weighting, losses, state=state).state
        np.testing.assert_allclose(state["logits"], moved, rtol=1e-6)


def test_two_tasks_by_hand() -> None:
    # exp(w) = (1, 3), over the losses (2, 4): 1/2 and 3/4, that is 2/5 and 3/5; times the preferences.
    weighting = FAMO()
    state = {**weighting.initial_state(2), "logits": np.log([1.0, 3.0])}
    np.testing.assert_allclose(weighting(np.array([2.0, 4.0]), preference=[1.0, 5.0], state=state), [0.4, 3], rtol=1e-6)
    # z = (1/4, 3/4), gains log 2 and log 8: their mean is 2.5 log 2; gradients -1.5 log 2 / 4 and 0.5 log 2 * 3 / 4.
    gradient = weighting.gradient(np.log([2.0, 8.0]), np.ones(2, bool), state)
    np.testing.assert_allclose(gradient, 0.375 * np.log([0.5, 2.0]), rtol=1e-6)
    # Adam's first step is one learning rate against the sign of the gradient.
    moved = one_step(weighting, ONES[:2], previous=Previous(ONES[:2], np.array([0.5, 0.9]), ONES[:2]))
    np.testing.assert_allclose(moved.state["logits"], [-0.025, 0.025], rtol=1e-5)


def test_a_task_that_was_away_is_compared_with_its_last_batch() -> None:
    weighting = FAMO(same_batch=False)
    state = initial(weighting, "float32", 2)
    for losses, preference in (([4.0, 1.0], [1.0, 1.0]), ([9.0, 0.5], [0.0, 1.0]), ([2.0, 0.5], [1.0, 1.0])):
        state = one_step(weighting, np.array(losses, "float32"), None, preference, state).state
        if preference[0] == 0:
            assert np.array(state["last"])[0] == 4
    # In the third step the first task's loss has been halved, and the second's has stayed.
    assert np.array(state["logits"])[0] < 0 < np.array(state["logits"])[1]
    np.testing.assert_array_equal(state["steps"], [1, 2])


@pytest.mark.parametrize("same_batch", [True, False])
def test_losses_that_are_not_finite(same_batch: bool) -> None:
    weighting, row = FAMO(same_batch=same_batch), np.array([np.nan, np.inf, 1.0], "float32")
    state = initial(weighting, "float32")
    previous = None
    for before, after in ((ONES, row), (row, row), (row, ONES), (ONES, ONES), (ONES, ONES)):
        state = one_step(weighting, before, state=state, previous=previous).state
        previous = Previous(before, after, ONES)
        assert all(np.isfinite(np.array(entry)).all() for entry in state.values())
    np.testing.assert_allclose(weighting(row, preference=np.isfinite(row), state=state), [0, 0, 1])
