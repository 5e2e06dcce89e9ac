"""VGG16 with two dense layers."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models import network
from mtl_keras import MultiTaskModel
from mtl_keras.tasks import Task, TaskSet

SHAPE = (32, 32, 3)
TASKS = TaskSet([Task.binary("hat"), Task.binary("smile")])


def _scaled(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(keras.Model(model.input, model.get_layer("block1_conv1").input)(images))


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of VGG16's convolutions, as anyone has them who calls `keras.applications.VGG16`."""
    path = tmp_path_factory.mktemp("weights") / "vgg16.weights.h5"
    model = keras.applications.VGG16(weights=None, include_top=False, input_shape=(48, 48, 3))
    model.save_weights(path)
    return path


def test_its_size() -> None:
    """The convolutions of VGG16, the last map of 1 x 1 x 512 on 4 units, these on 4, and two attributes."""
    model = keras.Model(*network("vgg16_dense(dense=4)", TASKS, SHAPE))
    assert model.count_params() == 14_714_688 + 512 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2
    assert {layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)} == {0.5}


def test_from_random_weights_images_are_scaled_to_one() -> None:
    images = np.random.default_rng(0).random((2, *SHAPE), "float32")
    model = keras.Model(*network("vgg16_dense(dense=4)", TASKS, SHAPE))
    np.testing.assert_allclose(_scaled(model, images), images * 2 - 1, atol=1e-6)


def test_a_file_brings_weights_and_preprocessing_and_frozen_keeps_them(convolutions: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((4, *SHAPE), "float32")
    model = MultiTaskModel(*network("vgg16_dense(dense=4, frozen=True)", TASKS, SHAPE, str(convolutions)))
    np.testing.assert_allclose(
        _scaled(model, images), keras.applications.vgg16.preprocess_input(images * 255), atol=1e-3
    )
    expected = keras.applications.VGG16(weights=None, include_top=False, input_shape=SHAPE)
    expected.load_weights(convolutions)
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {
        "trunk_dense1",
        "trunk_dense2",
        "binary_tasks",
    }
    model.compile("adam", **TASKS.compile_args(), run_eagerly=True)
    dense = model.get_layer("trunk_dense1").kernel.numpy().copy()
    model.fit(images, {task: np.ones((4, 1), "float32") for task in TASKS}, verbose=0)
    assert not np.array_equal(model.get_layer("trunk_dense1").kernel, dense)
    for layer in expected.layers:
        for mine, theirs in zip(model.get_layer(layer.name).weights if layer.weights else [], layer.weights):
            np.testing.assert_array_equal(mine, theirs)
