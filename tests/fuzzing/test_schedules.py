"""Schedules and draws on any records: probabilities from 0 to 1, and always a task that runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mtl_keras.schedules import DST, Records
from mtl_keras.schedules.sampling import draw_tasks, epoch_generator, running_probabilities
from tests.fuzzing.values import task_names

losses = st.floats() | st.sampled_from([0.0, -0.0, 5e-324, 1e308, -1e308, math.nan, math.inf, -math.inf])
probabilities = arrays.arrays("float64", st.integers(1, 6), elements=st.floats(0, 1) | st.sampled_from([0.0, 1.0]))


@st.composite
def records(pick: Any) -> Records:
    """What could be known of up to four tasks after up to five epochs."""
    tasks = tuple(pick(st.lists(task_names, min_size=1, max_size=4, unique=True)))
    table = st.fixed_dictionaries(dict.fromkeys(tasks, losses))
    return Records(tasks, pick(table), pick(table), tuple(pick(st.lists(table, max_size=5))))


shares = st.lists(st.none() | st.floats(0, 1), min_size=5, max_size=5).map(
    # Scaled down to what five shares may add up to.
    lambda given: [None if share is None else share / max(1.0, sum(filter(None, given))) for share in given]
)


@given(records(), shares, st.integers(0, 7), st.booleans())
def test_probabilities(known: Records, given_shares: list[float | None], epoch: int, none_given: bool) -> None:
    if not any(share is None for share in given_shares):
        given_shares[0] = None
    schedule = DST() if none_given else DST(*given_shares)
    found = schedule(epoch, known)
    assert tuple(found) == known.tasks
    assert all(0.0 <= probability <= 1.0 for probability in found.values())
    assert sum(schedule.shares.values()) == 1 or abs(sum(schedule.shares.values()) - 1) < 1e-9
    assert schedule(epoch, known) == found
    floor = schedule.shares["floor"]
    assert all(probability >= min(1.0, floor) - 1e-12 for probability in found.values())
    for numbers in schedule.metrics(epoch, known).values():
        assert all(0.0 <= number <= 1.0 for number in numbers.values())


@given(
    probabilities,
    st.integers(0, 2**63),
    st.integers(0, 10**6),
    st.lists(st.integers(1, 9), min_size=1, max_size=5),
    st.data(),
)
def test_draws(chances: np.ndarray, seed: int, epoch: int, parts: list[int], data: st.DataObject) -> None:
    tasks, steps = len(chances), sum(parts)
    eligible = data.draw(arrays.arrays("bool", tasks).filter(np.any))
    together = draw_tasks(chances, steps, epoch_generator(seed, epoch), eligible)
    assert together.shape == (steps, tasks)
    assert together.any(axis=1).all()
    assert not together[:, ~eligible].any()
    alone = (together.sum(axis=1) == 1)[:, None] & together
    assert not (together & ~alone)[:, chances == 0].any()  # only as the one that runs where none is drawn
    assert together[:, (chances == 1) & eligible].all()
    # In parts from one generator, and any row from its number.
    rng = epoch_generator(seed, epoch)
    np.testing.assert_array_equal(
        np.concatenate([draw_tasks(chances, part, rng, eligible) for part in parts]), together
    )
    row = data.draw(st.integers(0, steps - 1))
    reached = draw_tasks(chances, steps - row, epoch_generator(seed, epoch, skip=row * tasks), eligible)
    np.testing.assert_array_equal(reached, together[row:])


@given(probabilities, st.data())
def test_running_probabilities(chances: np.ndarray, data: st.DataObject) -> None:
    eligible = data.draw(arrays.arrays("bool", len(chances)).filter(np.any))
    found = running_probabilities(chances, eligible)
    assert ((found >= 0) & (found <= 1 + 1e-12)).all()
    assert not found[~eligible].any()
    assert (found >= np.where(eligible, chances, 0)).all()
    none = np.prod(1 - chances[eligible])
    np.testing.assert_allclose(found.sum(), chances[eligible].sum() + none, atol=1e-12)
