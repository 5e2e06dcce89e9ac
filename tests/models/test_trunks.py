"""Trunks by name, and trunks of one's own."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from models import trunks
from models.stages import stage_ends


@pytest.mark.parametrize(("name", "features"), [("cnn", 128), ("mlp", 256)])
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (20, 37, 3)])
def test_registered_trunks_give_features(name: str, features: int, shape: tuple[int, int, int]) -> None:
    model = trunks.get(name, shape)
    assert model.input_shape == (None, *shape)
    assert model(np.ones((2, *shape), "float32")).shape == (2, features)


def test_every_registered_trunk_builds_by_name() -> None:
    assert trunks.TRUNKS.names == ["cnn", "dilated", "keras_hub", "lenet", "mlp", "resnet18", "segnet", "unet"]


def test_arguments_in_the_name() -> None:
    model = trunks.get("cnn(filters=4, dense=16, dropout=0.1)", (28, 28, 1))
    assert model.output_shape == (None, 16)
    assert model.get_layer("trunk_conv1").filters == 4
    assert model.get_layer("trunk_dropout").rate == 0.1


@pytest.mark.parametrize(
    ("size", "grids"),
    [(28, [28, 14, 7]), (32, [32, 16, 8]), (33, [33, 17, 9, 5]), (64, [64, 32, 16, 8]), (128, [64, 32, 16, 8])],
)
def test_cnn_halves_down_to_eight_positions(size: int, grids: list[int]) -> None:
    model = trunks.get("cnn(filters=2, dense=2)", (size, size, 3))
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert [layer.output.shape[1] for layer in convolutions] == grids


def test_cnn_doubles_channels_up_to_128() -> None:
    model = trunks.get("cnn", (128, 128, 3))
    assert [layer.filters for layer in model.layers if isinstance(layer, layers.Conv2D)] == [32, 64, 128, 128]
    wide = trunks.get("cnn(filters=200, dense=2)", (16, 16, 1))
    assert [layer.filters for layer in wide.layers if isinstance(layer, layers.Conv2D)] == [200, 200]


def test_cnn_features_tell_where_things_are() -> None:
    """An image and its mirror image have the same average feature map, but not the same features."""
    image = np.zeros((1, 16, 16, 1), "float32")
    image[:, 2:6, 1:4] = 1.0
    model = trunks.get("cnn(filters=4)", (16, 16, 1))
    left, right = np.asarray(model(np.concatenate([image, image[:, :, ::-1]])))
    assert np.abs(left - right).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "side", "count"),
    [
        # Weights and biases of two convolutions and a dense layer.
        ("lenet", 28, (25 + 1) * 10 + (250 + 1) * 20 + (4 * 4 * 20 + 1) * 50),
        ("lenet(kernel=9)", 36, (81 + 1) * 10 + (250 + 1) * 20 + (5 * 5 * 20 + 1) * 50),
        ("lenet(dense=3)", 16, (25 + 1) * 10 + (250 + 1) * 20 + (20 + 1) * 3),
    ],
)
def test_lenet_has_the_layers_of_its_sources(name: str, side: int, count: int) -> None:
    model = trunks.get(name, (side, side, 1))
    assert model.count_params() == count
    assert stage_ends(model) == ["trunk_relu1", "trunk_relu2", "trunk_features"]


@pytest.mark.parametrize(("name", "shape"), [("MobileNetV3Small", (32, 32, 3)), ("vgg16", (32, 32, 1))])
def test_keras_applications_by_name(name: str, shape: tuple[int, int, int]) -> None:
    model = trunks.get(name, shape)
    assert model.input_shape == (None, *shape)
    assert len(model.output_shape) == 2
    # One flat graph: layers are counted and cut one by one.
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


def test_keras_applications_get_their_own_preprocessing() -> None:
    """VGG16 was made for blue, green, red in [0, 255], less their means."""
    model = trunks.get("vgg16", (32, 32, 3))
    images = np.random.default_rng(0).random((2, 32, 32, 3), "float32")
    before = keras.Model(model.input, model.get_layer("block1_conv1").input)
    expected = keras.applications.vgg16.preprocess_input(images * 255)
    np.testing.assert_allclose(before(images), expected, atol=1e-3)


def test_a_functional_model_is_returned_as_it_is() -> None:
    images = keras.Input((8, 8, 1))
    mine = keras.Model(images, layers.Flatten()(images))
    assert trunks.get(mine, (8, 8, 1)) is mine
    anything = keras.Input((None, None, 1))
    pooled = keras.Model(anything, layers.GlobalMaxPooling2D()(anything))
    assert trunks.get(pooled, (8, 8, 1)) is pooled


class _Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.flatten = layers.Flatten()

    def call(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return self.flatten(inputs)


@pytest.mark.parametrize(
    "mine",
    [
        lambda images: layers.Flatten()(layers.Conv2D(2, 3, name="mine")(images)),
        layers.Flatten(),
        keras.Sequential([layers.Conv2D(2, 3), layers.Flatten()]),
        _Subclassed(),
    ],
    ids=["function", "layer", "unbuilt", "subclassed"],
)
def test_a_callable_becomes_a_model(mine: trunks.Trunk) -> None:
    model = trunks.get(mine, (8, 8, 1))
    assert model.input_shape == (None, 8, 8, 1)
    assert model(np.ones((3, 8, 8, 1), "float32")).shape[0] == 3


def test_other_images_than_the_model_was_made_for() -> None:
    images = keras.Input((8, 8, 1))
    mine = keras.Model(images, layers.Flatten()(images))
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 3\). Received: inputs of shape \[\(8, 8, 1\)\]"):
        trunks.get(mine, (8, 8, 3))


@pytest.mark.parametrize(
    ("mine", "received"),
    [
        (lambda x: layers.Reshape((8, 8))(x), r"\[\(8, 8\)\]"),
        (lambda x: [layers.Flatten()(x), layers.Flatten()(x)], r"\[\(64,\), \(64,\)\]"),
    ],
)
def test_features_must_be_one_vector_or_map(mine: trunks.Trunk, received: str) -> None:
    with pytest.raises(ValueError, match=rf"must give one tensor of features .*outputs of shape {received}"):
        trunks.get(mine, (8, 8, 1))


@pytest.mark.parametrize(
    ("identifier", "shape", "message"),
    [
        ("vgg16", (28, 28, 1), r"'vgg16' cannot take images of 28x28. .*at least 32x32"),
        ("vgg16", (32, 32, 4), r"1 or 3 channels. Received: .*\(32, 32, 4\)"),
        ("vgg16(classes=3)", (32, 32, 3), r"'vgg16' takes no arguments. Received: 'vgg16\(classes=3\)'"),
        ("resnet5O", (32, 32, 3), r"Unknown trunk. Did you mean 'resnet50'\? Received: 'resnet5O'.*cnn.*vgg19"),
        ("cnnn", (32, 32, 3), r"Did you mean 'cnn'\?"),
        ("cnn(width=3)", (32, 32, 3), r"Unknown argument of trunk 'cnn'.*filters"),
        ("lenet", (15, 28, 1), r"'lenet' with kernel=5 takes images of at least 16x16. Received: .*\(15, 28, 1\)"),
        ("lenet", (28,), "'lenet' takes images"),
        (3, (8, 8, 1), "Received: 3"),
    ],
)
def test_unusable_trunks(identifier: Any, shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trunks.get(identifier, shape)
