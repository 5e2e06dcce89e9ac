from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import data
from data.dataset import Dataset
from data.multi_fashion import partners
from tests.data.conftest import FASHION_SIZES, garment, garment_features, write

SPLITS = {"train": range(45), "validation": range(45, 50), "test": range(50, 67)}
GARMENTS = np.stack([garment(number)["image"] for number in range(sum(FASHION_SIZES.values()))])


def drawn_over_each_other(first: int, second: int) -> np.ndarray:
    image = np.zeros((36, 36, 1), np.uint8)
    image[:28, :28] = GARMENTS[first]
    image[8:, 8:] = np.maximum(image[8:, 8:], GARMENTS[second])
    return image


def pairs(dataset: Dataset, split: str) -> list[tuple[int, int]]:
    """Which two garments each image shows; checks all pixels and labels."""
    found = []
    for images, labels in dataset.batches(split, 7):
        for image, left, right in zip(images.numpy(), labels["left"].numpy(), labels["right"].numpy()):
            # The last pixel of the lower garment is never covered.
            first = round(image[0, 0, 0] * 255)
            candidates = np.flatnonzero(GARMENTS[:, -1, -1, 0] == round(image[-1, -1, 0] * 255))
            (second,) = (
                number
                for number in candidates.tolist()
                if (image == drawn_over_each_other(first, number).astype(np.float32) / 255).all()
            )
            assert (left, right) == (first % 10, second % 10)
            found.append((first, second))
    return found


def fashion(fashion_dir: str) -> Dataset:
    return data.load("fashion_mnist", data_dir=fashion_dir)


@pytest.mark.parametrize("split", SPLITS)
def test_images_show_each_garment_with_a_partner_of_its_split(fashion_dir: str, memory: str, split: str) -> None:
    dataset = data.load("multi_fashion", data_dir=fashion_dir)
    assert dataset.size(split) == len(SPLITS[split])
    numbers = [np.rint(images.numpy()[:, 0, 0, 0] * 255) for images, _ in fashion(fashion_dir).batches(split, 7)]
    first, second = zip(*pairs(dataset, split))
    assert list(first) == np.concatenate(numbers).astype(int).tolist()
    assert sorted(first) == sorted(second) == list(SPLITS[split])
    assert all(one != other for one, other in zip(first, second))


def test_the_seed_changes_the_training_pairs_alone(fashion_dir: str) -> None:
    def load(seed: int) -> Dataset:
        return data.load("multi_fashion", data_dir=fashion_dir, seed=seed)

    assert pairs(load(1), "train") == pairs(load(1), "train") != pairs(load(2), "train")
    for split in ("validation", "test"):
        assert pairs(load(1), split) == pairs(load(2), split)
    with pytest.raises(ValueError, match=r"seed must be at least 0\. Received: seed=-1"):
        load(-1)


def test_partners_are_the_same_on_every_machine() -> None:
    # Written down, so that no change to the code or to NumPy goes unnoticed that changes them.
    assert partners(8, seed=0).tolist() == [6, 2, 3, 5, 7, 4, 1, 0]
    assert partners(1, seed=0).tolist() == [0]


def test_epochs_are_shuffled_and_have_the_same_pairs(fashion_dir: str, memory: str) -> None:
    dataset = data.load("multi_fashion", data_dir=fashion_dir)
    in_order = np.concatenate([images for images, _ in dataset.batches("train", 9)])
    shuffled = itertools.islice(dataset.batches("train", 9, shuffle=True, seed=3), 10)
    epochs = np.split(np.concatenate([images for images, _ in shuffled]), 2)
    for epoch in epochs:
        assert (epoch != in_order).any()
        np.testing.assert_array_equal(epoch[np.argsort(epoch[:, 0, 0, 0])], in_order[np.argsort(in_order[:, 0, 0, 0])])


def test_tasks_and_their_classes(fashion_dir: str) -> None:
    dataset = data.load("multi_fashion", data_dir=fashion_dir)
    assert dataset.tasks.names == ("left", "right")
    assert dataset.tasks["right"].labels == fashion(fashion_dir).tasks["item"].labels
    assert dataset.label_counts() == {"left": 45, "right": 45}
    one = data.load("multi_fashion", tasks=["right"], data_dir=fashion_dir)
    expected = [labels["right"] for _, labels in dataset.batches("test", 17)]
    np.testing.assert_array_equal([labels["right"] for _, labels in one.batches("test", 17)], expected)
    description = one.description()
    assert (description["images"], description["image_shape"]) == ("png", [36, 36, 1])
    assert description["sizes"] == {split: len(numbers) for split, numbers in SPLITS.items()}


def test_fewer_training_examples_are_some_of_the_pairs(fashion_dir: str) -> None:
    dataset = data.load("multi_fashion", data_dir=fashion_dir)
    some = pairs(dataset.with_train_examples(10), "train")
    assert len(some) == 10
    assert set(some) < set(pairs(dataset, "train"))


def test_images_cached_on_disk_are_those_of_the_seed(
    fashion_dir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path))
    for seed in (1, 2, 1):
        cached = data.load("multi_fashion", data_dir=fashion_dir, seed=seed, cache="disk")
        assert pairs(cached, "train") == pairs(data.load("multi_fashion", data_dir=fashion_dir, seed=seed), "train")
    assert len(list((tmp_path / "decoded").iterdir())) == 2


def test_images_stored_as_floats(tmp_path: Path) -> None:
    features = garment_features(tfds.features.Tensor(shape=(28, 28, 1), dtype=np.float32))
    examples = [{**garment(n), "image": GARMENTS[n].astype(np.float32) / 255} for n in range(50)]
    write(tmp_path, "fashion_mnist", "3.0.1", features, {"train": examples, "test": examples})
    dataset = data.load("multi_fashion", data_dir=tmp_path)
    assert len(pairs(dataset, "train")) == 45
    assert dataset.description()["images"] == "float"


def test_images_are_not_flipped(fashion_dir: str) -> None:
    with pytest.raises(ValueError, match=r"examples of multi_fashion cannot be flipped: .* Received: augment=True"):
        data.load("multi_fashion", data_dir=fashion_dir).batches("train", 4, shuffle=True, augment=True)


def test_decode_reads_composed_images(fashion_dir: str) -> None:
    image = drawn_over_each_other(0, 1)
    decoded = data.load("multi_fashion", data_dir=fashion_dir).decode(tf.io.encode_png(image))
    np.testing.assert_array_equal(decoded, image.astype(np.float32) / 255)
