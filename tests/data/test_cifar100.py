from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import data
from data.cifar100 import BINARY, RANDOM
from data.cifar100_classes import CLASSES, DIVISIONS, SUPERCLASS_OF_CLASS, SUPERCLASSES
from tests.data.cifar import features, scene
from tests.data.conftest import write

# As published with the dataset: the superclass of class 0, 1, ..., 99.
COARSE = [4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7, 6, 13, 15, 3, 15, 0, 11]
COARSE += [1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10, 16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3]
COARSE += [2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16, 12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1]
COARSE += [2, 15, 6, 0, 17, 8, 14, 13]


@pytest.fixture(scope="module")
def cifar_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    stored = [scene(label, label=label, coarse_label=COARSE[label]) for label in range(100)]
    splits = {"train": stored, "test": stored}
    return write(tmp_path_factory.mktemp("cifar100"), "cifar100", "3.0.2", features(label=100, coarse_label=20), splits)


def test_classes_and_superclasses_are_numbered_as_published() -> None:
    assert list(SUPERCLASS_OF_CLASS) == COARSE
    assert len(set(CLASSES)) == 100
    assert list(SUPERCLASSES) == sorted(SUPERCLASSES)
    assert {len(names) for names in SUPERCLASSES.values()} == {5}


def test_tasks_that_there_are(cifar_dir: str) -> None:
    tasks = data.recipes["cifar100"].available  # type: ignore[attr-defined]
    assert tasks.names == ("class", "superclass", *BINARY, *RANDOM, "reconstruction")
    assert (len(BINARY), len(RANDOM)) == (10, 10)
    assert data.load("cifar100", data_dir=cifar_dir).tasks.names == ("living", "big", "half")


def test_divisions_differ_and_are_as_large_as_documented() -> None:
    sizes = {name: len(labels) for name, labels in DIVISIONS.items()}
    assert sizes == dict(zip(BINARY, (65, 50, 50, 50, 40, 60, 25, 50, 50, 50)))
    members = np.array([[label in labels for label in range(100)] for labels in DIVISIONS.values()])
    correlation = np.corrcoef(members) - np.eye(len(members))
    assert np.abs(correlation).max() < 0.9


@pytest.mark.parametrize(
    ("name", "positive", "negative"),
    [
        ("living", "woman maple_tree pear worm", "cloud bottle tank lamp"),
        ("big", "whale dinosaur shark bus man couch sea", "baby beaver trout rose telephone snail"),
        ("half", "mouse worm", "apple mountain"),
        ("animal", "girl spider trout", "tulip pear train"),
        ("vertebrate", "girl snake ray", "spider bee oak_tree"),
        ("moving", "rocket bee boy", "palm_tree house can"),
        ("indoors", "bed cup clock orange woman", "road fox sea"),
    ],
)
def test_divisions_mean_what_they_say(name: str, positive: str, negative: str) -> None:
    labels = DIVISIONS[name]
    assert all(CLASSES.index(thing) in labels for thing in positive.split())
    assert not any(CLASSES.index(thing) in labels for thing in negative.split())


def test_labels_follow_from_what_is_stored(cifar_dir: str) -> None:
    wanted = [*RANDOM, "reconstruction", *reversed(BINARY), "superclass", "class"]
    dataset = data.load("cifar100", tasks=wanted, data_dir=cifar_dir)
    ((_, labels),) = dataset.batches("test", 100)
    assert list(labels) == wanted
    assert {tensor.dtype for name, tensor in labels.items() if name != "reconstruction"} == {tf.int32}
    classes = labels["class"].numpy().tolist()
    assert sorted(classes) == list(range(100))
    assert labels["superclass"].numpy().tolist() == [COARSE[label] for label in classes]
    for name in BINARY:
        assert labels[name].numpy().tolist() == [int(label in DIVISIONS[name]) for label in classes]


def test_random_labels_are_balanced_and_independent_of_each_other_and_of_the_tasks_chosen(cifar_dir: str) -> None:
    dataset = data.load("cifar100", tasks=RANDOM, data_dir=cifar_dir)
    ((_, labels),) = dataset.batches("test", 100)
    table = np.array([labels[name] for name in RANDOM])
    assert np.abs(table.mean(axis=1) - 0.5).max() < 0.2
    assert np.abs(np.corrcoef(table) - np.eye(10)).max() < 0.45
    ((_, alone),) = data.load("cifar100", tasks=["random7"], data_dir=cifar_dir).batches("test", 100)
    np.testing.assert_array_equal(alone["random7"], labels["random7"])


@pytest.mark.parametrize(("field", "value", "classes"), [("label", 100, 100), ("coarse_label", -1, 20)])
def test_labels_out_of_range(tmp_path: Path, field: str, value: int, classes: int) -> None:
    plain = {**features(), "label": np.int64, "coarse_label": np.int64}
    good = [scene(number, label=number, coarse_label=COARSE[number]) for number in range(10)]
    bad = [{**good[0], field: value}]
    root = write(tmp_path, "cifar100", "3.0.2", plain, {"train": good, "test": bad})
    dataset = data.load("cifar100", tasks=["superclass"], data_dir=root)
    with pytest.raises(ValueError, match=f"a stored {field} is not from 0 to {classes - 1}.*{field}={value}"):
        dataset.batches("test", 4)
