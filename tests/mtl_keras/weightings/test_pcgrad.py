from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from mtl_keras.weightings.gramian import ascending_order, random_order
from mtl_keras.weightings.pcgrad import PCGrad, project
from tests.mtl_keras.weightings.gramians import CASES, cases_with
from tests.mtl_keras.weightings.reference import one_step


def test_published_weights_in_ascending_order() -> None:
    found = cases_with("PCGrad_ascending")
    assert len(found) == len(CASES)
    for case, expected in found:
        for dtype, rtol in (("float64", expected.rtol64), ("float32", expected.rtol32)):
            gramian = ops.cast(case.gramian.astype(dtype), "float64")
            weights = project(gramian, ascending_order(len(gramian)))
            assert case.error(weights, expected.vector, expected.scale) <= rtol, case.name


def test_published_mean_over_all_orders() -> None:
    run = tf.function(project)
    for case, expected in cases_with("PCGrad_expected"):
        order = ascending_order(len(case.gramian))
        orders = [order[:, list(places)] for places in permutations(range(order.shape[1]))]
        weights = np.mean([run(tf.constant(case.gramian), tf.constant(each)) for each in orders], axis=0)
        assert case.error(weights, expected.vector, expected.scale) <= expected.rtol64, case.name


def test_two_tasks_have_one_order() -> None:
    for case, expected in cases_with("PCGrad"):
        for seed in range(3):
            assert case.error(PCGrad(seed=seed)(case.gramian), expected.vector, expected.scale) <= 1e-6, case.name


def test_two_tasks_by_hand() -> None:
    # (1, 0) and (-1, 1) conflict: their product is -1. The first one gains 1/2 of the second, the second 1 of the
    # first: (1/2, 1/2) and (0, 1).
    np.testing.assert_allclose(PCGrad()([[1.0, -1.0], [-1.0, 2.0]]), [2, 1.5], rtol=1e-6)
    np.testing.assert_array_equal(PCGrad()([[1.0, 0.5], [0.5, 2.0]]), [1, 1])


def test_draws_approach_the_published_mean() -> None:
    case, expected = next(pair for pair in cases_with("PCGrad_expected") if pair[0].name == "nearly_opposite_K3")
    state, weights = PCGrad().initial_state(3), []
    step = tf.function(lambda state: one_step(PCGrad(), case.gramian, state=state))
    for _ in range(300):
        found, _, state = step(dict(state))
        weights.append(np.array(found))
    # The standard deviation of one weight is at most half of its range.
    spread = expected.more["order_spread"] / 2 / 300**0.5
    assert spread > 0
    np.testing.assert_allclose(np.mean(weights, axis=0), expected.weights, atol=4 * spread)
    assert np.ptp(weights, axis=0).max() == pytest.approx(expected.more["order_spread"], rel=1e-6)


def test_orders_are_uniform_and_repeatable() -> None:
    state = {"draws": np.zeros(4, "float32")}
    counts: Counter[tuple[int, ...]] = Counter()
    draw = tf.function(lambda draws: random_order(4, 7, {"draws": draws}))
    for step in range(300):
        order = np.array(draw(tf.constant(state["draws"] + step)))
        assert [sorted(row) for row in order] == ascending_order(4).tolist()
        counts[tuple(order[0])] += 1
    # Six orders with 50 expected of each; the standard deviation is 6.5.
    assert len(counts) == 6
    assert max(abs(count - 50) for count in counts.values()) < 30
    np.testing.assert_array_equal(random_order(4, 7, state), random_order(4, 7, state))
    seeds = {tuple(np.array(random_order(4, seed, state)).ravel()) for seed in range(5)}
    assert len(seeds) > 1


def test_zero_gradients_and_dropped_tasks() -> None:
    np.testing.assert_array_equal(PCGrad()(np.zeros((3, 3))), [1, 1, 1])
    # The task in the middle is opposed to both, but does not run.
    gramian = np.array([[1.0, -9.0, -1.0], [-9.0, 100.0, -9.0], [-1.0, -9.0, 2.0]])
    np.testing.assert_allclose(PCGrad()(gramian, preference=[1, 0, 1]), [2, 0, 1.5], rtol=1e-6)
