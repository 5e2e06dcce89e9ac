"""Draws: frequencies, reproducibility, and always a task that runs."""

from __future__ import annotations

import numpy as np
import pytest

from mtl_keras.schedules.sampling import draw_tasks, epoch_generator, running_probabilities

STEPS = 20_000


def assert_frequencies(runs: np.ndarray, expected: np.ndarray) -> None:
    """Within 4 standard deviations of the binomial distribution (`runs`: (steps, tasks))."""
    bounds = 4 * np.sqrt(len(runs) * expected * (1 - expected))
    np.testing.assert_array_less(abs(runs.sum(axis=0) - len(runs) * expected), bounds + 1e-9)


def test_frequencies_are_the_probabilities_where_none_cannot_happen() -> None:
    probabilities = np.array([0.65, 1.0, 0.0, 0.8])
    runs = draw_tasks(probabilities, STEPS, epoch_generator(0, 0))
    assert_frequencies(runs, probabilities)
    # Each task by itself: two of them together as often as the product says.
    assert_frequencies((runs[:, 0] & runs[:, 3])[:, None], np.array([0.65 * 0.8]))


def test_where_none_is_drawn_the_first_of_the_most_probable_runs() -> None:
    runs = draw_tasks(np.array([0.2, 0.4, 0.4]), STEPS, epoch_generator(0, 0))
    assert runs.any(axis=1).all()
    # None of the three is drawn with 0.8 * 0.6 * 0.6 = 0.288, and then the second runs.
    expected = np.array([0.2, 0.4 + 0.288, 0.4])
    assert_frequencies(runs, expected)
    np.testing.assert_allclose(running_probabilities(np.array([0.2, 0.4, 0.4])), expected)


def test_all_probabilities_zero() -> None:
    assert draw_tasks(np.zeros(3), 5, epoch_generator(0, 0)).tolist() == [[True, False, False]] * 5
    assert running_probabilities(np.zeros(3)).tolist() == [1, 0, 0]


def test_tasks_that_may_not_run_never_do() -> None:
    probabilities, eligible = np.array([0.9, 0.1, 0.3]), np.array([False, True, True])
    runs = draw_tasks(probabilities, STEPS, epoch_generator(0, 0), eligible)
    assert runs.any(axis=1).all()
    expected = np.array([0, 0.1, 0.3 + 0.9 * 0.7])
    assert_frequencies(runs, expected)
    np.testing.assert_allclose(running_probabilities(probabilities, eligible), expected)


def test_draws_of_a_task_do_not_depend_on_which_others_may_run() -> None:
    probabilities = np.array([0.5, 0.5, 0.9])
    every = draw_tasks(probabilities, 200, epoch_generator(0, 0))
    fewer = draw_tasks(probabilities, 200, epoch_generator(0, 0), np.array([True, False, True]))
    np.testing.assert_array_equal(every[:, 0], fewer[:, 0])


def test_no_eligible_task_is_refused() -> None:
    with pytest.raises(ValueError, match="At least one task must be eligible"):
        draw_tasks(np.ones(2), 1, epoch_generator(0, 0), np.zeros(2, bool))


def test_same_seed_same_draws() -> None:
    def runs(seed: int, epoch: int) -> np.ndarray:
        return draw_tasks(np.full(4, 0.5), 100, epoch_generator(seed, epoch))

    np.testing.assert_array_equal(runs(1, 2), runs(1, 2))
    assert (runs(1, 2) != runs(1, 3)).any()
    assert (runs(1, 2) != runs(2, 2)).any()
    assert (runs(1, 2) != runs(2, 1)).any()
