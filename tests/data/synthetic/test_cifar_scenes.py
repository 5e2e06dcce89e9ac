"""Drawn CIFAR scenes show their class, and not in their colours alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from data.cifar100_classes import SUPERCLASS_OF_CLASS
from data.synthetic import cifar10_scene, cifar100_scene

COUNT, FIRST = 900, 700


def pixels(entry: dict[str, Any]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(entry["image"])), float)


def accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """How many of the last examples have the label of the nearest mean of the first ones."""
    features = features.reshape(len(features), -1)
    means = np.stack([features[:FIRST][labels[:FIRST] == c].mean(axis=0) for c in range(labels.max() + 1)])
    nearest = ((features[FIRST:, None] - means) ** 2).sum(-1).argmin(1)
    return float((nearest == labels[FIRST:]).mean())


@pytest.fixture(scope="module")
def ten() -> list[dict[str, Any]]:
    return [cifar10_scene(0, "train", i) for i in range(COUNT)]


@pytest.fixture(scope="module")
def hundred() -> list[dict[str, Any]]:
    return [cifar100_scene(0, "train", i) for i in range(COUNT)]


def edges(entry: dict[str, Any]) -> np.ndarray:
    """Where the picture changes, made symmetric: half of the scenes are flipped."""
    grey = pixels(entry).mean(axis=-1)
    change = np.abs(np.diff(grey, axis=0))[:, 1:] + np.abs(np.diff(grey, axis=1))[1:]
    change = np.minimum(change, 40)
    return change + change[:, ::-1]


def test_the_ten_classes_have_shapes_that_colours_do_not_give_away(ten: list[dict[str, Any]]) -> None:
    labels = np.array([entry["label"] for entry in ten])
    assert set(labels) == set(range(10))
    assert accuracy(np.stack([edges(entry) for entry in ten]), labels) > 0.6
    assert accuracy(np.stack([pixels(entry).mean(axis=(0, 1)) for entry in ten]), labels) < 0.4


def test_the_twenty_superclasses_are_shapes(hundred: list[dict[str, Any]]) -> None:
    labels = np.array([entry["coarse_label"] for entry in hundred])
    assert [SUPERCLASS_OF_CLASS[entry["label"]] for entry in hundred] == labels.tolist()
    assert accuracy(np.stack([edges(entry) for entry in hundred]), labels) > 0.4
    assert accuracy(np.stack([pixels(entry).mean(axis=(0, 1)) for entry in hundred]), labels) < 0.15


def test_the_five_classes_of_a_superclass_are_colours(hundred: list[dict[str, Any]]) -> None:
    """Whatever the shape: the middle of the picture says which of the five it is."""
    ranks = np.array([SUPERCLASS_OF_CLASS[: e["label"]].count(e["coarse_label"]) for e in hundred])
    middle = np.stack([pixels(entry)[10:22, 10:22].mean(axis=(0, 1)) for entry in hundred])
    hue = middle - middle.mean(axis=1, keepdims=True)
    assert accuracy(hue, ranks) > 0.6


@pytest.mark.parametrize("draw", [cifar10_scene, cifar100_scene])
def test_a_scene_depends_on_seed_split_and_place(draw: Callable[[int, str, int], dict[str, Any]]) -> None:
    first = draw(3, "test", 12)
    assert first == draw(3, "test", 12)
    assert first["id"] == "test_00012"
    assert pixels(first).shape == (32, 32, 3)
    others = [draw(4, "test", 12), draw(3, "train", 12), draw(3, "test", 13)]
    assert all(first["image"] != other["image"] for other in others)
