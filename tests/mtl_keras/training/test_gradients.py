"""Gradient statistics over several steps, from Gramians computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from keras import ops

from mtl_keras.training.gradients import GradientStatistics

NAN = math.nan


def statistics_of(*steps: tuple[Any, list[bool]]) -> GradientStatistics:
    statistics = GradientStatistics(len(steps[0][1]))
    for gramian, active in steps:
        statistics.add(ops.convert_to_tensor(gramian, "float32"), ops.convert_to_tensor(active, "bool"))
    return statistics


def gramian_of(*gradients: tuple[float, ...]) -> np.ndarray:
    rows = np.array(gradients, "float64")
    return rows @ rows.T


def test_two_steps_by_hand() -> None:
    # Gradients (3, 4) and (5, 0): norms 5 and 5, cosine 15 / 25 = 0.6. Then (0, 1) and (3, -4): norms 1 and 5,
    # cosine -4 / 5 = -0.8. Means: norms 3 and 5, cosine -0.1, one conflict in two steps.
    both = [True, True]
    summary = statistics_of((gramian_of((3, 4), (5, 0)), both), (gramian_of((0, 1), (3, -4)), both)).summary()
    np.testing.assert_allclose(summary.cosine, [[1, -0.1], [-0.1, 1]], atol=1e-6)
    np.testing.assert_allclose(summary.conflict, [[0, 0.5], [0.5, 0]])
    np.testing.assert_allclose(summary.norm, [3, 5], rtol=1e-6)
    assert summary.steps == 2
    assert summary.mean_cosine == pytest.approx(-0.1)
    assert summary.conflict_rate == 0.5
    assert summary.norm_ratio == pytest.approx(5 / 3)


def test_a_pair_counts_only_the_steps_in_which_both_ran() -> None:
    gramian = gramian_of((1, 0), (-1, 0), (0, 2))
    summary = statistics_of((gramian, [True, True, False]), (gramian, [True, False, True])).summary()
    np.testing.assert_allclose(summary.cosine, [[1, -1, 0], [-1, 1, NAN], [0, NAN, 1]], atol=1e-6)
    np.testing.assert_allclose(summary.conflict, [[0, 1, 0], [1, 0, NAN], [0, NAN, 0]])
    # The mean is one over pairs: one in conflict, one not, one that nothing is known of.
    assert summary.conflict_rate == 0.5
    assert summary.mean_cosine == pytest.approx(-0.5)
    assert summary.norm_ratio == pytest.approx(2)


def test_steps_without_a_gradient_do_not_dilute_the_norm() -> None:
    # In the second step the first task runs alone, and its Gramian is 0: it shares nothing with a running task.
    gramian, alone = gramian_of((3, 0), (0, 6)), np.zeros((2, 2))
    summary = statistics_of((gramian, [True, True]), (alone, [True, False])).summary()
    np.testing.assert_allclose(summary.norm, [3, 6])
    assert summary.norm_ratio == 2
    assert summary.conflict_rate == 0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, NAN])
def test_a_step_that_overflowed_is_left_out(bad: float) -> None:
    both = [True, True]
    gramian = gramian_of((3, 4), (5, 0))
    overflowed = np.array([[1.0, -1.0], [-1.0, bad]])
    summary = statistics_of((gramian, both), (overflowed, both)).summary()
    np.testing.assert_allclose(summary.cosine, [[1, 0.6], [0.6, 1]], rtol=1e-6)
    np.testing.assert_allclose(summary.norm, [5, 5])
    assert (summary.steps, summary.conflict_rate) == (1, 0)


@pytest.mark.parametrize("scale", [1e-17, 1e-8, 1.0, 1e17])
def test_a_cosine_does_not_depend_on_the_scale(scale: float) -> None:
    gramian = scale**2 * gramian_of((3, 4), (-5, 0))
    summary = statistics_of((gramian, [True, True])).summary()
    np.testing.assert_allclose(summary.cosine, [[1, -0.6], [-0.6, 1]], rtol=1e-5)
    assert summary.conflict_rate == 1
    assert summary.norm_ratio == pytest.approx(1)


def test_a_small_gradient_beside_a_large_one() -> None:
    summary = statistics_of((gramian_of((3e-15, 4e-15), (5e15, 0)), [True, True])).summary()
    assert summary.mean_cosine == pytest.approx(0.6)
    assert summary.norm_ratio == pytest.approx(1e30, rel=1e-5)


@pytest.mark.parametrize("steps", [[], [(np.zeros((2, 2)), [True, True])], [(np.eye(2), [False, False])]])
def test_nothing_seen_is_nan(steps: list[tuple[np.ndarray, list[bool]]]) -> None:
    summary = (statistics_of(*steps) if steps else GradientStatistics(2)).summary()
    assert np.isnan([summary.mean_cosine, summary.conflict_rate, summary.norm_ratio]).all()
    assert np.isnan(summary.cosine).all()
    assert np.isnan(summary.norm).all()
    assert summary.steps == len(steps)


def test_one_task_has_no_pairs() -> None:
    summary = statistics_of(([[4.0]], [True])).summary()
    assert np.isnan([summary.mean_cosine, summary.conflict_rate, summary.norm_ratio]).all()
    assert summary.norm.tolist() == [2.0]


def test_reset_forgets() -> None:
    statistics = statistics_of((np.eye(2), [True, True]))
    statistics.reset()
    summary = statistics.summary()
    assert summary.steps == 0
    assert np.isnan(summary.cosine).all()
