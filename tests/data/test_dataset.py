from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import data
from data.dataset import Dataset
from tests.data.conftest import garment
from tests.sources import ROOT


def numbers(batches: Iterable[Any], count: int | None = None) -> list[np.ndarray]:
    """Which examples each batch holds."""
    return [np.rint(images.numpy()[:, 0, 0, 0] * 255).astype(int) for images, _ in itertools.islice(batches, count)]


@pytest.fixture
def fashion(fashion_dir: str) -> Dataset:
    return data.load("fashion_mnist", data_dir=fashion_dir)


def test_splits_are_sized_right_and_disjoint(fashion: Dataset) -> None:
    splits = ("train", "validation", "test")
    assert [fashion.size(split) for split in splits] == [45, 5, 17]
    assert [fashion.steps(split, 10) for split in splits] == [5, 1, 2]
    seen = [np.concatenate(numbers(fashion.batches(split, 8))).tolist() for split in splits]
    assert sorted(seen[0] + seen[1]) == list(range(50))
    assert sorted(seen[2]) == list(range(50, 67))


def test_images_and_labels_are_those_stored(fashion: Dataset, memory: str) -> None:
    batches = fashion.batches("train", 16)
    assert batches.element_spec == (
        tf.TensorSpec([None, 28, 28, 1], tf.float32),
        {"item": tf.TensorSpec([None], tf.int32), "group": tf.TensorSpec([None], tf.int32)},
    )
    for images, labels in batches:
        for image, item in zip(images.numpy(), labels["item"].numpy()):
            stored = garment(round(image[0, 0, 0] * 255))
            np.testing.assert_array_equal(image, stored["image"].astype(np.float32) / 255)
            assert item == stored["label"]


def test_every_epoch_has_its_own_last_batch_and_order(fashion: Dataset, memory: str) -> None:
    batches = numbers(fashion.batches("train", 10, shuffle=True), 15)
    assert [len(batch) for batch in batches] == [10, 10, 10, 10, 5] * 3
    epochs = [np.concatenate(batches[start : start + 5]) for start in (0, 5, 10)]
    in_order = np.concatenate(numbers(fashion.batches("train", 10)))
    for epoch, other in itertools.combinations([in_order, *epochs], 2):
        assert sorted(epoch) == sorted(other)
        assert (epoch != other).any()


def test_epochs_depend_on_seed_and_number_alone(fashion: Dataset, memory: str) -> None:
    def epochs(seed: int, first: int, count: int) -> np.ndarray:
        batches = fashion.batches("train", 10, shuffle=True, seed=seed, first_epoch=first, augment=True)
        return np.concatenate([images for images, _ in itertools.islice(batches, 5 * count)])

    keras.utils.set_random_seed(1)
    whole = epochs(seed=3, first=0, count=3)
    keras.utils.set_random_seed(2)
    resumed = epochs(seed=3, first=2, count=1)
    np.testing.assert_array_equal(whole[90:], resumed)
    assert (epochs(seed=4, first=2, count=1) != resumed).any()


def test_label_counts_are_those_of_a_slow_count(fashion: Dataset, faces_dir: str) -> None:
    assert fashion.label_counts() == {"item": 45, "group": 45}
    faces = data.load("celeb_a", tasks=["Male", "Bald", "landmarks", "Bangs", "Young"], data_dir=faces_dir)
    slow = dict.fromkeys(faces.tasks, 0)
    before = faces.label_counts()
    for _, labels in faces.batches("train", 1):
        for name, values in labels.items():
            slow[name] += 1 if name == "landmarks" else int(values.numpy()[0])
    assert before == faces.label_counts() == slow
    assert slow["landmarks"] == 10
    assert len(set(slow.values())) > 2


def test_unknown_split_and_bad_numbers_are_refused(fashion: Dataset) -> None:
    with pytest.raises(ValueError, match="Did you mean 'validation'"):
        fashion.size("valid")
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        fashion.batches("train", 0)
    with pytest.raises(ValueError, match="Received: first_epoch=-1"):
        fashion.batches("train", 8, shuffle=True, first_epoch=-1)


@pytest.mark.parametrize(
    ("name", "sizes", "expected"),
    [
        ("fashion_mnist", {"train": 30, "test": 5}, [27, 3, 5]),
        ("celeb_a", {"train": 6, "validation": 3, "test": 2}, [6, 3, 2]),
        ("cifar10", {"train": 30, "test": 5}, [27, 3, 5]),
        ("cifar100", {"train": 30, "test": 5}, [27, 3, 5]),
        ("multi_fashion", {"train": 30, "test": 5}, [27, 3, 5]),
        ("nyuv2", {"train": 10, "val": 2}, [9, 1, 2]),
        ("cityscapes", {"train": 10, "val": 2}, [9, 1, 2]),
    ],
)
def test_synthetic_data_go_the_same_way(tmp_path: Path, name: str, sizes: dict[str, int], expected: list[int]) -> None:
    dataset = data.load(name, synthetic=True, sizes=sizes, data_dir=tmp_path)
    assert dataset.synthetic
    assert [dataset.size(split) for split in ("train", "validation", "test")] == expected
    images, labels = next(iter(dataset.batches("train", 6, shuffle=True)))
    assert images.shape == (6, *dataset.image_shape)
    assert float(tf.reduce_min(images)) >= 0
    assert 0.3 < float(tf.reduce_max(images)) <= 1
    assert list(labels) == list(dataset.tasks)
    if "landmarks" in labels:
        assert 0 < float(tf.reduce_min(labels["landmarks"])) < float(tf.reduce_max(labels["landmarks"])) < 1


@pytest.mark.parametrize("name", data.names())
def test_every_task_is_in_the_table_of_datasets(name: str) -> None:
    page = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    assert f"| `{name}` |" in page
    tasks = [task for task in data.available_tasks(name) if not re.fullmatch(r"random\d+", task)]
    assert [task for task in tasks if f"`{task}`" not in page] == []


def test_the_table_of_garments_is_that_of_the_recipe() -> None:
    page = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    for group, garments in data.fashion_mnist.GROUPS.items():
        assert f"| `{group}` | {', '.join(garments)} |" in page


@pytest.mark.parametrize("kind", [data.Dataset, data.DenseDataset, data.Mixture])
@pytest.mark.parametrize("method", ["size", "steps", "skipped", "batches", "label_counts", "decode", "description"])
def test_methods_inherit_their_documentation(kind: type, method: str) -> None:
    assert (inspect.getdoc(getattr(kind, method)) or "").startswith("Returns ")
