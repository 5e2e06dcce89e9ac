"""Backbones of KerasHub as trunks, from a folder: no preset is fetched."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models import network, trunks
from mtl_keras import MultiTaskModel
from mtl_keras.tasks import Task, TaskSet

hub = pytest.importorskip("keras_hub")
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def backbone() -> Any:
    return hub.models.VGGBackbone([1, 1], [2, 3], image_shape=(None, None, 3))


@pytest.fixture(scope="module")
def preset(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "tiny_vgg"
    backbone.save_to_preset(str(folder))
    return folder


@pytest.fixture(scope="module")
def scaled_preset(backbone: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "scaled_vgg"
    backbone.save_to_preset(str(folder))
    converter = hub.layers.ImageConverter(image_size=(4, 4), scale=[1 / 255, 2 / 255, 3 / 255], offset=-0.5)
    converter.save_to_preset(str(folder))
    return folder


def test_a_trunk_with_the_weights_of_the_preset(preset: Path, backbone: Any) -> None:
    model = trunks.get(f"keras_hub({str(preset)!r})", SHAPE)
    images = np.random.default_rng(0).random((2, *SHAPE), "float32")
    expected = np.asarray(backbone(np.repeat(images, 3, axis=-1))).mean(axis=(1, 2))
    np.testing.assert_allclose(model(images), expected, rtol=1e-5)
    other = trunks.get(f"keras_hub({str(preset)!r}, load_weights=False)", SHAPE)
    assert not np.allclose(other(images), expected)


def test_images_are_scaled_as_the_preset_was_trained(scaled_preset: Path, backbone: Any) -> None:
    model = trunks.get(f"keras_hub(preset={str(scaled_preset)!r})", (8, 8, 3))
    images = np.random.default_rng(0).random((2, 8, 8, 3), "float32")
    expected = np.asarray(backbone(images * np.float32([1, 2, 3]) - 0.5)).mean(axis=(1, 2))
    np.testing.assert_allclose(model(images), expected, rtol=1e-4)


def test_it_is_saved_and_loaded(preset: Path, tmp_path: Path) -> None:
    tasks = TaskSet([Task.classification("item", 3), Task.binary("worn")])
    model = MultiTaskModel(*network(f"keras_hub({str(preset)!r})", tasks, SHAPE))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((2, *SHAPE), "float32")
    np.testing.assert_allclose(loaded(images)["item"], model(images)["item"], rtol=1e-6)
    assert model.task_depths() == {"item": 3, "worn": 3}


def test_a_preset_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'no_such_preset' of KerasHub could not be loaded: Unknown .*FOLDER") as e:
        trunks.get("keras_hub('no_such_preset')", SHAPE)
    assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match=r"could not be loaded: .*config.json"):
        trunks.get(f"keras_hub({str(tmp_path)!r})", SHAPE)


def test_images_of_other_channels(preset: Path) -> None:
    with pytest.raises(ValueError, match=r"'keras_hub' takes images with 1 or 3 channels. Received: .*\(8, 8, 4\)"):
        trunks.get(f"keras_hub({str(preset)!r})", (8, 8, 4))


def test_images_of_another_size(tmp_path: Path) -> None:
    hub.models.ViTBackbone((8, 8, 3), (4, 4), 1, 1, 4, 4).save_to_preset(str(tmp_path))
    identifier = f"keras_hub({str(tmp_path)!r})"
    assert trunks.get(identifier, (8, 8, 3)).output_shape == (None, 4)
    with pytest.raises(ValueError, match=r"cannot take images of shape \(12, 12, 3\): .*") as e:
        trunks.get(identifier, (12, 12, 3))
    assert "\n" not in str(e.value)


def test_without_keras_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"needs KerasHub: pip install keras-hub. Received: preset='resnet"):
        trunks.get("keras_hub('resnet_18_imagenet')", SHAPE)


def test_a_preset_is_asked_for() -> None:
    with pytest.raises(ValueError, match=r"Wrong arguments for trunk 'keras_hub': .*It takes: \(preset, load_weights"):
        trunks.get("keras_hub", SHAPE)
