"""Portraits: what the labels say is what is drawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data.synthetic import DRAWN_ATTRIBUTES, LANDMARKS, RANDOM_ATTRIBUTES, portrait

COUNT = 300


@pytest.fixture(scope="module")
def portraits() -> list[dict[str, Any]]:
    return [portrait(0, "train", i) for i in range(COUNT)]


def test_attributes_are_those_of_celeb_a(tmp_path: Path) -> None:
    features = tfds.builder("celeb_a", data_dir=tmp_path, try_gcs=False).info.features
    assert set(DRAWN_ATTRIBUTES) | set(RANDOM_ATTRIBUTES) == set(features["attributes"])
    assert not set(DRAWN_ATTRIBUTES) & set(RANDOM_ATTRIBUTES)
    assert set(portrait(0, "train", 0)["landmarks"]) == set(features["landmarks"])


def test_the_same_seed_draws_the_same(portraits: list[dict[str, Any]]) -> None:
    assert portrait(0, "train", 7) == portraits[7]
    assert portrait(1, "train", 7)["image"] != portraits[7]["image"]
    assert portrait(0, "test", 7)["image"] != portraits[7]["image"]


def test_images_are_jpegs_of_celeb_as_size(portraits: list[dict[str, Any]]) -> None:
    image = Image.open(io.BytesIO(portraits[0]["image"]))
    assert (image.format, image.size, image.mode) == ("JPEG", (178, 218), "RGB")


def test_landmarks_lie_where_they_should(portraits: list[dict[str, Any]]) -> None:
    points = np.array([[[p["landmarks"][f"{n}_{a}"] for a in "xy"] for n in LANDMARKS] for p in portraits])
    assert points[..., 0].min() >= 0
    assert points[..., 0].max() < 178
    # Inside what CenterCrop(178) leaves of the rows.
    assert points[..., 1].min() >= 20
    assert points[..., 1].max() < 198
    left, right, nose, left_mouth, right_mouth = points.transpose(1, 0, 2)
    assert (left[:, 0] < right[:, 0]).all()
    assert (left_mouth[:, 0] < right_mouth[:, 0]).all()
    assert (left[:, 1] < nose[:, 1]).all()
    assert (nose[:, 1] < left_mouth[:, 1]).all()
    assert points.std(axis=0).min() > 2


def test_attributes_do_not_contradict_each_other(portraits: list[dict[str, Any]]) -> None:
    for entry in portraits:
        has = entry["attributes"]
        colours = [has[name] for name in ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")]
        assert sum(colours) <= 1
        assert not (has["Bald"] and (any(colours) or has["Bangs"] or has["Wavy_Hair"] or has["Straight_Hair"]))
        assert not (has["Straight_Hair"] and has["Wavy_Hair"])
        assert has["No_Beard"] != any(has[n] for n in ("5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"))


def test_every_drawn_attribute_occurs_and_is_missing_often_enough(portraits: list[dict[str, Any]]) -> None:
    rates = {n: np.mean([p["attributes"][n] for p in portraits]) for n in DRAWN_ATTRIBUTES}
    assert {name: rate for name, rate in rates.items() if not 0.08 < rate < 0.92} == {}


def test_a_drawn_attribute_changes_the_picture_and_a_random_one_does_not(portraits: list[dict[str, Any]]) -> None:
    """Mean pictures with and without an attribute differ by more than halves taken at random do."""
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(p["image"])).convert("L"), float) for p in portraits])

    def difference(name: str) -> float:
        with_it = np.array([p["attributes"][name] for p in portraits])
        return float(np.abs(pixels[with_it].mean(0) - pixels[~with_it].mean(0)).max())

    chance = np.mean([difference(name) for name in ("Attractive", "Male")])
    for name in ("Eyeglasses", "Wearing_Hat", "Wearing_Necktie", "Blond_Hair"):
        assert difference(name) > 1.5 * chance
