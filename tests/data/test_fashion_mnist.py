from __future__ import annotations

import io

import numpy as np
import tensorflow as tf
from PIL import Image

import data


def test_groups_follow_from_the_items_by_name(fashion_dir: str) -> None:
    dataset = data.load("fashion_mnist", data_dir=fashion_dir)
    expected = {
        "shoes": {"Sandal", "Sneaker", "Ankle boot"},
        "gendered": {"Dress", "Shirt", "Bag"},
        "unisex": {"T-shirt/top", "Trouser", "Pullover", "Coat"},
    }
    seen: dict[str, set[str]] = {group: set() for group in expected}
    for _, labels in dataset.batches("train", 7):
        for item, group in zip(labels["item"].numpy(), labels["group"].numpy()):
            seen[dataset.tasks["group"].labels[group]].add(dataset.tasks["item"].labels[item])
    assert seen == expected


def test_tasks_come_in_the_order_asked_for(fashion_dir: str) -> None:
    dataset = data.load("fashion_mnist", tasks=["group", "item"], data_dir=fashion_dir)
    assert dataset.tasks.names == ("group", "item")
    assert list(data.load("fashion_mnist", tasks=["group"], data_dir=fashion_dir).label_counts()) == ["group"]


def test_decode_turns_any_image_into_a_small_grey_one(fashion_dir: str) -> None:
    dataset = data.load("fashion_mnist", data_dir=fashion_dir)
    own = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    picture = Image.fromarray(np.full((60, 90, 3), (200, 50, 100), np.uint8))
    for image, form, expected in ((Image.fromarray(own), "PNG", own / 255.0), (picture, "JPEG", 0.41)):
        file = io.BytesIO()
        image.save(file, form)
        decoded = tf.function(dataset.decode)(tf.constant(file.getvalue())).numpy()
        assert decoded.shape == (28, 28, 1)
        assert decoded.dtype == np.float32
        np.testing.assert_allclose(decoded[:, :, 0], expected, atol=1e-6 if form == "PNG" else 0.02)
