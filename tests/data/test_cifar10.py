from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data.cifar10 import ANIMALS, CLASSES
from data.dataset import Dataset
from tests.data.cifar import SIZES, cifar10, features, scene
from tests.data.conftest import write

ALL = ["class", "animal", "reconstruction", "random"]


@pytest.fixture(scope="module")
def cifar_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    return cifar10(tmp_path_factory.mktemp("cifar10"))


def numbers(images: tf.Tensor) -> list[int]:
    """Which examples a batch holds."""
    return np.rint(images.numpy()[:, 0, 0, 0] * 255).astype(int).tolist()


def random_labels(dataset: Dataset) -> dict[int, int]:
    """The random label of every example, over all splits."""
    found = {}
    for split in ("train", "validation", "test"):
        for images, labels in dataset.batches(split, 7):
            found.update(zip(numbers(images), labels["random"].numpy().tolist()))
    return found


def test_default_tasks_leave_the_random_one_out(cifar_dir: str) -> None:
    assert data.load("cifar10", data_dir=cifar_dir).tasks.names == ("class", "animal", "reconstruction")
    assert data.load("cifar10", tasks=["random", "class"], data_dir=cifar_dir).tasks.names == ("random", "class")
    with pytest.raises(ValueError, match="Choices: animal, class, random, reconstruction"):
        data.load("cifar10", tasks=["rand"], data_dir=cifar_dir)


def test_labels_are_those_stored_and_animals_follow(cifar_dir: str, memory: str) -> None:
    batches = data.load("cifar10", tasks=ALL, data_dir=cifar_dir).batches("train", 9)
    (images, labels) = batches.element_spec
    assert images == labels["reconstruction"] == tf.TensorSpec([None, 32, 32, 3], tf.float32)
    assert list(labels) == ALL
    assert {labels[name] for name in ALL if name != "reconstruction"} == {tf.TensorSpec([None], tf.int32)}
    for images, labels in batches:
        assert labels["class"].numpy().tolist() == [number % 10 for number in numbers(images)]
        animals = [int(CLASSES[label] in ANIMALS) for label in labels["class"].numpy()]
        assert labels["animal"].numpy().tolist() == animals
        np.testing.assert_array_equal(images[0], scene(numbers(images)[0])["image"].astype(np.float32) / 255)


def test_the_label_of_a_reconstruction_is_the_image_that_the_model_sees(cifar_dir: str, memory: str) -> None:
    dataset = data.load("cifar10", data_dir=cifar_dir, tasks=["reconstruction"])
    images, labels = next(iter(dataset.batches("train", 36, shuffle=True, augment=True)))
    assert list(labels) == ["reconstruction"]
    np.testing.assert_array_equal(images, labels["reconstruction"])
    stored = np.stack([scene(n)["image"] for n in range(SIZES["train"])]).astype(np.float32) / 255
    flipped = sum(not (stored == image).all(axis=(1, 2, 3)).any() for image in labels["reconstruction"].numpy())
    assert 5 < flipped < 31


def test_random_labels_depend_on_the_id_alone(cifar_dir: str, tmp_path: Path, memory: str) -> None:
    found = random_labels(data.load("cifar10", tasks=ALL, data_dir=cifar_dir))
    turned = cifar10(tmp_path, slice(None, None, -1))
    assert random_labels(data.load("cifar10", tasks=["random"], data_dir=turned)) == found
    assert sorted(found) == list(range(56))
    assert 14 <= sum(found.values()) <= 42
    # Written down, so that no change to the code goes unnoticed that changes them.
    assert [found[number] for number in range(12)] == [0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0, 0]


def test_decode_turns_any_image_into_a_small_coloured_one(cifar_dir: str) -> None:
    dataset = data.load("cifar10", data_dir=cifar_dir)
    file = io.BytesIO()
    Image.fromarray(np.full((60, 90), 128, np.uint8)).save(file, "PNG")
    decoded = tf.function(dataset.decode)(tf.constant(file.getvalue()))
    np.testing.assert_allclose(decoded, np.full((32, 32, 3), 128 / 255), atol=1e-6)


@pytest.mark.parametrize("tasks", [["reconstruction"], ["class", "random"]])
def test_labels_out_of_range(tmp_path: Path, tasks: list[str]) -> None:
    stored = [scene(number, label=-1 if number == 3 else 2) for number in range(10)]
    root = write(tmp_path, "cifar10", "3.0.2", {**features(), "label": np.int64}, {"train": stored, "test": stored})
    dataset = data.load("cifar10", tasks=tasks, data_dir=root)
    with pytest.raises(ValueError, match=r"cifar10, split test: a stored label is not from 0 to 9. Received: label="):
        dataset.batches("test", 4)


def test_ids_are_needed_for_random_tasks_only(tmp_path: Path) -> None:
    entries = [{**scene(number, label=1), "id": number} for number in range(10)]
    root = write(
        tmp_path, "cifar10", "3.0.2", {**features(label=10), "id": np.int64}, {"train": entries, "test": entries}
    )
    assert data.load("cifar10", data_dir=root).size("test") == 10
    with pytest.raises(ValueError, match=r"'id' should be a text \(\). Received: int64"):
        data.load("cifar10", tasks=["random"], data_dir=root)
