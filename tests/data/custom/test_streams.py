"""Datasets made of tf.data pipelines, and of those of TFDS."""

from __future__ import annotations

import itertools
import re
import warnings
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import data
from mtl_keras.tasks import Task
from tests.data.conftest import face

SIZES = {"train": 20, "validation": 5, "test": 4}
KIND = Task.classification("kind", 3)


def pipeline(size: int, scale: float | None = None) -> tf.data.Dataset:
    """Examples whose pixels tell which one it is."""
    images = np.broadcast_to(np.arange(size).reshape(size, 1, 1, 1), (size, 4, 4, 3)).astype(np.uint8)
    labels = {"kind": np.arange(size) % 3, "where": np.stack([np.arange(size), -np.arange(size)], axis=1) / size}
    return tf.data.Dataset.from_tensor_slices((images if scale is None else images * scale, labels))


def splits(**others: Any) -> dict[str, Any]:
    return {split: pipeline(size) for split, size in SIZES.items()} | others


def shuffled(dataset: data.Dataset, count: int, **how: Any) -> list[np.ndarray]:
    batches = itertools.islice(dataset.batches("train", 8, shuffle=True, seed=1, **how), count)
    return [(images * 255).numpy().round().astype(int)[:, 0, 0, 0] for images, _ in batches]


def test_examples_and_resumption_are_those_of_any_dataset() -> None:
    tasks = [KIND, Task.regression("where", 2), Task.reconstruction("picture", (4, 4, 3))]
    dataset = data.from_tf_data(splits(), tasks, cache="none")
    assert [dataset.size(split) for split in SIZES] == list(SIZES.values())
    images, labels = next(iter(dataset.batches("validation", 8)))
    np.testing.assert_array_equal(labels["kind"], [0, 1, 2, 0, 1])
    np.testing.assert_array_equal(labels["picture"], images)
    np.testing.assert_allclose(labels["where"][:, 1], -np.arange(5) / 5)
    whole = shuffled(dataset, 6)
    assert sorted(np.concatenate(whole[:3])) == sorted(np.concatenate(whole[3:])) == list(range(20))
    assert whole[0].tolist() != whole[3].tolist()
    for one, other in zip(shuffled(dataset, 2, first_epoch=1, first_step=1), whole[4:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert dataset.label_counts() == {"kind": 20, "where": 20, "picture": 20}


def test_bytes_of_files_are_decoded_and_resized() -> None:
    def encoded(image: tf.Tensor, labels: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        return tf.io.encode_png(image), labels

    written = {split: one.map(encoded) for split, one in splits().items()}
    dataset = data.from_tf_data(written, [KIND], image_shape=(2, 2, 3))
    images, _ = next(iter(dataset.batches("test", 8)))
    np.testing.assert_allclose(images[:, 1, 1, 2], np.arange(4) / 255, rtol=1e-6)
    assert dataset.description()["images"] == "png"


def test_missing_labels_and_pipelines_of_unknown_length() -> None:
    def some(image: tf.Tensor, labels: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        kind = tf.where(labels["kind"] == 2, tf.constant(-1, tf.int64), labels["kind"])
        return image, {"kind": kind, "years": kind, "sure": tf.where(kind < 0, np.nan, 1.0)}

    odd = {split: one.map(some).filter(lambda image, _: image[0, 0, 0] % 2 == 1) for split, one in splits().items()}
    dataset = data.from_tf_data(odd, [KIND, Task.binary("sure"), Task.regression("years")])
    assert [dataset.size(split) for split in SIZES] == [10, 2, 2]
    _, labels = next(iter(dataset.batches("train", 10)))
    np.testing.assert_array_equal(labels["kind"], [1, 0, -1, 1, 0, -1, 1, 0, -1, 1])
    np.testing.assert_array_equal(np.isnan(labels["sure"]), labels["kind"] == -1)
    np.testing.assert_array_equal(labels["years"][:, 0], labels["kind"])  # in a regression, -1 is a number
    assert dataset.description()["missing_labels"]["kind"] == {"train": 3, "validation": 0, "test": 0}
    # They are counted only where that is quick.
    assert "missing_labels" not in data.from_tf_data(odd, [KIND], cache="none").description()


def test_a_pipeline_that_draws_at_random_is_not_kept_and_warned_about() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.from_tf_data(splits(test=pipeline(4).shuffle(4)), [KIND])
    with pytest.warns(UserWarning, match="Dataset mine: two passes over the training examples differ"):
        dataset = data.from_tf_data(splits(train=pipeline(20).shuffle(20)), [KIND], name="mine")
    first, second = (next(iter(dataset.batches("train", 20)))[1]["kind"].numpy() for _ in range(2))
    assert (first != second).any()


@pytest.mark.parametrize(
    ("cache", "broken", "message"),
    [
        ("memory", pipeline(5, scale=1.0), "an image has values outside 0 to 1: from 2 to 2 .example 2."),
        (
            "none",
            pipeline(5, scale=0.1).map(lambda image, labels: (image, {"kind": labels["kind"] * 2})),
            "a stored kind is not from -1 to 2. Received: kind=4 .example 2.",
        ),
    ],
)
def test_what_only_reading_shows_is_explained(cache: str, broken: tf.data.Dataset, message: str) -> None:
    others = {"train": pipeline(5, scale=0.1), "validation": pipeline(5, scale=0.1), "test": broken}
    dataset = data.from_tf_data(others, [KIND], cache=cache)
    with pytest.raises((ValueError, tf.errors.OpError)) as error:
        list(dataset.batches("test", 5))
    said = data.explain(error.value) if isinstance(error.value, tf.errors.OpError) else str(error.value)
    assert re.fullmatch(f"Dataset own, split test: {message}", said), said


def test_a_binary_label_above_1_is_an_error() -> None:
    floats = pipeline(3).map(lambda image, labels: (image, {"flag": tf.cast(labels["kind"], tf.float32) * 0.75}))
    dataset = data.from_tf_data(splits(train=floats, validation=floats, test=floats), [Task.binary("flag")])
    with pytest.raises(ValueError, match=r"a stored flag is not from -1 to 1. Received: flag=1.5 .example 2."):
        dataset.batches("test", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": splits(test=pipeline(4).batch(2))}, r"splits\['test'\] must give examples one by one"),
        ({"splits": splits(train=pipeline(4).repeat())}, r"splits\['train'\] must end: do not `.repeat"),
        ({"splits": splits(test=pipeline(4).take(0))}, r"splits\['test'\] must have examples. Received: none"),
        ({"splits": {"train": pipeline(4)}}, "`splits` must have train, validation, test. Received: train"),
        ({"splits": splits(dev=pipeline(4))}, "Unknown split in `splits`.*'dev'"),
        ({"splits": splits(train=np.zeros(3))}, r"must be a tf.data.Dataset of \(image, {task: label}\)"),
        ({"splits": splits(test=pipeline(4, scale=0.1))}, "The test images must be like those for training, uint8"),
        ({"splits": splits(test=pipeline(4).map(lambda x, y: (tf.cast(x, tf.int32), y)))}, "Received: int32"),
        ({"tasks": [Task.binary("kid")]}, r"no label in splits\['train'\]. Did you mean 'kind'"),
        ({"tasks": [Task.classification("where", 3)]}, "labels of task 'where' .* must be integers. Received: float64"),
        ({"tasks": [Task.regression("where", 3)]}, r"must be of 3 number\(s\). Received: \(2,\)"),
        ({"image_shape": (8, 8)}, r"`image_shape` must be \(height, width, channels\)"),
        ({"image_shape": (8, 8, 1)}, "images must have 1 channels, as `image_shape` says"),
        ({"cache": "disk"}, "Unknown cache. .*'disk'. Choices: auto, memory, none"),
        ({"on_bad_example": "drop"}, "Unknown value of on_bad_example. .*'drop'"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.from_tf_data(**{"splits": splits(), "tasks": [KIND], **changes})


def test_tfds_features_become_tasks(fashion_dir: str, faces_dir: str) -> None:
    garments = data.from_tfds("fashion_mnist", ["label"], data_dir=fashion_dir)
    known = data.load("fashion_mnist", tasks=["item"], data_dir=fashion_dir)
    assert garments.tasks["label"].labels == known.tasks["item"].labels
    for (images, labels), (others, expected) in zip(garments.batches("test", 8), known.batches("test", 8), strict=True):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels["label"], expected["item"])
    wanted = {"attributes/Smiling": None, "landmarks/nose_x": Task.regression("nose"), "image": None}
    wanted["image"] = Task.reconstruction("face", (16, 16, 3))
    faces = data.from_tfds("celeb_a", wanted, data_dir=faces_dir, image_shape=(16, 16, 3))
    assert {name: task.head for name, task in faces.tasks.items()} == {
        "Smiling": "binary",
        "nose": "regression",
        "face": "reconstruction",
    }
    smiling = sum(face(number)["attributes"]["Smiling"] for number in range(10))
    assert faces.label_counts() == {"Smiling": smiling, "nose": 10, "face": 10}
    assert (faces.image_shape, faces.description()["images"]) == ((16, 16, 3), "jpeg")


@pytest.mark.parametrize(
    ("name", "tasks", "splits", "message"),
    [
        ("garments", ["label"], None, "TFDS has no dataset 'garments'"),
        ("fashion_mnist", ["labels"], None, "Unknown feature of fashion_mnist. .*'labels'. Choices: image, label"),
        ("fashion_mnist", ["image"], None, "`tasks` needs a Task for a feature .* Received: image, uint8"),
        ("fashion_mnist", ["label"], {"train": "train"}, "`splits` must have train, validation, test"),
        (
            "fashion_mnist",
            ["label"],
            {"train": "train", "validation": "dev", "test": "test"},
            "unknown TFDS split. Received: 'dev'",
        ),
    ],
)
def test_what_tfds_does_not_have_is_refused(
    fashion_dir: str, name: str, tasks: list[str], splits: dict[str, str] | None, message: str
) -> None:
    with pytest.raises((ValueError, data.DataUnavailable), match=message):
        data.from_tfds(name, tasks, splits=splits, data_dir=fashion_dir)
