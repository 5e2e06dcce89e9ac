"""Weights of trunks from files and from Keras."""

from __future__ import annotations

import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models import network, trunks
from mtl_keras.tasks import Task, TaskSet

SHAPE = (16, 16, 3)
TASKS = TaskSet([Task.binary("smile")])


def _random(model: keras.Model) -> keras.Model:
    generator = np.random.default_rng(3)
    model.set_weights([generator.random(weight.shape).astype("float32") for weight in model.weights])
    return model


@pytest.mark.parametrize(("trunk", "suffix"), [("cnn(filters=2, dense=4)", ".weights.h5"), ("mlp(dense=4)", ".keras")])
def test_a_local_file(trunk: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"trunk{suffix}"
    saved = _random(trunks.get(trunk, SHAPE))
    (saved.save_weights if suffix == ".weights.h5" else saved.save)(path)
    for loaded in (trunks.get(trunk, SHAPE, str(path)), keras.Model(*network(trunk, TASKS, SHAPE, str(path)))):
        for mine, theirs in zip(loaded.get_weights(), saved.get_weights()):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["two_paths(filters=2, shared=4)", "strided(shared=2)"])
def test_the_shared_part_of_a_network(name: str, tmp_path: Path) -> None:
    path = tmp_path / "shared.weights.h5"
    shape = (24, 24, 1)
    one = keras.Model(*network(name, TASKS, shape))
    last = "trunk_dense" if name.startswith("two_paths") else "trunk_norm2"
    shared = _random(keras.Model(one.input, one.get_layer(last).output))
    shared.save_weights(path)
    other = keras.Model(*network(name, TASKS, shape, str(path)))
    for layer in shared.layers:
        for mine, theirs in zip(
            other.get_layer(layer.name).get_weights() if layer.weights else [], layer.get_weights()
        ):
            np.testing.assert_array_equal(mine, theirs)


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray]]:
    """A file as Keras fetches it, in its old HDF5 format and without preprocessing in front; and what it holds."""
    path = tmp_path_factory.mktemp("weights") / "mobilenet_v3_notop.h5"
    saved = _random(keras.applications.MobileNetV3Small(weights=None, include_top=False, input_shape=(64, 64, 3)))
    saved.save(path)
    return path, saved.get_weights()


def test_a_file_of_keras_applications(mobilenet: tuple[Path, list[np.ndarray]]) -> None:
    loaded = trunks.get("mobilenetv3small", (32, 32, 1), str(mobilenet[0]))
    for mine, theirs in zip(loaded.get_weights(), mobilenet[1], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
def test_weights_that_keras_fetches(mobilenet: tuple[Path, list[np.ndarray]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(mobilenet[0]))
    loaded = trunks.get("MobileNetV3Small", (32, 32, 3), "imagenet")
    for mine, theirs in zip(loaded.get_weights(), mobilenet[1], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def _text(path: Path) -> None:
    path.write_text("<html>quota exceeded</html>")


def _other_shapes(path: Path) -> None:
    model = trunks.get("mlp(dense=3)", SHAPE)
    (model.save if path.suffix == ".keras" else model.save_weights)(path)


def _fewer_layers(path: Path) -> None:
    trunks.get("mlp(dense=4, depth=1)", SHAPE).save_weights(path)


def _other_layers(path: Path) -> None:
    trunks.get("cnn(filters=2, dense=2)", SHAPE).save_weights(path)


def _keras_3(path: Path) -> None:
    trunks.get("mlp(dense=4)", SHAPE).save_weights(path.with_suffix(".weights.h5"))
    path.with_suffix(".weights.h5").rename(path)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.weights.h5", _text),
        ("x.keras", _text),
        ("x.h5", _text),
        ("x.h5", _keras_3),
        ("x.pth", _text),
        ("x.weights.h5", _other_shapes),
        ("x.keras", _other_shapes),
        ("x.weights.h5", _fewer_layers),
        ("x.weights.h5", _other_layers),
    ],
)
def test_a_file_that_does_not_fit(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(ValueError, match=rf"^{path} does not hold weights for 'mlp\(dense=4\)': \w") as error:
        trunks.get("mlp(dense=4)", SHAPE, str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file() -> None:
    with pytest.raises(ValueError, match=r"There is no file nowhere/x.weights.h5. weights is 'imagenet' or the path"):
        trunks.get("mlp", SHAPE, "nowhere/x.weights.h5")


@pytest.mark.parametrize("name", ["cnn", "mlp", "resnet18", "two_paths", "strided"])
def test_no_imagenet_weights(name: str) -> None:
    with pytest.raises(ValueError, match=rf"Keras ships no ImageNet weights for '{name}'. Pass the path"):
        network(name, TASKS, (32, 32, 3), "imagenet")


def test_no_imagenet_weights_for_a_model_of_ones_own() -> None:
    with pytest.raises(ValueError, match="Keras ships no ImageNet weights for 'trunk'"):
        trunks.get(trunks.get("mlp(dense=4)", SHAPE), SHAPE, "imagenet")


@pytest.mark.parametrize(("name", "trunk"), [("MobileNetV3Small", "mobilenetv3small"), ("vgg16_dense", "vgg16")])
@pytest.mark.filterwarnings("ignore:`input_shape` is undefined or non-square")
def test_weights_that_cannot_be_fetched(name: str, trunk: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(url: str, *rest: Any) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refuse)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=rf"'{trunk}' could not be fetched: .*https://\S*.h5: .*no network") as error:
        network(name, TASKS, (32, 32, 3), "imagenet")
    assert "--weights" in str(error.value)
    assert "\n" not in str(error.value)
