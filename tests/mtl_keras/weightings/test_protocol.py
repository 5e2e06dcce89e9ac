"""The protocol between a training step and a weighting."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings
from mtl_keras.weightings import WEIGHTINGS, Direction, Previous, State, StepInputs, Weighting
from tests.mtl_keras.weightings.driver import FOUR_JACOBIANS, FOUR_LOSSES

PREFERENCE = np.array([1.0, 0.5, 0.0, 2.0], "float32")
JACOBIAN, LOSSES = FOUR_JACOBIANS[1].astype("float32"), FOUR_LOSSES[1].astype("float32")
GRAMIAN = JACOBIAN @ JACOBIAN.T


class Recorder(Weighting):
    """Returns weights of 1 and keeps its inputs."""

    needs = frozenset({"gramian", "jacobian", "losses_after"})

    def __init__(self) -> None:
        self.inputs: Any = None

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"steps": np.zeros(tasks, "float32")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        self.inputs = inputs
        ones = np.ones(4)
        return Direction(np.sum(inputs.jacobian, axis=0), ones), {"steps": state["steps"] + np.ones(4)}


def inputs_of(weighting: Weighting) -> dict[str, Any]:
    inputs: dict[str, Any] = {"losses": LOSSES, "preference": PREFERENCE}
    inputs |= {name: value for name, value in (("gramian", GRAMIAN), ("jacobian", JACOBIAN)) if name in weighting.needs}
    if "losses_after" in weighting.needs:
        inputs["previous"] = Previous(FOUR_LOSSES[0], FOUR_LOSSES[1], PREFERENCE)
    return inputs


@pytest.mark.parametrize("name", WEIGHTINGS.names)
class TestEvery:
    def test_update_is_pure_and_has_the_documented_shapes(self, name: str) -> None:
        weighting = weightings.get(name)
        state = weighting.step(weighting.initial_state(4, 16), **inputs_of(weighting)).state
        state = {key: np.array(value) for key, value in state.items()}
        before = {key: value.copy() for key, value in state.items()}
        first, second = (weighting.step(state, **inputs_of(weighting)) for _ in range(2))
        assert set(first.state) == set(state)
        for key, value in state.items():
            assert np.array(first.state[key]).dtype == "float32"
            assert np.shape(first.state[key]) == np.shape(value) == np.shape(weighting.initial_state(4, 16)[key])
            np.testing.assert_array_equal(value, before[key])
            np.testing.assert_array_equal(first.state[key], second.state[key])
        np.testing.assert_array_equal(first.weights, second.weights)
        assert np.shape(first.weights) == (4,)
        assert np.array(first.weights)[2] == 0
        assert np.array(first.weights).dtype == "float32"
        assert (first.direction is None) == ("jacobian" not in weighting.needs)
        if first.direction is not None:
            assert np.shape(first.direction) == (16,)
            np.testing.assert_array_equal(first.direction, second.direction)

    def test_arguments_are_alike(self, name: str) -> None:
        shared = {"update_every", "representation"}
        for argument, parameter in inspect.signature(WEIGHTINGS[name]).parameters.items():
            expected = parameter.KEYWORD_ONLY if argument in shared else parameter.POSITIONAL_OR_KEYWORD
            assert parameter.kind == expected, argument


def test_the_inputs_of_update() -> None:
    weighting = Recorder()
    losses = np.array([2.0, 0.5, np.nan, 1.5], "float32")
    step = weighting.step(
        weighting.initial_state(4), losses=losses, preference=PREFERENCE, gramian=GRAMIAN, jacobian=JACOBIAN
    )
    inputs = weighting.inputs
    np.testing.assert_array_equal(inputs.losses, [2, 0.5, 1, 1.5])
    np.testing.assert_array_equal(inputs.weighted_losses, [2, 0.25, 1, 3])
    np.testing.assert_array_equal(inputs.preference, PREFERENCE)
    np.testing.assert_array_equal(inputs.active, [True, True, False, True])
    np.testing.assert_allclose(inputs.gramian, GRAMIAN * np.outer(PREFERENCE, PREFERENCE), rtol=1e-6)
    assert np.array(inputs.gramian).dtype == "float64"
    np.testing.assert_array_equal(inputs.jacobian, JACOBIAN * PREFERENCE[:, None])
    np.testing.assert_array_equal(inputs.previous, np.zeros((3, 4)))
    np.testing.assert_array_equal(step.weights, PREFERENCE)
    np.testing.assert_allclose(step.direction, PREFERENCE @ JACOBIAN, rtol=1e-6)
    np.testing.assert_array_equal(step.state["steps"], 1)


def test_gradients_that_are_not_finite_change_no_state() -> None:
    weighting, jacobian = Recorder(), JACOBIAN.copy()
    jacobian[0, 3] = np.inf
    step = weighting.step(weighting.initial_state(4), losses=LOSSES, gramian=GRAMIAN, jacobian=jacobian)
    np.testing.assert_array_equal(step.state["steps"], 0)
    gramian = GRAMIAN.copy()
    gramian[1, 1] = np.nan
    step = weighting.step(weighting.initial_state(4), losses=LOSSES, gramian=gramian, jacobian=JACOBIAN)
    np.testing.assert_array_equal(step.state["steps"], 0)
    np.testing.assert_array_equal(weighting.inputs.gramian, np.eye(4))


def test_called_with_a_jacobian_it_computes_the_gramian() -> None:
    weighting = Recorder()
    np.testing.assert_allclose(weighting(JACOBIAN), JACOBIAN.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(weighting.inputs.gramian, GRAMIAN, rtol=1e-5)


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (
            {"gramians"},
            r"Unknown value in Bad\.needs\. Did you mean 'gramian'\? Received: 'gramians'\.",
        ),
        ("gramian", r"Unknown value in Bad\.needs.*Received: 'gramian'"),
        ({"two_halves"}, r"Bad\.needs must have 'gramian' too\. Received: \['two_halves'\]"),
    ],
)
def test_needs_that_are_refused(needs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        type("Bad", (Weighting,), {"needs": needs, "update": Recorder.update})
    bad = type("Bad", (Weighting,), {"needs": property(lambda self: needs), "update": Recorder.update})
    with pytest.raises(ValueError, match=message):
        bad().step({}, losses=LOSSES)


@pytest.mark.parametrize(("name", "missing"), [("gls", "losses"), ("mgda", "gramian"), ("graddrop", "jacobian")])
def test_missing_inputs(name: str, missing: str) -> None:
    with pytest.raises(ValueError, match=rf"{missing} is needed\. Received: {missing}=None"):
        weightings.get(name).step(weightings.get(name).initial_state(4, 16))


@dataclass(frozen=True)
class Halves(weightings.GramianWeighting):
    needs = frozenset({"gramian", "two_halves"})

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        return np.ones(2), state


def test_a_representation_is_needed_where_it_is_asked_for() -> None:
    assert weightings.MGDA(representation=True).needs == {"gramian", "representation"}
    assert weightings.MGDA().needs == {"gramian"}
    assert weightings.CRMOGM("mgda", representation=True).needs == {"gramian", "representation"}
    with pytest.raises(ValueError, match=r"representation=True is not possible .*Received: Halves\("):
        Halves(representation=True)
