from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings
from mtl_keras.weightings.aligned_mtl import AlignedMTL
from mtl_keras.weightings.base import WEIGHTINGS
from mtl_keras.weightings.cr_mogm import CRMOGM
from mtl_keras.weightings.gradnorm import GradNorm
from mtl_keras.weightings.mgda import MGDA
from mtl_keras.weightings.modo import MoDo
from mtl_keras.weightings.pcgrad import PCGrad
from tests.mtl_keras.weightings.reference import one_step


def test_two_tasks_by_hand() -> None:
    # MGDA of orthogonal gradients with squares 1 and 3 is (3, 1) / 4; of 1 and 1 it is (1, 1) / 2.
    weighting = CRMOGM(alpha=0.9)
    weights, _, state = one_step(weighting, np.diag([1.0, 3.0]), state=weighting.initial_state(2))
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)
    weights, _, state = one_step(weighting, np.eye(2), state=state)
    np.testing.assert_allclose(weights, [0.725, 0.275], rtol=1e-6)
    weights, _, _ = one_step(weighting, np.eye(2), state=state)
    np.testing.assert_allclose(weights, [0.7025, 0.2975], rtol=1e-6)


def test_extreme_alphas() -> None:
    for alpha, expected in ((0, [0.5, 0.5]), (1, [0.75, 0.25])):
        weighting = CRMOGM(alpha=alpha)
        _, _, state = one_step(weighting, np.diag([1.0, 3.0]), state=weighting.initial_state(2))
        np.testing.assert_allclose(weighting(np.eye(2), state=state), expected, rtol=1e-6)


def test_dropped_tasks_keep_their_weight() -> None:
    weighting = CRMOGM(alpha=0.5)
    _, _, state = one_step(weighting, np.diag([1.0, 3.0, 1.0]), preference=[1, 1, 0], state=weighting.initial_state(3))
    weights, _, after = one_step(weighting, np.diag([1.0, 3.0, 1.0]), preference=[0, 1, 1], state=state)
    # The second had 1/4 and has it again, the third is new.
    np.testing.assert_allclose(weights, [0, 0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(after["smoothed"], [0.75, 0.25, 0.75], rtol=1e-6)
    np.testing.assert_array_equal(after["started"], [1, 1, 1])


def test_the_state_of_the_inner_method_is_updated() -> None:
    weighting, gramian = CRMOGM(weighting=MoDo(gamma=0.1), alpha=0), np.diag([1.0, 2.0, 4.0])
    assert weighting.needs == {"gramian", "two_halves"}
    assert CRMOGM().needs == {"gramian"}
    state, inner = weighting.initial_state(3), MoDo(gamma=0.1).initial_state(3)
    for _ in range(3):
        weights, _, state = one_step(weighting, gramian, state=state)
        expected, _, inner = one_step(MoDo(gamma=0.1), gramian, state=inner)
        np.testing.assert_allclose(weights, expected)
    np.testing.assert_array_equal(state["inner_shares"], inner["shares"])
    assert all(np.shape(value)[0] == 3 for value in state.values())
    trained = CRMOGM(weighting="gradnorm")
    state = trained.after_epoch(np.array([1.0, 2.0], "float32"), trained.initial_state(2))
    np.testing.assert_array_equal(state["inner_first"], [1, 2])


@pytest.mark.parametrize(
    ("given", "inner"),
    [
        ("mgda", MGDA()),
        ("pcgrad(seed=3)", PCGrad(seed=3)),
        ({"name": "aligned_mtl", "config": {"scale_mode": "rmse"}}, AlignedMTL(scale_mode="rmse")),
        (GradNorm(alpha=2), GradNorm(alpha=2)),
    ],
)
def test_config_round_trip(given: Any, inner: Any) -> None:
    weighting = CRMOGM(weighting=given, alpha=0.5, update_every=3)
    assert weighting.weighting == inner
    saved = json.loads(json.dumps(weightings.serialize(weighting)))
    assert WEIGHTINGS.get(saved) == weighting
    assert CRMOGM.from_config(weighting.get_config()) == weighting
    assert hash(WEIGHTINGS.get(saved)) == hash(weighting)


def test_refuses_other_weightings() -> None:
    with pytest.raises(ValueError, match=r"weighting must be a method that uses the Gramian.*Received: .*mgda"):
        CRMOGM(weighting="dwa")
    with pytest.raises(ValueError, match=r"A weighting is a name, .*Received: 3"):
        CRMOGM(weighting=3)
