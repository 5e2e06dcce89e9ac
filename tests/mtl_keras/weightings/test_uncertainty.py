from __future__ import annotations

import keras
import numpy as np
import pytest

from mtl_keras.weightings import Uncertainty
from tests.mtl_keras.weightings.reference import LOSSES, PUBLISHED, RTOL, one_step


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize(("log_variances", "weights", "gradients"), PUBLISHED["uncertainty"])
def test_published_weights_and_gradients(
    log_variances: list[float], weights: list[float], gradients: list[list[float]], dtype: str
) -> None:
    state = {**Uncertainty().initial_state(3), "log_variances": np.array(log_variances, dtype)}
    for losses, gradient in zip(LOSSES.astype(dtype), gradients, strict=True):
        np.testing.assert_allclose(Uncertainty()(losses, state=state), weights, rtol=RTOL[dtype])
        found = Uncertainty().gradient(losses, state)
        np.testing.assert_allclose(found, gradient, rtol=RTOL[dtype])


def test_two_tasks_by_hand() -> None:
    state = {**Uncertainty().initial_state(2), "log_variances": np.log([1.0, 2.0])}
    weights = Uncertainty()([5.0, 7.0], preference=[1.0, 3.0], state=state)
    np.testing.assert_allclose(weights, [0.5, 0.75])


def test_trained_as_by_keras_adam() -> None:
    """The task that is left out of every third step lags behind, as if those steps had not been."""
    weighting = Uncertainty(learning_rate=0.02)
    state = weighting.initial_state(2)
    found, left_out = [], []
    for step in range(30):
        preference = np.array([0.1, 0.0 if step % 3 == 0 else 7.0], "float32")
        state = one_step(weighting, LOSSES[step % 6, 1:].astype("float32"), preference=preference, state=state).state
        found.append(np.array(state["log_variances"]))
        left_out.append(step % 3 == 0)
    for task, steps in ((0, range(30)), (1, [step for step in range(30) if not left_out[step]])):
        variable = keras.Variable(0.0)
        optimizer = keras.optimizers.Adam(0.02)
        for step in steps:
            gradient = 0.5 - 0.5 * LOSSES[step % 6, 1 + task] * np.exp(-float(variable))
            optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
            assert found[step][task] == pytest.approx(float(variable), rel=1e-4)
    for step in (step for step in range(1, 30) if left_out[step]):
        assert found[step][1] == found[step - 1][1]


@pytest.mark.parametrize(("loss", "bound"), [(0.0, -20), (-1.0, -20), (3e38, 20)])
def test_log_variances_stay_within_bounds(loss: float, bound: float) -> None:
    weighting = Uncertainty(learning_rate=15)
    state = weighting.initial_state(1)
    for _ in range(5):
        state = one_step(weighting, np.array([loss], "float32"), state=state).state
    assert abs(float(state["log_variances"][0])) <= 20
    assert np.isfinite(weighting([loss], state=state)).all()
    assert np.sign(float(state["log_variances"][0])) == np.sign(bound)
