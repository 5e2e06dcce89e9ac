"""Seeded draws of the tasks that run in each step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_generator(seed: int, epoch: int, skip: int = 0) -> np.random.Generator:
    """Returns the random generator of an epoch, which depends only on `seed` and `epoch`.

    Args:
        seed: the seed of the run, >= 0.
        epoch: the epoch, >= 0.
        skip: how many numbers to skip. A row of `draw_tasks` takes one per task, so row i of the epoch comes first with
            `skip=i * tasks`.
    """
    # PCG64 explicitly: for `advance`, and because NumPy's default generator may change. A float takes one step.
    return np.random.Generator(np.random.PCG64([seed, epoch]).advance(skip))


def draw_tasks(
    probabilities: NDArray[np.float64],
    steps: int,
    rng: np.random.Generator,
    eligible: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Draws which tasks run: each independently with its probability; at least one.

    If no task is drawn, the eligible task with the highest probability runs (the first of several).

    Args:
        probabilities: `(tasks,)`, from 0 to 1.
        steps: number of rows to draw. A row depends only on the random numbers that it takes: drawing 5 rows and then 3
            gives the same 8 rows as drawing 8.
        rng: a generator, for example from `epoch_generator`.
        eligible: `(tasks,)`, the tasks that may run; all by default.

    Returns:
        `(steps, tasks)`, True where the task runs.

    Raises:
        ValueError: if no task is eligible.
    """
    allowed = np.ones(len(probabilities), bool) if eligible is None else eligible
    runs = (rng.random((steps, len(probabilities))) < probabilities) & allowed
    runs[~runs.any(axis=1), _fallback(probabilities, allowed)] = True
    return runs


def running_probabilities(
    probabilities: NDArray[np.float64], eligible: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Returns the probability with which `draw_tasks` runs each task.

    This is the task's own probability, except for the task that runs if none is drawn: the probability of no draw is
    added to it.

    Args:
        probabilities: `(tasks,)`, from 0 to 1.
        eligible: `(tasks,)`, the tasks that may run; all by default.

    Returns:
        `(tasks,)`.

    Raises:
        ValueError: if no task is eligible.
    """
    allowed = np.ones(len(probabilities), bool) if eligible is None else eligible
    runs = np.where(allowed, probabilities, 0.0)
    runs[_fallback(probabilities, allowed)] += np.prod(1.0 - runs)
    return runs


def _fallback(probabilities: NDArray[np.float64], allowed: NDArray[np.bool_]) -> int:
    if not allowed.any():
        raise ValueError("At least one task must be eligible to run. Received: none")
    return int(np.argmax(np.where(allowed, probabilities, -1.0)))
