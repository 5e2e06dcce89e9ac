"""A run that is resumed within an epoch, and workers that share batches, see what one process sees without a break."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import data
from data.dataset import Dataset

TASKS = ["landmarks", "Young"]
SIZE, BATCH = 10, 4  # the last batch has two examples


@pytest.fixture
def faces(faces_dir: Path) -> Dataset:
    return data.load("celeb_a", tasks=TASKS, data_dir=faces_dir)


def parts_of(dataset: Dataset, count: int, **how: object) -> list[list[np.ndarray]]:
    """Returns the images and the labels of some batches."""
    batches = itertools.islice(dataset.batches("train", BATCH, seed=3, augment=True, **how), count)
    return [[images.numpy(), *(labels[name].numpy() for name in TASKS)] for images, labels in batches]


def assert_same(ones: list[list[np.ndarray]], others: list[list[np.ndarray]]) -> None:
    for one, other in zip(ones, others, strict=True):
        for values, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, expected)


def test_an_epoch_is_gone_on_with_where_it_was_left(faces: Dataset, memory: str) -> None:
    steps = faces.steps("train", BATCH)
    whole = parts_of(faces, 3 * steps, shuffle=True)
    assert_same(parts_of(faces, 2 * steps - 2, shuffle=True, first_epoch=1, first_step=2), whole[steps + 2 :])
    assert_same(parts_of(faces, steps, first_step=1), parts_of(faces, steps)[1:])


def test_the_parts_of_all_workers_are_the_whole(faces: Dataset, memory: str) -> None:
    steps = faces.steps("train", BATCH)
    whole = parts_of(faces, 2 * steps - 1, shuffle=True, first_step=1)
    workers = [parts_of(faces, 2 * steps - 1, shuffle=True, first_step=1, shard=(index, 4)) for index in range(4)]
    assert_same([[np.concatenate(values) for values in zip(*parts)] for parts in zip(*workers, strict=True)], whole)
    assert [len(images) for images, *_ in workers[0]] == [1, 0, 1, 1, 0]
    assert workers[0][1][0].shape == (0, *faces.image_shape)


def test_of_a_pass_in_order_every_worker_gets_as_many_batches(faces: Dataset, memory: str) -> None:
    workers = [parts_of(faces, 99, shard=(index, 4)) for index in range(4)]
    assert [len(parts) for parts in workers] == [faces.steps("train", BATCH)] * 4


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"first_step": 3}, "`first_step` is from 0 to 2. Received: first_step=3"),
        ({"first_step": -1}, "Received: first_step=-1"),
        ({"shard": (0, 3)}, r"`batch_size` must be a multiple .* batch_size=4, shard=\(0, 3\)"),
        ({"shard": (2, 2)}, r"0 <= index < count. Received: shard=\(2, 2\)"),
        ({"shard": (0, 0)}, r"Received: shard=\(0, 0\)"),
    ],
)
def test_what_cannot_be_is_refused(faces: Dataset, how: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        faces.batches("train", BATCH, **how)
