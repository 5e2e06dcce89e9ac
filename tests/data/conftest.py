"""Tiny TFDS directories, written by TFDS with the features of the real datasets."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data.celeb_a import ATTRIBUTES, COORDINATES

FASHION_SIZES = {"train": 50, "test": 17}
FACE_SIZES = {"train": 10, "validation": 4, "test": 3}


def write(root: Path, name: str, version: str, features: Any, splits: Mapping[str, list[Any]]) -> str:
    """Writes a TFDS dataset with the given examples, and returns its TFDS directory."""
    builder = tfds.dataset_builders.AdhocBuilder(
        name=name, version=version, features=tfds.features.FeaturesDict(features), split_datasets={}, data_dir=root
    )
    builder.data_path.mkdir(parents=True)
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=1000)
    writer.initialize_splits(list(splits))
    writer.add_examples(splits)
    writer.close_all()
    return str(root)


def garment(number: int) -> dict[str, Any]:
    """An example whose first pixel tells which one it is."""
    image = np.random.default_rng(number).integers(0, 256, (28, 28, 1), dtype=np.uint8)
    image[0, 0] = number
    return {"image": image, "label": number % 10}


def garment_features(image: Any = None) -> dict[str, Any]:
    return {
        "image": image or tfds.features.Image(shape=(28, 28, 1)),
        "label": tfds.features.ClassLabel(num_classes=10),
    }


def jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def photograph(number: int, height: int = 218, width: int = 178) -> np.ndarray:
    """Smooth blobs with a little noise: more like a photograph than noise alone."""
    rng = np.random.default_rng(number)
    blobs = Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.clip(np.asarray(blobs) + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


def face(number: int, image: bytes | None = None, points: Mapping[str, int] | None = None) -> dict[str, Any]:
    rng = np.random.default_rng(number)
    places = {path.split("/")[1]: int(rng.integers(30, 150)) for path in COORDINATES}
    return {
        "image": io.BytesIO(image or jpeg(photograph(number))),
        "attributes": {name: bool(rng.random() < 0.4) for name in ATTRIBUTES},
        "landmarks": {**places, **(points or {})},
        "identity": {"Identity_No": number},
    }


def face_features() -> dict[str, Any]:
    return {
        "image": tfds.features.Image(shape=(218, 178, 3), encoding_format="jpeg"),
        "attributes": dict.fromkeys(ATTRIBUTES, np.bool_),
        "landmarks": {path.split("/")[1]: np.int64 for path in COORDINATES},
        "identity": {"Identity_No": np.int64},
    }


@pytest.fixture(scope="session")
def fashion_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    numbers = iter(range(sum(FASHION_SIZES.values())))
    splits = {split: [garment(next(numbers)) for _ in range(size)] for split, size in FASHION_SIZES.items()}
    return write(tmp_path_factory.mktemp("fashion"), "fashion_mnist", "3.0.1", garment_features(), splits)


@pytest.fixture(scope="session")
def faces_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    numbers = iter(range(sum(FACE_SIZES.values())))
    splits = {split: [face(next(numbers)) for _ in range(size)] for split, size in FACE_SIZES.items()}
    return write(tmp_path_factory.mktemp("faces"), "celeb_a", "2.1.0", face_features(), splits)


@pytest.fixture(params=["in memory", "streamed"])
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test with splits kept in memory, and again with splits read from disk."""
    if request.param == "streamed":
        monkeypatch.setattr("data.pipeline.MEMORY_LIMIT", 0)
    return request.param
