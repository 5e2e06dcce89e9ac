"""MoDo, against published figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtl_keras.weightings.modo import MoDo
from tests.mtl_keras.weightings.reference import RTOL, one_step

# `J1 @ J2.T` of the gradients of three tasks in two of six samples.
HALVES = {
    (0, 1): [
        [2.8271375229053852, -0.8330901931406549, -9.548474828226936],
        [0.07660297534193045, 0.8820811482255766, 3.9284742638585226],
        [-6.405097339159979, 2.737982019725713, 38.55176418428081],
    ],
    (3, 4): [
        [1.6168468867250614, -0.5259015229599996, -2.9715001900497553],
        [0.15343199466026752, 0.6225082094640956, 2.6021985561802348],
        [-0.7536053857974645, 3.9138314091969506, 16.734644218657454],
    ],
    (1, 2): [
        [1.718036249426293, -0.6182808445036333, -7.702743171650975],
        [0.06537813594378089, 0.8710446672139172, 3.577091741591695],
        [-3.858970759489874, 3.0097123966370956, 33.82949380539317],
    ],
    (4, 5): [
        [0.9973274825856326, -0.0780024268179505, -2.2746797677551225],
        [-0.05499573566951817, 0.5545579497693787, 0.9226416954178992],
        [-2.287430766403103, 1.7761045490664893, 13.292154382346258],
    ],
    (2, 3): [
        [1.418732231146313, -0.2509034446748653, 0.20697547062266675],
        [-0.5901029443833566, 0.5917326302181718, 4.24091234153448],
        [-4.2946359151663955, 3.476520306014943, 31.689733766057508],
    ],
}
# LibMTL 4336804 and TorchJD 0.18.0 with rho = 0.1: weights in three steps.
PUBLISHED = {
    0.001: [
        [0.33943118469435524, 0.3352839893990592, 0.32528482590658564],
        [0.34236238493317733, 0.3365142499850487, 0.32112336508177397],
        [0.34776350720496046, 0.3383583672410711, 0.31387812555396843],
    ],
    0.1: [
        [0.707359764764804, 0.2926402352351961, 0.0],
        [0.6677325673907839, 0.32706922511260095, 0.005198207496615231],
        [0.5684139995038272, 0.286935908815466, 0.14465009168070675],
    ],
}


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("gamma", PUBLISHED)
def test_published_steps(gamma: float, dtype: str) -> None:
    weighting = MoDo(gamma=gamma)
    state: Any = {"shares": np.full(3, 1 / 3, dtype)}
    for halves, expected in zip(((0, 1), (3, 4), (1, 2)), PUBLISHED[gamma]):
        weights, _, state = one_step(weighting, np.array(HALVES[halves], dtype), state=state)
        np.testing.assert_allclose(weights, expected, rtol=RTOL[dtype], atol=1e-7 if dtype == "float32" else 1e-12)


def test_two_tasks_by_hand() -> None:
    # w = (1/2, 1/2), G w = (1, 3) / 2: (0.5 - 0.05, 0.5 - 0.15) = (0.45, 0.35), to which 0.1 each is added.
    np.testing.assert_allclose(MoDo(gamma=0.1, rho=0)([[1.0, 0.0], [1.0, 2.0]]), [0.55, 0.45], rtol=1e-6)


def test_a_large_rho_makes_weights_equal() -> None:
    state = {"shares": np.array([0.9, 0.1])}
    np.testing.assert_allclose(MoDo(gamma=0.1, rho=10)(np.zeros((2, 2)), state=state), [0.5, 0.5])


def test_degenerate_gradients() -> None:
    np.testing.assert_allclose(MoDo()(np.zeros((3, 3))), [1 / 3] * 3, rtol=1e-6)
    np.testing.assert_allclose(MoDo()([[-7.0]]), [1])
    for scale in (1e-36, 1e36):
        weights = np.array(MoDo()(scale * np.array(HALVES[0, 1])))
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()
    # Only a task runs that has lost all of its weight.
    state = {"shares": np.array([1.0, 0.0, 0.0])}
    np.testing.assert_allclose(MoDo()(np.eye(3), preference=[0, 1, 1], state=state), [0, 0.5, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(MoDo()(np.eye(3), preference=[0, 0, 0]), [0, 0, 0])


@pytest.mark.parametrize("arguments", [{"gamma": 0}, {"gamma": -1}, {"gamma": "slow"}, {"rho": -0.1}])
def test_impossible_arguments(arguments: dict[str, Any]) -> None:
    (name,) = arguments
    with pytest.raises(ValueError, match=rf"{name} must be .*Received: {name}="):
        MoDo(**arguments)
