"""The network of strided convolutions."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from models import network
from mtl_keras.tasks import Task, TaskSet

SHAPE = (32, 32, 3)
TASKS = TaskSet([Task.classification("class", 10), Task.binary("animal"), Task.reconstruction("reconstruction", SHAPE)])


def _model(identifier: str, tasks: TaskSet = TASKS, shape: tuple[int, int, int] = SHAPE) -> keras.Model:
    return keras.Model(*network(identifier, tasks, shape))


def _dropouts(identifier: str) -> list[str]:
    return sorted(layer.name for layer in _model(identifier).layers if isinstance(layer, layers.Dropout))


def test_it_is_the_network_of_the_source() -> None:
    sizes = {layer.name: layer.count_params() for layer in _model("strided(pool='max')").layers if layer.weights}
    assert sizes == {
        "trunk_conv1": 9 * 3 * 8 + 8,
        "trunk_norm1": 4 * 8,
        "trunk_conv2": 9 * 8 * 16 + 16,
        "trunk_norm2": 4 * 16,
        "trunk_conv3": 9 * 16 * 32 + 32,
        "trunk_norm3": 4 * 32,
        "class_dense": 32 * 256 + 256,
        "class": 256 * 10 + 10,
        "animal_dense": 32 * 256 + 256,
        "animal": 256 + 1,
        "reconstruction_latent": 512 * 32 + 32,
        "reconstruction_dense": 32 * 512 + 512,
        "reconstruction_up1": 9 * 32 * 32 + 32,
        "reconstruction_up2": 9 * 32 * 16 + 16,
        "reconstruction_up3": 9 * 16 * 8 + 8,
        "reconstruction": 9 * 8 * 3 + 3,
    }


def test_two_shared_convolutions_leave_one_to_each_task() -> None:
    model = _model("strided(shared=2)")
    convolutions = sorted(layer.name for layer in model.layers if type(layer) is layers.Conv2D)
    assert convolutions == ["animal_conv3", "class_conv3", "reconstruction_conv3", "trunk_conv1", "trunk_conv2"]
    assert model.get_layer("class_dense").input.shape == (None, 4 * 4 * 32)
    assert _model("strided(pool='max')").get_layer("class_dense").input.shape == (None, 32)


def test_where_dropout_stands() -> None:
    assert _dropouts("strided") == []
    assert _dropouts("strided(dropout='one')") == ["trunk_dropout"]
    assert _dropouts("strided(dropout='each')") == ["trunk_dropout1", "trunk_dropout2", "trunk_dropout3"]
    assert _dropouts("strided(shared=2, dropout='each')") == [
        "animal_dropout3",
        "class_dropout3",
        "reconstruction_dropout3",
        "trunk_dropout1",
        "trunk_dropout2",
    ]
    assert _model("strided(dropout='one')").get_layer("trunk_dropout").input.shape == (None, 4, 4, 32)
    assert _model("strided(dropout='each', rate=0.4)").get_layer("trunk_dropout2").rate == 0.4


@pytest.mark.parametrize(("width", "filters", "latent"), [(0.5, [4, 8, 16], 16), (1.3, [10, 21, 42], 42)])
def test_width_scales_channels_and_latent(width: float, filters: list[int], latent: int) -> None:
    model = _model(f"strided(width={width})")
    assert [model.get_layer(f"trunk_conv{step}").filters for step in (1, 2, 3)] == filters
    assert [model.get_layer(f"reconstruction_up{step}").filters for step in (3, 2, 1)] == filters
    assert model.get_layer("reconstruction_latent").units == latent


def test_the_decoder_may_be_narrower() -> None:
    model = _model("strided(width=2, decoder_width=0.5)")
    assert [model.get_layer(f"reconstruction_up{step}").filters for step in (1, 2, 3)] == [16, 8, 4]
    assert model.get_layer("reconstruction_grid").output.shape == (None, 4, 4, 16)
    assert [model.get_layer(f"trunk_conv{step}").filters for step in (1, 2, 3)] == [16, 32, 64]
    assert model.get_layer("reconstruction_latent").units == 64


def test_other_sizes_of_images() -> None:
    shape = (24, 40, 1)
    tasks = TaskSet([Task.reconstruction("copy", shape)])
    assert _model("strided", tasks, shape).output["copy"].shape == (None, *shape)
    with pytest.raises(ValueError, match=r"sides can be divided by 8. Received: image_shape=\(28, 32, 1\)"):
        _model("strided", TASKS.subset(["class"]), (28, 32, 1))
    with pytest.raises(ValueError, match=r"task 'reconstruction' of shape \(32, 32, 3\), images of \(16, 16\)"):
        _model("strided", TASKS, (16, 16, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("shared=4", "shared must be 1, 2 or 3. Received: shared=4"),
        ("width=0", "width must be a number > 0. Received: width=0"),
        ("dropout='all'", "Unknown dropout. Received: 'all'. Choices: each, none, one"),
        ("rate=1.0", r"rate must be in \[0, 1\). Received: rate=1.0"),
    ],
)
def test_arguments_out_of_range(arguments: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _model(f"strided({arguments})")
