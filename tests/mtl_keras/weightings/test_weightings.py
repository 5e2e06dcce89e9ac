"""What every method must do as an entry of the registry: be made, called, compiled, saved and refused."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings
from mtl_keras.weightings import WEIGHTINGS
from tests.mtl_keras.weightings.driver import FOUR_JACOBIANS, FOUR_LOSSES, driver
from tests.mtl_keras.weightings.test_properties import MAY_BE_NEGATIVE

NAMES = WEIGHTINGS.names
LOSS_NAMES = [name for name in NAMES if not {"gramian", "jacobian"} & weightings.get(name).needs]

# What one task of the loss 0.3 is multiplied by, where that is not 1.
ALONE = {
    "db_mtl": 0.1 / 0.3,  # the logarithm's derivative, and a tenth of it in the average that begins with 0
    "dtp": 0.3 * (1 - np.exp(-0.3)) ** weightings.get("dtp").gamma,
    "log": 1 / 0.3,
    "moco": 0.5 * 0.3 / 5,  # as long as the loss instead of 5, tracked by halves
    "stch": 1 / 0.3,
    "uncertainty": 0.5,
}


@pytest.fixture(autouse=True)
def _same_start() -> None:
    """Instead of the seeding for every test, after which TensorFlow would prepare all traced steps anew."""


@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    def test_works_on_plain_numbers(self, name: str) -> None:
        gradients: Any = [[2.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.5, 3.0]]
        found = weightings.get(name)([2.0, 0.5, 1.0] if name in LOSS_NAMES else gradients)
        assert np.shape(found) == (3,)
        assert np.isfinite(found).all()
        assert np.any(found)

    @pytest.mark.filterwarnings("ignore:(krum|trimmed_mean)")  # of one task they take the mean, and say so
    def test_one_task_keeps_its_direction(self, name: str) -> None:
        jacobian = np.zeros((1, 16))
        jacobian[0, :2] = 3, -4
        step = driver(name).step(jacobian, [0.3], eager=True)
        np.testing.assert_allclose(step.vector, ALONE.get(name, 1) * jacobian[0], rtol=1e-5)

    def test_state_has_a_row_for_each_task(self, name: str) -> None:
        initial = driver(name).initial(4)
        later = driver(name).train(FOUR_JACOBIANS, FOUR_LOSSES)[-1].state
        assert set(initial) == set(later)
        for entry, value in initial.items():
            assert isinstance(value, np.ndarray)
            assert value.dtype == "float32"
            assert value.shape == np.shape(later[entry])
            assert value.shape[0] == 4
        assert not initial or any(np.any(later[entry] != initial[entry]) for entry in initial)

    def test_xla_takes_it(self, name: str) -> None:
        # Shapes that depend on the numbers, and branches on them, would be refused.
        assert "ENTRY" in driver(name).hlo(3)

    def test_no_preference_at_all_is_no_step(self, name: str) -> None:
        before = driver(name).settled(driver(name).train(FOUR_JACOBIANS[:3], FOUR_LOSSES[:3])[-1].state)
        step = driver(name).step(FOUR_JACOBIANS[3], FOUR_LOSSES[3], np.zeros(4), before)
        np.testing.assert_array_equal(step.weights, 0)
        np.testing.assert_array_equal(step.vector, 0)
        for entry in set(before) - {"draws"}:
            np.testing.assert_array_equal(step.state[entry], before[entry], err_msg=entry)

    def test_config_has_every_argument(self, name: str) -> None:
        weighting = weightings.get(name)
        assert set(weighting.get_config()) == set(inspect.signature(type(weighting)).parameters)
        saved = json.loads(json.dumps(weightings.serialize(weighting)))
        assert saved["name"] == name
        assert weightings.get(saved) == weighting
        assert type(weighting).from_config(weighting.get_config()) == weighting
        assert hash(weightings.get(saved)) == hash(weighting)

    def test_capitals_and_underscores_do_not_matter(self, name: str) -> None:
        assert weightings.get(type(weightings.get(name)).__name__) == weightings.get(name)


@pytest.mark.parametrize("name", LOSS_NAMES)
@pytest.mark.parametrize("losses", [[0, 0, 0], [1e-38, 1, 1e38], [1e30, 1e30, 0], [1e-7, 1e-7, 1e-7]])
@pytest.mark.parametrize("preference", [[1, 1, 1], [0, 0, 1], [1e-10, 1, 1e10]])
def test_finite_losses_have_finite_weights(name: str, losses: list[float], preference: list[float]) -> None:
    row, usual = np.array(losses), FOUR_LOSSES[:, :3]
    for step in driver(name).train(np.zeros((3, 3, 16)), np.array([usual[0], row, row]), preference):
        assert np.isfinite(step.weights).all()
        assert (step.weights >= 0).all() or name in MAY_BE_NEGATIVE
        assert all(np.isfinite(entry).all() for entry in step.state.values())


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(LOSS_NAMES)))
def test_gradients_that_are_not_finite_change_no_state(name: str) -> None:
    before = driver(name).train(FOUR_JACOBIANS[:3], FOUR_LOSSES[:3])[-1].state
    for bad in (np.nan, np.inf):
        jacobian = FOUR_JACOBIANS[3].copy()
        jacobian[1, 5] = bad
        step = driver(name).step(jacobian, FOUR_LOSSES[3], None, before)
        for entry in before:
            np.testing.assert_array_equal(step.state[entry], before[entry], err_msg=entry)


def test_get() -> None:
    weighting = weightings.DWA(temperature=1.5)
    assert weightings.get(weighting) is weighting
    assert weightings.get("dwa(temperature=1.5)") == weighting
    assert weightings.get({"name": "dwa", "config": {"temperature": 1.5}}) == weighting


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("uncertainity", rf"Unknown weighting\. Did you mean 'uncertainty'\? .*Choices: {', '.join(NAMES)}"),
        ("dwa(t=1)", "Unknown argument of weighting 'dwa'.*Choices: temperature"),
        ("dwa(1, 2)", "Wrong arguments for weighting 'dwa'"),
        (3, "A weighting is a name, a config or a Weighting object. Received: 3"),
        (3, "A weighting is a name, .*Received: 3"),
    ],
)
def test_get_refuses(identifier: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weightings.get(identifier)
