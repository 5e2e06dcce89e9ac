"""Seeded draws: which tasks run at which step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def epoch_generator(seed: int, epoch: int, skip: int = 0) -> np.random.Generator:
    """Returns the generator of an epoch's draws, which depends on nothing else.

    Args:
        seed: the seed of the run, >= 0.
        epoch: the epoch, >= 0.
        skip: how many numbers to pass over. A row of `draw` takes one for each task, so that row i of the epoch
            comes first after `skip=i * tasks`.
    """
    # PCG64 by name: `advance` is its own, and the default generator of NumPy may change. A float takes one step.
    return np.random.Generator(np.random.PCG64([seed, epoch]).advance(skip))


def draw(
    probabilities: NDArray[np.float64],
    steps: int,
    rng: np.random.Generator,
    eligible: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Draws which tasks run: each by itself, with its probability; never none.

    Where no task is drawn, the eligible one with the highest probability runs (the first of several).

    Args:
        probabilities: `(tasks,)`, from 0 to 1.
        steps: how many rows to draw. A row depends on the numbers of the generator that it takes, hence drawing
            5 rows and then 3 gives the same 8 rows as drawing 8.
        rng: a generator, such as `epoch_generator` gives.
        eligible: `(tasks,)`, the tasks that may run at all; every one by default.

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
    """Returns with which probability `draw` lets each task run.

    That is the task's own, except for the one that runs where none is drawn: to it comes the probability of none.

    Args:
        probabilities: `(tasks,)`, from 0 to 1.
        eligible: `(tasks,)`, the tasks that may run at all; every one by default.

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
