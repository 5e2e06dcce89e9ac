"""GradNorm, against published gradients and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from mtl_keras.weightings.gradnorm import GradNorm
from tests.mtl_keras.weightings.reference import LOSSES, RTOL, one_step

# Norms of the gradients in the epochs after the first one, whose losses are the first row of LOSSES.
NORMS = [
    [1.8611901364535262, 1.296920420996235, 8.17642867625111],
    [1.2863291498406686, 0.8648806877466186, 7.319857111465157],
    [1.6978579137681915, 0.8948146980448698, 7.476993689248643],
    [1.4113484598775807, 0.8752523713734992, 4.459911502723773],
    [0.9891033348043045, 0.7895163350653074, 4.824776799491134],
]
# LibMTL 4336804 with an SGD of 0.1: the s before each step, the weights and the gradients.
PUBLISHED = [
    (
        [0.5, 1.0, -0.3],
        [0.9683509861410847, 1.5965408683542515, 0.43510814550466365],
        [-1.700530646395871, -1.902821386688121, 3.6033520330839917],
    ),
    (
        [0.6700530646395871, 1.190282138668812, -0.6603352033083991],
        [1.0180577671088973, 1.712793624868839, 0.2691486080222637],
        [-1.0310201169401974, -1.0127474116849091, 2.0437675286251062],
    ),
    (
        [0.7731550763336069, 1.291556879837303, -0.8647119561709098],
        [1.0439372944429977, 1.7531273117375643, 0.20293539381943793],
        [1.1735574107563562, -2.5744814027183107, 1.4009239919619543],
    ),
    (
        [0.6557993352579713, 1.549005020109134, -1.0048043553671053],
        [0.8257700447697263, 2.0173136386278574, 0.15691631660241626],
        [0.5512759447780422, 0.26526475565293167, -0.8165407004309737],
    ),
    (
        [0.600671740780167, 1.522478544543841, -0.923150285324008],
        [0.8039218861007689, 2.0209215750563234, 0.17515653884290755],
        [-1.236107608638862, 0.4870885965338784, 0.7490190121049835],
    ),
]
# With torch's Adam at 0.01, from equal s.
ADAM_WEIGHTS = [
    [1.0, 1.0, 1.0],
    [1.0066442975204715, 1.0066442975150591, 0.9867114049644692],
    [1.0131897755335249, 1.0132034215127785, 0.9736068029536968],
    [1.0197230366015562, 1.0196879322164942, 0.9605890311819496],
    [1.0260386856159671, 1.0258769440545756, 0.9480843703294575],
]


def started(weighting: GradNorm, dtype: str = "float64") -> dict[str, Any]:
    """The state after the first epoch."""
    state = {name: value.astype(dtype) for name, value in weighting.initial_state(3).items()}
    return dict(weighting.after_epoch(LOSSES[0].astype(dtype), state))


def gramian_of(norms: list[float], dtype: str = "float64") -> np.ndarray:
    return np.diag(np.square(norms)).astype(dtype)


@pytest.mark.parametrize("dtype", RTOL)
def test_published_weights_and_gradients(dtype: str) -> None:
    weighting, active = GradNorm(), np.ones(3, bool)
    for norms, losses, (logits, weights, gradient) in zip(NORMS, LOSSES[1:], PUBLISHED):
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
    weighting = GradNorm(learning_rate=0.01)
    state: Any = started(weighting, dtype)
    for norms, losses, expected in zip(NORMS, LOSSES[1:], ADAM_WEIGHTS):
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


def test_norms_approach_each_other() -> None:
    weighting = GradNorm(alpha=0, learning_rate=0.05)
    state: Any = started(weighting)
    step = tf.function(lambda state: one_step(weighting, np.diag([1.0, 100.0, 4.0]), LOSSES[1], state=state))
    for _ in range(120):
        weights, _, state = step(state)
    norms = np.array(weights) * [1, 10, 2]
    np.testing.assert_allclose(norms, norms.mean(), rtol=0.1)


def test_losses_are_compared_without_preferences() -> None:
    weighting = GradNorm()
    _, _, state = one_step(weighting, gramian_of(NORMS[0]), LOSSES[1], state=started(weighting))
    preference = np.array([0.5, 2.0, 4.0])
    scaled = gramian_of(NORMS[0]) / np.outer(preference, preference)
    weights, _, other = one_step(weighting, scaled, LOSSES[1], preference, started(weighting))
    np.testing.assert_allclose(np.array(weights), preference)
    np.testing.assert_allclose(np.array(other["logits"]), np.array(state["logits"]), rtol=1e-6)


@pytest.mark.parametrize("losses", [[0, 0, 0], [1e-18, 1, 1e18], [np.nan, 1, np.inf]])
@pytest.mark.parametrize("squares", [[0, 0, 0], [1e-36, 1, 1e36]])
def test_degenerate_numbers(squares: list[float], losses: list[float]) -> None:
    weighting = GradNorm(learning_rate=15)
    state: Any = started(weighting, "float32")
    for _ in range(3):
        weights, _, state = one_step(weighting, np.diag(squares), np.array(losses), state=state)
        assert np.isfinite(np.array(weights)).all()
        assert np.array(weights).sum() == pytest.approx(3)
    assert all(np.isfinite(np.array(value)).all() for value in state.values())
    np.testing.assert_array_equal(weighting([[4.0]], [1.0]), [1])
    np.testing.assert_array_equal(weighting(np.diag(squares), losses, [0, 0, 0]), [0, 0, 0])


@pytest.mark.parametrize("arguments", [{"alpha": -1}, {"learning_rate": 0}, {"learning_rate": "fast"}])
def test_impossible_arguments(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=rf"{name} must be .*Received: {name}="):
        GradNorm(**arguments)
