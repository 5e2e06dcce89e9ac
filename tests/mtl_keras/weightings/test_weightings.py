"""What every weighting must do, by its name in the registry."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings
from mtl_keras.weightings import WEIGHTINGS, LossWeighting, State
from tests.mtl_keras.weightings.reference import LOSSES

NAMES = WEIGHTINGS.names
ROWS = LOSSES.astype("float32")


def weighting_of(name: str) -> LossWeighting:
    weighting = weightings.get(name)
    assert isinstance(weighting, LossWeighting)
    return weighting


def trained(weighting: LossWeighting, rows: np.ndarray, preference: Any = None) -> State:
    """The state after epochs of one step each."""
    state = weighting.initial_state(rows.shape[1])
    preference = np.ones(rows.shape[1], "float32") if preference is None else np.array(preference, "float32")
    for losses in rows:
        state = weighting.after_step(losses, preference, state)
        state = weighting.after_epoch(np.where(preference > 0, losses, np.nan).astype("float32"), state)
    return state


@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    def test_works_on_plain_numbers(self, name: str) -> None:
        weights = np.array(weightings.get(name)([2.0, 0.5, 1.0]))
        assert weights.shape == (3,)
        assert (weights > 0).all()

    def test_permuted_tasks_have_permuted_weights(self, name: str) -> None:
        weighting, order = weighting_of(name), [2, 0, 1]
        preference = np.array([1.0, 0.5, 2.0], "float32")
        weights = weighting(ROWS[-1], preference, trained(weighting, ROWS))
        permuted = weighting(ROWS[-1][order], preference[order], trained(weighting, ROWS[:, order]))
        np.testing.assert_allclose(permuted, np.array(weights)[order], rtol=1e-6)

    def test_equal_tasks_have_equal_weights(self, name: str) -> None:
        rows = ROWS[:, [0, 1, 0]]
        weighting = weighting_of(name)
        weights = weighting(rows[-1], state=trained(weighting, rows))
        assert weights[0] == weights[2]

    def test_a_dropped_task_is_as_if_it_were_not_there(self, name: str) -> None:
        weighting, preference = weighting_of(name), [1.0, 0.0, 0.25]
        state = trained(weighting, ROWS, preference)
        weights = np.array(weighting(ROWS[-1], preference, state))
        assert weights[1] == 0
        without = trained(weighting, ROWS[:, [0, 2]], [1.0, 0.25])
        np.testing.assert_allclose(weights[[0, 2]], weighting(ROWS[-1, [0, 2]], [1.0, 0.25], without), rtol=1e-6)
        for entry, initial in zip(state.values(), weighting.initial_state(3).values(), strict=True):
            np.testing.assert_array_equal(entry[1], initial[1])

    def test_one_task_keeps_its_direction(self, name: str) -> None:
        (weight,) = np.array(weightings.get(name)([0.3]))
        assert weight == (0.5 if name == "uncertainty" else pytest.approx(1))

    @pytest.mark.parametrize("losses", [[0, 0, 0], [1e-38, 1, 1e38], [1e30, 1e30, 0], [1e-7, 1e-7, 1e-7]])
    @pytest.mark.parametrize("preference", [[1, 1, 1], [0, 0, 1], [0, 0, 0], [1e-10, 1, 1e10]])
    def test_finite_losses_have_finite_weights(self, name: str, losses: list[float], preference: list[float]) -> None:
        weighting = weighting_of(name)
        row = np.array(losses, "float32")
        state = trained(weighting, np.array([ROWS[0], row, ROWS[1], row]), preference)
        weights = np.array(weighting(row, preference, state))
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        assert all(np.isfinite(np.array(entry)).all() for entry in state.values())

    def test_state_has_a_row_for_each_task(self, name: str) -> None:
        weighting = weighting_of(name)
        initial, later = weighting.initial_state(3), trained(weighting, ROWS)
        assert set(initial) == set(later)
        assert all(np.shape(entry)[0] == 3 and entry.dtype == "float32" for entry in initial.values())
        assert all(np.shape(later[key]) == np.shape(initial[key]) for key in initial)

    def test_config_has_every_argument(self, name: str) -> None:
        weighting = weightings.get(name)
        assert set(weighting.get_config()) == set(inspect.signature(type(weighting)).parameters)
        saved = json.loads(json.dumps(weightings.serialize(weighting)))
        assert weightings.get(saved) == weighting
        assert type(weighting).from_config(weighting.get_config()) == weighting


def test_the_methods_differ() -> None:
    losses = ROWS[-1]
    found = [tuple(np.array(w(losses, state=trained(w, ROWS))).round(4)) for w in map(weighting_of, NAMES)]
    assert len(set(found)) == len(NAMES) == 4


def test_get() -> None:
    weighting = weightings.DWA(temperature=1.5)
    assert weightings.get(weighting) is weighting
    assert weightings.get("dwa(temperature=1.5)") == weighting
    assert weightings.get({"name": "dwa", "config": {"temperature": 1.5}}) == weighting


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("uncertainity", r"Unknown weighting\. Did you mean 'uncertainty'\? .*Choices: dwa, gls, static, uncertainty"),
        ("dwa(t=1)", "Unknown argument of weighting 'dwa'.*Choices: temperature"),
        ("dwa(1, 2)", "Wrong arguments for weighting 'dwa'"),
        (3, "A weighting is a name, a config or a Weighting object. Received: 3"),
        (None, "A weighting is a name, .*Received: None"),
    ],
)
def test_get_refuses(identifier: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weightings.get(identifier)
