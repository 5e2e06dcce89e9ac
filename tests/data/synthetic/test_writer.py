"""Drawn datasets on disk are what TFDS would have written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from data.synthetic import garment, materialise, portrait, writer

SIZES = {
    "celeb_a": {"train": 6, "validation": 2, "test": 3},
    "cifar10": {"train": 10, "test": 3},
    "cifar100": {"train": 10, "test": 3},
    "fashion_mnist": {"train": 12, "test": 4},
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def read(folder: Path, name: str, split: str) -> list[Mapping[str, Any]]:
    builder = tfds.builder(name, data_dir=folder, try_gcs=False)
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def test_examples_are_those_that_were_drawn(cache: Path) -> None:
    folder = materialise("fashion_mnist", SIZES["fashion_mnist"], cache_dir=cache)
    for i, example in enumerate(read(folder, "fashion_mnist", "test")):
        drawn = garment(0, "test", i)
        np.testing.assert_array_equal(example["image"], tf.io.decode_png(drawn["image"]).numpy())
        assert example["label"] == drawn["label"]
    folder = materialise("celeb_a", SIZES["celeb_a"], cache_dir=cache)
    for i, example in enumerate(read(folder, "celeb_a", "train")):
        drawn = portrait(0, "train", i)
        np.testing.assert_array_equal(example["image"], tf.io.decode_jpeg(drawn["image"]).numpy())
        assert {name: bool(value) for name, value in example["attributes"].items()} == drawn["attributes"]
        assert {name: int(value) for name, value in example["landmarks"].items()} == drawn["landmarks"]


@pytest.mark.parametrize("name", SIZES)
def test_features_are_those_of_the_real_dataset(cache: Path, tmp_path: Path, name: str) -> None:
    drawn = tfds.builder(name, data_dir=materialise(name, SIZES[name], cache_dir=cache), try_gcs=False)
    assert type(drawn).__module__.startswith("tensorflow_datasets.")
    assert {split: info.num_examples for split, info in drawn.info.splits.items()} == SIZES[name]
    real = tfds.builder_cls(name)(data_dir=tmp_path)
    stored = tfds.features.FeaturesDict.from_config(str(drawn.data_path))
    assert stored.to_json() == real.info.features.to_json()
    assert drawn.info.full_name == real.info.full_name
    assert tf.nest.map_structure(repr, drawn.info.features.get_tensor_spec()) == tf.nest.map_structure(
        repr, real.info.features.get_tensor_spec()
    )


@pytest.mark.parametrize("name", SIZES)
def test_a_smaller_dataset_is_the_beginning_of_a_larger_one(cache: Path, tmp_path: Path, name: str) -> None:
    larger = read(materialise(name, SIZES[name], cache_dir=cache), name, "train")
    smaller = read(materialise(name, dict.fromkeys(SIZES[name], 2), cache_dir=tmp_path), name, "train")
    assert (len(larger), len(smaller)) == (SIZES[name]["train"], 2)
    tf.nest.map_structure(np.testing.assert_array_equal, smaller, larger[:2])


def test_two_runs_write_the_same_bytes(cache: Path, tmp_path: Path) -> None:
    first = materialise("celeb_a", SIZES["celeb_a"], cache_dir=cache)
    second = materialise("celeb_a", SIZES["celeb_a"], cache_dir=tmp_path)
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(files) == 6
    assert [(first / path).read_bytes() for path in files] == [(second / path).read_bytes() for path in files]


def test_jpegs_are_stored_as_they_were_encoded(cache: Path) -> None:
    folder = materialise("celeb_a", SIZES["celeb_a"], cache_dir=cache)
    builder = tfds.builder("celeb_a", data_dir=folder, try_gcs=False)
    encoded = builder.as_dataset(split="test", decoders={"image": tfds.decode.SkipDecoding()})
    assert [e["image"] for e in tfds.as_numpy(encoded)] == [portrait(0, "test", i)["image"] for i in range(3)]


def test_what_was_drawn_once_is_not_drawn_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = materialise("fashion_mnist", SIZES["fashion_mnist"], cache_dir=cache)
    monkeypatch.setattr(writer, "_draw", None)
    assert materialise("fashion_mnist", SIZES["fashion_mnist"], cache_dir=cache) == folder
    with pytest.raises(TypeError):
        materialise("fashion_mnist", SIZES["fashion_mnist"], cache_dir=cache, seed=1)


def test_an_interrupted_drawing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def examples(seed: int, split: str, index: int) -> dict[str, Any]:
        if index == 3:
            raise KeyboardInterrupt
        return garment(seed, split, index)

    broken = writer._LookAlike(examples, SIZES["fashion_mnist"], 1)
    monkeypatch.setitem(writer._LOOK_ALIKES, "fashion_mnist", broken)
    with pytest.raises(KeyboardInterrupt):
        materialise("fashion_mnist", cache_dir=tmp_path)
    assert list((tmp_path / "synthetic").iterdir()) == []


def test_another_process_may_be_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def examples(seed: int, split: str, index: int) -> dict[str, Any]:
        rival.mkdir(parents=True, exist_ok=True)
        (rival / "theirs").touch()
        return garment(seed, split, index)

    rival = materialise("fashion_mnist", SIZES["fashion_mnist"], cache_dir=tmp_path / "elsewhere")
    rival = tmp_path / rival.relative_to(tmp_path / "elsewhere")
    version = writer._LOOK_ALIKES["fashion_mnist"].version
    hurried = writer._LookAlike(examples, SIZES["fashion_mnist"], version)
    monkeypatch.setitem(writer._LOOK_ALIKES, "fashion_mnist", hurried)
    assert materialise("fashion_mnist", cache_dir=tmp_path) == rival
    assert list(rival.parent.iterdir()) == [rival]
    assert list(rival.iterdir()) == [rival / "theirs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "celeb_b"}, "Did you mean 'celeb_a'"),
        ({"name": "celeb_a", "sizes": {"tests": 3}}, "Did you mean 'test'"),
        ({"name": "celeb_a", "sizes": {"test": 0}}, "at least one"),
        ({"name": "celeb_a", "seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        materialise(**arguments, cache_dir=tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="Cannot store the synthetic dataset"):
        materialise("celeb_a", SIZES["celeb_a"], cache_dir=blocked)


@pytest.fixture
def garments() -> tuple[np.ndarray, np.ndarray]:
    drawn = [garment(0, "train", i) for i in range(600)]
    return np.stack([tf.io.decode_png(example["image"]).numpy() for example in drawn]), np.array(
        [example["label"] for example in drawn]
    )


def test_garments_are_told_apart_by_shape_and_not_by_brightness(garments: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = garments
    flat = (images > 40).reshape(len(images), -1).astype(float)
    means = np.stack([flat[:400][labels[:400] == c].mean(axis=0) for c in range(10)])
    nearest = ((flat[400:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == labels[400:]).mean() > 0.6
    brightness = images.mean(axis=(1, 2, 3))
    levels = np.array([brightness[:400][labels[:400] == c].mean() for c in range(10)])
    assert (np.abs(brightness[400:, None] - levels).argmin(1) == labels[400:]).mean() < 0.5
