"""Properties of every method: symmetry, dropped tasks, signs, conflicts and scales."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mtl_keras import weightings
from mtl_keras.weightings import WEIGHTINGS, State
from tests.mtl_keras.weightings.driver import FOUR_JACOBIANS, FOUR_LOSSES, Driver, Step, driver
from tests.mtl_keras.weightings.gramians import CASES, Case

NAMES = WEIGHTINGS.names
BY_LOSSES = [name for name in NAMES if not {"gramian", "jacobian"} & weightings.get(name).needs]
PREFERENCE = np.array([1.0, 0.5, 2.0, 1.0])
ORDER = [2, 0, 3, 1]

# These draw random numbers for each task: what holds for the others holds for the distribution of their weights.
DRAWN_BY_TASK = ["gradvac", "pcgrad", "rlw"]
EXACT = [name for name in NAMES if name not in DRAWN_BY_TASK] + ["famo(same_batch=False)"]
# The same method with the tasks in another order, where one task has a role of its own.
REORDERED = {"pcd": "pcd(primary=1)"}
# State that counts steps, and so is not a task's own.
OF_STEPS = {"draws"}

# The factor of the gradient of a single task with the loss 0.3, where it is not 1.
ALONE = {
    "db_mtl": 0.1 / 0.3,  # the logarithm's derivative, and a tenth of it in the average that begins with 0
    "dtp": 0.3 * (1 - np.exp(-0.3)) ** weightings.get("dtp").gamma,
    "log": 1 / 0.3,
    "moco": 0.5 * 0.3 / 5,  # as long as the loss instead of 5, tracked by halves
    "stch": 1 / 0.3,
    "uncertainty": 0.5,
}

# How much the weights of two equal tasks may differ: here any split between the two gives the same gradient, and the
# solver need not find the even one exactly.
LOOSE = {"pcd": 5e-3}

# Methods whose weights may be below 0, as their documentation says.
MAY_BE_NEGATIVE = {"aligned_mtl", "config", "cosmos", "imtl_g", "pbi"}

# What happens to the combined gradient if the losses and gradients of one task are 10 times as large in all steps:
# its direction stays; the weights stay (so its direction moves to the task); or neither.
DIRECTION_STAYS = set("config db_mtl fairgrad famo gls imtl_g log nash_mtl pcd stch".split())
WEIGHTS_STAY = set("dwa excess_mtl static".split())


@pytest.fixture(autouse=True)
def _same_start() -> None:
    """Replaces the seeding before every test, after which TensorFlow would prepare all traced steps again."""


def close(found: Any, expected: Any, case: object = "") -> None:
    scale = max(1e-30, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5 * scale, err_msg=str(case))


def rows(state: State, order: Any) -> State:
    return {name: np.array(value)[order] for name, value in state.items()}


def same_steps(found: list[Step], expected: list[Step], order: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        close(one.weights, other.weights[order])
        close(one.vector, other.vector)


@pytest.mark.parametrize("name", EXACT)
class TestEvery:
    def test_permuted_tasks_have_permuted_weights(self, name: str) -> None:
        usual = driver(name).train(FOUR_JACOBIANS, FOUR_LOSSES, PREFERENCE)
        other = driver(REORDERED.get(name, name))
        permuted = other.train(FOUR_JACOBIANS[:, ORDER], FOUR_LOSSES[:, ORDER], PREFERENCE[ORDER])
        same_steps(permuted, usual, ORDER)
        # As when a model is loaded whose tasks are in another order.
        loaded = other.train(
            FOUR_JACOBIANS[3:, ORDER], FOUR_LOSSES[3:, ORDER], PREFERENCE[ORDER], rows(usual[2].state, ORDER)
        )
        same_steps(loaded, usual[3:], ORDER)

    def test_equal_tasks_have_equal_weights(self, name: str) -> None:
        for step in driver(name).train(FOUR_JACOBIANS[:, [1, 0, 2, 0]], FOUR_LOSSES[:, [1, 0, 2, 0]]):
            assert step.weights[1] == pytest.approx(step.weights[3], rel=LOOSE.get(name, 1e-6), abs=1e-9)

    def test_a_dropped_task_has_no_effect(self, name: str) -> None:
        others, preference = [0, 2, 3], np.array([1.0, 0.0, 0.25, 1.0])
        dropped = driver(name).train(FOUR_JACOBIANS, FOUR_LOSSES, preference)
        without = driver(name).train(FOUR_JACOBIANS[:, others], FOUR_LOSSES[:, others], preference[others])
        for step, expected in zip(dropped, without, strict=True):
            assert step.weights[1] == 0
            close(step.weights[others], expected.weights)
            close(step.vector, expected.vector)
        for entry, initial in driver(name).initial(4).items():
            if entry not in OF_STEPS:
                np.testing.assert_array_equal(dropped[-1].state[entry][1], initial[1], err_msg=entry)

    def test_a_task_that_is_dropped_for_a_step(self, name: str) -> None:
        others, preference = [0, 2, 3], np.array([1.0, 0.0, 1.0, 1.0])
        before = driver(name).settled(driver(name).train(FOUR_JACOBIANS[:3], FOUR_LOSSES[:3])[-1].state)
        step = driver(name).step(FOUR_JACOBIANS[3], FOUR_LOSSES[3], preference, before)
        alone = driver(name).step(FOUR_JACOBIANS[3, others], FOUR_LOSSES[3, others], None, rows(before, others))
        close(step.weights[others], alone.weights)
        close(step.vector, alone.vector)
        for entry, value in before.items():
            if entry not in OF_STEPS:
                np.testing.assert_array_equal(step.state[entry][1], value[1], err_msg=entry)
                close(step.state[entry][others], alone.state[entry], entry)

    def test_behaviour_under_scaling(self, name: str) -> None:
        factors = np.array([1.0, 10.0, 1.0, 1.0])
        usual = driver(name).train(FOUR_JACOBIANS, FOUR_LOSSES)
        scaled = driver(name).train(FOUR_JACOBIANS * factors[:, None], FOUR_LOSSES * factors)
        assert behaviour(usual, scaled) == (
            "direction"
            if name.partition("(")[0] in DIRECTION_STAYS
            else "weights"
            if name in WEIGHTS_STAY
            else "neither"
        )


def behaviour(usual: list[Step], scaled: list[Step]) -> str:
    if all(np.allclose(one.weights, other.weights, rtol=1e-3) for one, other in zip(usual, scaled, strict=True)):
        return "weights"
    directions = [np.array([step.vector / np.linalg.norm(step.vector) for step in steps]) for steps in (usual, scaled)]
    return "direction" if np.allclose(*directions, atol=1e-3) else "neither"


def mean_weights(name: str, steps: int = 100, order: Any = slice(None), preference: Any = None) -> np.ndarray:
    """The mean weights of a step over many draws, and their standard errors, `(2, tasks)`."""
    one = driver(name)
    state = one.initial(len(FOUR_LOSSES[0, order]))
    found = []
    for draws in range(steps):
        drawn = {**state, "draws": np.full_like(state["draws"], draws)}
        found.append(one.step(FOUR_JACOBIANS[1, order], FOUR_LOSSES[1, order], preference, drawn).weights)
    return np.array([np.mean(found, axis=0), np.std(found, axis=0) / steps**0.5])


@pytest.mark.parametrize("name", DRAWN_BY_TASK)
class TestDistribution:
    def agree(self, found: np.ndarray, expected: np.ndarray) -> None:
        assert (np.abs(found[0] - expected[0]) <= 4 * np.hypot(found[1], expected[1]) + 1e-6).all()

    def test_permuted_tasks(self, name: str) -> None:
        usual = mean_weights(name, preference=PREFERENCE)
        assert usual[1].max() > 0
        assert np.ptp(usual[0]) > 8 * usual[1].max()
        self.agree(mean_weights(name, order=ORDER, preference=PREFERENCE[ORDER]), usual[:, ORDER])

    def test_equal_tasks(self, name: str) -> None:
        mean, error = mean_weights(name, order=[1, 0, 2, 0])
        assert mean[1] == pytest.approx(mean[3], abs=6 * float(error.max()) + 1e-6)

    def test_a_dropped_task(self, name: str) -> None:
        mean, error = mean_weights(name, preference=np.array([1.0, 0.0, 0.25, 1.0]))
        assert mean[1] == error[1] == 0
        others = [0, 2, 3]
        expected = mean_weights(name, order=others, preference=np.array([1.0, 0.25, 1.0]))
        self.agree(np.array([mean, error])[:, others], expected)


@pytest.mark.parametrize("name", ["gradvac", "pcgrad"])
def test_two_tasks_leave_nothing_to_draw(name: str) -> None:
    two = driver(name)
    usual = two.train(FOUR_JACOBIANS[:, [1, 3]], FOUR_LOSSES[:, [1, 3]])
    same_steps(two.train(FOUR_JACOBIANS[:, [3, 1]], FOUR_LOSSES[:, [3, 1]]), usual, [1, 0])
    loaded = two.train(FOUR_JACOBIANS[3:, [3, 1]], FOUR_LOSSES[3:, [3, 1]], None, rows(usual[2].state, [1, 0]))
    same_steps(loaded, usual[3:], [1, 0])
    again = two.train(FOUR_JACOBIANS[3:, [1, 3]], FOUR_LOSSES[3:, [1, 3]])
    assert (np.abs(again[-1].weights - usual[-1].weights).max() > 1e-3) == (name == "gradvac")


def golden(one: Driver, subsets: bool = True) -> Iterator[tuple[Case, np.ndarray, Step]]:
    """Takes a step of each matrix with all tasks and with some of eight: one trace is enough for all."""
    for case in CASES:
        tasks = len(case.jacobian)
        jacobian, losses, active = np.full((8, 16), 7.0), np.full(8, 3.0), np.zeros(8)
        jacobian[:tasks], losses[:tasks] = case.jacobian, case.losses
        some = [range(tasks)]
        if subsets and tasks <= 3:
            some += [range(1), range(tasks - 1, tasks), range(1, tasks)]
        for subset in some:
            active[:] = 0
            active[list(subset)] = 1
            yield case, jacobian, one.step(jacobian, losses, active)


@pytest.mark.parametrize("name", NAMES)
def test_reference_matrices_give_finite_weights_of_the_documented_sign(name: str) -> None:
    least = 0.0
    for case, _, step in golden(driver(name)):
        for value in (step.weights, step.vector, *step.state.values()):
            assert np.isfinite(value).all(), case.name
        least = min(least, step.weights.min())
    assert (least < -1e-6) == (name in MAY_BE_NEGATIVE)
    assert least >= 0 or name in MAY_BE_NEGATIVE


@pytest.mark.parametrize("name", NAMES)
class TestAll:
    @pytest.mark.filterwarnings("ignore:(krum|trimmed_mean)")  # with one task they average, and warn
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
            assert value.dtype == "float32"
            assert value.shape == np.shape(later[entry])
            assert value.shape[0] == 4
        assert not initial or any(np.any(later[entry] != initial[entry]) for entry in initial)

    def test_xla_can_compile_a_step(self, name: str) -> None:
        # XLA refuses shapes that depend on the numbers, and branches on them.
        assert "ENTRY" in driver(name).hlo(3)

    def test_with_all_tasks_dropped_nothing_changes(self, name: str) -> None:
        before = driver(name).settled(driver(name).train(FOUR_JACOBIANS[:3], FOUR_LOSSES[:3])[-1].state)
        step = driver(name).step(FOUR_JACOBIANS[3], FOUR_LOSSES[3], np.zeros(4), before)
        np.testing.assert_array_equal(step.weights, 0)
        np.testing.assert_array_equal(step.vector, 0)
        for entry in set(before) - OF_STEPS:
            np.testing.assert_array_equal(step.state[entry], before[entry], err_msg=entry)

    @pytest.mark.parametrize("scales", [(1e-18,) * 4, (1e15,) * 4, (1e-9, 1e9, 1, 0), (0, 0, 0, 0)])
    def test_extreme_scales_give_finite_weights(self, name: str, scales: tuple[float, ...]) -> None:
        factors = np.array(scales)
        for preference in ([1, 1, 1, 1], [0, 1, 0, 1]):
            for step in driver(name).train(
                FOUR_JACOBIANS[:3] * factors[:, None], FOUR_LOSSES[:3] * factors, np.array(preference)
            ):
                for value in (step.weights, step.vector, *step.state.values()):
                    assert np.isfinite(value).all()


@pytest.mark.parametrize("name", [*BY_LOSSES, "famo(same_batch=False)"])
def test_finite_losses_give_finite_weights(name: str) -> None:
    usual = FOUR_LOSSES[:, :3]
    for losses in ([0, 0, 0], [1e-38, 1, 1e38], [1e30, 1e30, 0], [1e-7, 1e-7, 1e-7]):
        row = np.array(losses)
        for preference in ([1, 1, 1], [0, 0, 1], [1e-10, 1, 1e10]):
            for step in driver(name).train(np.zeros((3, 3, 16)), np.array([usual[0], row, row]), preference):
                assert np.isfinite(step.weights).all()
                assert (step.weights >= 0).all() or name in MAY_BE_NEGATIVE
                assert all(np.isfinite(entry).all() for entry in step.state.values())


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(BY_LOSSES)))
def test_gradients_that_are_not_finite_change_no_state(name: str) -> None:
    before = driver(name).train(FOUR_JACOBIANS[:3], FOUR_LOSSES[:3])[-1].state
    for bad in (np.nan, np.inf):
        jacobian = FOUR_JACOBIANS[3].copy()
        jacobian[1, 5] = bad
        step = driver(name).step(jacobian, FOUR_LOSSES[3], None, before)
        for entry in before:
            np.testing.assert_array_equal(step.state[entry], before[entry], err_msg=entry)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(BY_LOSSES)))
def test_losses_that_are_not_finite_give_finite_weights(name: str) -> None:
    state = None
    for jacobian in FOUR_JACOBIANS[:3]:
        step = driver(name).step(jacobian, [np.inf, np.nan, 1, -1], None, state)
        state = step.state
        for value in (step.weights, step.vector, *state.values()):
            assert np.isfinite(value).all()


# Methods whose combined gradient has no negative inner product with any of the gradients, as their theory says.
NO_CONFLICT = ["cagrad(c=1)", "config", "dual_proj", "fairgrad", "mgda", "nash_mtl", "pcd", "pcgrad", "upgrad"]
# In this one the primary task has no such promise, only the others.
UNPROTECTED = {"pcd": 0}
# In "special_pareto_stationary_K3" every direction conflicts with some task or is orthogonal to all. These methods take
# one that conflicts.
STATIONARY = {"config", "fairgrad", "nash_mtl"}


@pytest.mark.parametrize("spec", NO_CONFLICT)
def test_no_conflict(spec: str) -> None:
    one, conflicts = driver(spec), set()
    for case, _, step in golden(one, subsets=False):
        if spec == "pcgrad" and len(case.jacobian) > 2:
            continue
        weights = step.weights[: len(case.jacobian)]
        allowed = 1e-9 * case.norms * (np.abs(weights) @ case.norms)
        # (G + r trace(G) I) w >= 0 is what the regularised problem has for G w >= 0.
        allowed += getattr(one.weighting, "regularization", 0) * np.square(case.norms).sum() * np.abs(weights)
        products = case.jacobian @ step.vector
        if spec in UNPROTECTED:
            products[UNPROTECTED[spec]] = 0
        if (products < -allowed).any():
            conflicts.add(case.name)
    assert conflicts == ({"special_pareto_stationary_K3"} if spec in STATIONARY else set())


# A problem of three tasks and four parameters: the loss of task t is FLOORS[t] at CENTRES[t]. The first two tasks are
# in conflict, and the gradients differ much in size.
CENTRES = np.array([[3.0, 1.0, 0.0, 0.5], [-1.5, -2.5, 1.5, 3.0], [1.0, 1.0, -2.0, 2.5]])
CURVATURES = np.array([[0.1, 0.2, 0.05, 0.1], [0.8, 0.4, 0.2, 0.6], [0.12, 0.08, 0.04, 0.16]])
FLOORS = np.array([0.2, 0.5, 0.1])


def losses_at(place: np.ndarray) -> np.ndarray:
    return FLOORS + 0.5 * np.sum(CURVATURES * np.square(place - CENTRES), axis=1)


def gradients_at(place: np.ndarray) -> np.ndarray:
    """The gradients, `(3, 16)`: only the first four coordinates are used."""
    return np.pad(CURVATURES * (place - CENTRES), ((0, 0), (0, 12)))


def trajectory(name: str) -> Iterator[np.ndarray]:
    """Yields the weights and the combined gradient of each step of gradient descent: 10 epochs of 2 steps."""
    one, place = driver(name), np.array([1.0, -1.0, 0.5, 2.0])
    state, epoch = one.initial(3), []
    for number in range(20):
        losses, jacobian = losses_at(place), gradients_at(place)
        step = one.step(jacobian, losses, None, state)
        moved = place - 0.1 * step.vector[:4]
        if "losses_after" in one.weighting.needs:
            step = one.step(jacobian, losses, None, state, losses_at(moved))
        yield np.concatenate([step.weights, step.vector])
        place, state, epoch = moved, step.state, [*epoch, losses]
        if number % 2:
            state, epoch = one.epoch(np.mean(epoch, axis=0), state), []


def test_no_two_methods_take_the_same_steps() -> None:
    steps = {name: np.array(list(trajectory(name))) for name in NAMES}
    assert all(np.isfinite(found).all() for found in steps.values())
    pairs = combinations(steps, 2)
    assert not [pair for pair in pairs if np.allclose(*(steps[name] for name in pair), rtol=1e-4, atol=1e-5)]
