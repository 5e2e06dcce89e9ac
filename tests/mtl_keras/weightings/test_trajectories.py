"""A small problem with conflicts: no two methods go the same way through it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from mtl_keras.weightings import WEIGHTINGS
from tests.mtl_keras.weightings.driver import driver

STEPS, STEPS_PER_EPOCH, LEARNING_RATE = 20, 2, 0.1
START = np.array([1.0, -1.0, 0.5, 2.0])
# Task t is at its best, where its loss is FLOORS[t], at CENTRES[t]; the first two are in conflict, and the gradients
# of the three are of very different sizes.
CENTRES = np.array([[3.0, 1.0, 0.0, 0.5], [-1.5, -2.5, 1.5, 3.0], [1.0, 1.0, -2.0, 2.5]])
CURVATURES = np.array([[0.1, 0.2, 0.05, 0.1], [0.8, 0.4, 0.2, 0.6], [0.12, 0.08, 0.04, 0.16]])
FLOORS = np.array([0.2, 0.5, 0.1])

# Pairs that are equal by proof.
EQUAL: dict[tuple[str, str], str] = {}


def losses_at(place: np.ndarray) -> np.ndarray:
    return FLOORS + 0.5 * np.sum(CURVATURES * np.square(place - CENTRES), axis=1)


def gradients_at(place: np.ndarray) -> np.ndarray:
    return CURVATURES * (place - CENTRES)


def trajectory(name: str) -> Iterator[np.ndarray]:
    """Yields the weights and the combined gradient of each step of gradient descent."""
    one, place = driver(name), START
    state, epoch = one.initial(3, 4), []
    for number in range(STEPS):
        losses, jacobian = losses_at(place), gradients_at(place)
        step = one.step(jacobian, losses, None, state)
        moved = place - LEARNING_RATE * step.vector
        if "losses_after" in one.weighting.needs:
            step = one.step(jacobian, losses, None, state, losses_at(moved))
        yield np.concatenate([step.weights, step.vector])
        place, state, epoch = moved, step.state, [*epoch, losses]
        if (number + 1) % STEPS_PER_EPOCH == 0:
            state, epoch = one.epoch(np.mean(epoch, axis=0), state), []


def test_the_problem_is_in_conflict() -> None:
    jacobian = gradients_at(START)
    norms = np.linalg.norm(jacobian, axis=1)
    cosines = jacobian @ jacobian.T / np.outer(norms, norms)
    assert cosines[0, 1] < -0.7
    assert norms.max() > 10 * norms.min()


def test_no_two_methods_go_the_same_way() -> None:
    ways = {name: np.array(list(trajectory(name))) for name in WEIGHTINGS.names}
    assert all(np.isfinite(way).all() for way in ways.values())
    same = {
        (one, other)
        for one, other in combinations(ways, 2)
        if np.allclose(ways[one], ways[other], rtol=1e-4, atol=1e-5)
    }
    assert same == set(EQUAL)
