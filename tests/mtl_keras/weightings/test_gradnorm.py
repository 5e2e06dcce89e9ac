from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from mtl_keras.weightings.gradnorm import GradNorm
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL, one_step

# Norms of the gradients in the epochs after the first, whose losses are the first row of LOSSES.
NORMS = PUBLISHED["gradnorm"]["norms"]


def started(weighting: GradNorm, dtype: str = "float64") -> dict[str, Any]:
    """The state after the first epoch."""
    state = {name: value.astype(dtype) for name, value in weighting.initial_state(3).items()}
    return dict(weighting.after_epoch(LOSSES[0].astype(dtype), state))


def gramian_of(norms: list[float], dtype: str = "float64") -> np.ndarray:
    return np.diag(np.square(norms)).astype(dtype)


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights_and_gradients(dtype: str) -> None:
    """With an SGD of 0.1: the logits before each step, the weights and the gradients."""
    weighting, active = GradNorm(), np.ones(3, bool)
    for norms, losses, (logits, weights, gradient) in zip(NORMS, LOSSES[1:], PUBLISHED["gradnorm"]["sgd"]):
        state = started(weighting, dtype) | {"logits": np.array(logits, dtype)}
        np.testing.assert_allclose(weighting(gramian_of(norms, dtype), losses, state=state), weights, rtol=RTOL[dtype])
        found = weighting.gradient(
            ops.convert_to_tensor(gramian_of(norms)),
            ops.convert_to_tensor(losses),
            ops.convert_to_tensor(active),
            state,
        )
        np.testing.assert_allclose(found, gradient, rtol=RTOL[dtype])


@pytest.mark.parametrize("dtype", RTOL)
def test_published_training(dtype: str) -> None:
    """With the Adam of torch, from equal logits."""
    weighting = GradNorm(learning_rate=0.01)
    state: Any = started(weighting, dtype)
    for norms, losses, expected in zip(NORMS, LOSSES[1:], PUBLISHED["gradnorm"]["adam"]):
        weights, _, state = one_step(weighting, gramian_of(norms, dtype), losses.astype(dtype), state=state)
        np.testing.assert_allclose(weights, expected, rtol=RTOL[dtype])


def test_two_tasks_by_hand() -> None:
    # Losses fell to 1/2 and to 1/4: mean 3/8, r = (4/3, 2/3). With alpha = 1 and norms 1 and 3, whose mean is 2, the
    # targets are 8/3 and 4/3: the first is too small, the second too large. Slopes (-1, 3); less their mean: (-2, 2).
    weighting = GradNorm(alpha=1)
    state = dict(weighting.initial_state(2)) | {"first": np.array([2.0, 4.0])}
    given = (ops.convert_to_tensor(each) for each in (np.diag([1.0, 9.0]), np.ones(2), np.ones(2, bool)))
    np.testing.assert_allclose(weighting.gradient(*given, state), [-2, 2])


def test_weights_are_1_until_first_losses_are_known() -> None:
    weighting = GradNorm()
    state = weighting.initial_state(3)
    weights, _, state = one_step(weighting, gramian_of(NORMS[0]), LOSSES[0], state=state)
    np.testing.assert_array_equal(weights, [1, 1, 1])
    np.testing.assert_array_equal(state["logits"], 0)
    state = weighting.after_epoch(np.array([2.0, np.nan, 0.5], "float32"), state)
    _, _, state = one_step(weighting, gramian_of(NORMS[0]), LOSSES[1], state=state)
    np.testing.assert_array_equal(np.array(state["logits"]) != 0, [True, False, True])
    state = weighting.after_epoch(np.array([7.0, 3.0, 7.0], "float32"), state)
    np.testing.assert_array_equal(state["first"], [2, 3, 0.5])


def test_losses_are_compared_without_preferences() -> None:
    weighting = GradNorm()
    _, _, state = one_step(weighting, gramian_of(NORMS[0]), LOSSES[1], state=started(weighting))
    preference = np.array([0.5, 2.0, 4.0])
    scaled = gramian_of(NORMS[0]) / np.outer(preference, preference)
    weights, _, other = one_step(weighting, scaled, LOSSES[1], preference, started(weighting))
    np.testing.assert_allclose(np.array(weights), preference)
    np.testing.assert_allclose(np.array(other["logits"]), np.array(state["logits"]), rtol=1e-6)
