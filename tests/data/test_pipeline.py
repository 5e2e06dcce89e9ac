"""Bad examples: every error is one line that names the dataset and the split."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import data
from tests.data.conftest import face, face_features, garment, garment_features, write


def message_of(name: str, data_dir: Path, split: str = "train") -> str:
    """Iterates over a split in a compiled function, as `fit` does, and returns the error's one line."""
    dataset = data.load(name, data_dir=data_dir)

    def iterate() -> None:
        iterator = iter(dataset.batches(split, 4))
        step = tf.function(lambda: next(iterator))
        for _ in range(dataset.steps(split, 4)):
            step()

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)) as error:
        iterate()
    message = data.explain(error.value) if isinstance(error.value, tf.errors.OpError) else str(error.value)
    assert "\n" not in message
    assert "{{" not in message
    return message


def floating(number: int, bad: float | None = None) -> dict[str, Any]:
    example = garment(number)
    image = example["image"].astype(np.float32) / 255
    if bad is not None:
        image[3, 4] = bad
    return {"image": image, "label": example["label"]}


FLOATING = tfds.features.Tensor(shape=(28, 28, 1), dtype=np.float32)


@pytest.mark.parametrize(
    ("memory", "feature", "bad"),
    [
        ("in memory", FLOATING, np.nan),
        ("streamed", tfds.features.Image(shape=(28, 28, 1), dtype=np.float32), np.inf),
    ],
    indirect=["memory"],
    ids=["tensor", "image"],
)
def test_images_that_are_not_finite(tmp_path: Path, memory: str, bad: float, feature: Any) -> None:
    examples = [floating(number, bad if number == 13 else None) for number in range(20)]
    splits = {"train": list(map(floating, range(20))), "test": examples}
    write(tmp_path, "fashion_mnist", "3.0.1", garment_features(feature), splits)
    assert "Dataset fashion_mnist, split test: an image holds NaN or Inf" in message_of(
        "fashion_mnist", tmp_path, "test"
    )
    images, _ = next(iter(data.load("fashion_mnist", data_dir=tmp_path).batches("train", 1)))
    np.testing.assert_array_equal(images[0], floating(round(float(images[0, 0, 0, 0]) * 255))["image"])


def test_labels_out_of_range(tmp_path: Path, memory: str) -> None:
    features = {**garment_features(), "label": np.int64}
    examples = [{**garment(number), "label": 10 if number == 5 else 3} for number in range(20)]
    write(tmp_path, "fashion_mnist", "3.0.1", features, {"train": list(map(garment, range(20))), "test": examples})
    message = message_of("fashion_mnist", tmp_path, "test")
    assert "Dataset fashion_mnist, split test: a stored label is not from 0 to 9" in message
    assert "Received: label=10" in message.replace("[", "")


@pytest.mark.parametrize(
    ("memory", "damage"),
    [("in memory", lambda image: image[:2000]), ("streamed", lambda image: b"<html>quota</html>")],
    indirect=["memory"],
)
def test_images_that_cannot_be_decoded(tmp_path: Path, memory: str, damage: Any) -> None:
    good = face(0)["image"].getvalue()
    examples = [face(number, damage(good) if number == 2 else good) for number in range(5)]
    write(tmp_path, "celeb_a", "2.1.0", face_features(), dict.fromkeys(("train", "validation", "test"), examples))
    message = message_of("celeb_a", tmp_path)
    assert message.startswith("Dataset celeb_a, split train: ")
    assert "(example 2)" in message


def test_error_from_elsewhere_is_explained_without_a_place() -> None:
    with pytest.raises(tf.errors.OpError) as error:
        tf.io.decode_image(io.BytesIO(b"nothing").getvalue())
    assert data.explain(error.value).startswith("Unknown image file format")
