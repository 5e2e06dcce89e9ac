"""Trunks of feature maps: sizes, dilation, and weights of architectures."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.applications import resnet

from models import trunks
from models.applications import application_trunk
from models.stages import cut_with_skips, stage_ends
from mtl_keras import Task, TaskSet
from mtl_keras.layers import DilatedPooling2D

DENSE = TaskSet([Task.depth("depth")])
RNG = np.random.default_rng(0)


def randomise(model: keras.Model) -> None:
    """Gives a model random weights: all that is 0 at the start, such as biases, is so no more."""
    for variable in model.variables:
        shape = tuple(variable.shape)
        values = RNG.standard_normal(shape, "float32") / np.sqrt(max(1, np.prod(shape[:-1])), dtype="float32")
        if variable.name.endswith("variance"):
            values = np.abs(values) + 0.5
        variable.assign(values + 1 if variable.name.endswith("gamma") else values)


def plain(name: str, shape: tuple[int, int, int]) -> keras.Model:
    """Returns an architecture with its preprocessing, up to its last maps, by Keras alone."""
    images = keras.Input(shape)
    pooled = keras.Model(images, application_trunk(name, images))
    return keras.Model(images, pooled.layers[-1].input)


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds ResNets of few, narrow blocks. Those of v2 have the stride in the last block of a stage, so need two."""
    for name, blocks in (("stack_residual_blocks_v1", 1), ("stack_residual_blocks_v2", 2)):
        stack = functools.partial(_stack, getattr(resnet, name), blocks)
        monkeypatch.setattr(resnet, name, stack)


def _stack(stack: Any, blocks: int, x: Any, _: int, __: int, **options: Any) -> Any:
    return stack(x, 4, blocks, **options)


def replace_architecture(monkeypatch: pytest.MonkeyPatch, build: Callable[[str, Any], Any]) -> None:
    """Makes `build(name, images)` the layers of all architectures that are dilated."""
    module = importlib.import_module("models.dilated")  # `models.dilated` is the function
    monkeypatch.setattr(module, "apply_architecture", lambda name, images, **_: build(name, images))


@pytest.fixture(scope="module")
def resnet50() -> keras.Model:
    return trunks.get("dilated(resnet50)", (64, 64, 3))


@pytest.mark.parametrize("trunk", ["unet(filters=2, depth=3)", "segnet(width=0.05)"])
@pytest.mark.parametrize("shape", [(32, 64, 3), (30, 37, 1), (3, 5, 2)])
def test_maps_have_the_size_of_the_images(trunk: str, shape: tuple[int, int, int]) -> None:
    model = trunks.get(trunk, shape)
    assert model.output_shape[:3] == (None, *shape[:2])
    assert model(np.ones((2, *shape), "float32")).shape == (2, *model.output_shape[1:])


def test_unet_of_the_paper() -> None:
    model = trunks.get("unet(filters=4, depth=2)", (16, 16, 3))
    widths = [layer.filters for layer in model.layers if isinstance(layer, layers.Conv2D)]
    assert widths == [4, 4, 8, 8, 16, 16, 8, 8, 4, 4]
    assert model.get_layer("trunk_up1_1_conv").input.shape == (None, 16, 16, 8)


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("unet(filters=0)", "filters"),
        ("unet(depth=0)", "depth"),
        ("segnet(width=0)", "width"),
        ("dilated(stride=3)", "stride must be one of 1, 2, 4, 8, 16, 32. Received: stride=3"),
        ("dilated(resnet5O)", "architecture|trunk"),
        ("dilated(unet)", "architecture"),
    ],
)
def test_wrong_arguments(identifier: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trunks.check_name(identifier)


@pytest.mark.parametrize("trunk", ["unet", "segnet", "dilated"])
def test_vectors_are_refused(trunk: str) -> None:
    with pytest.raises(ValueError, match="takes images"):
        trunks.get(trunk, (12,))


def test_architectures_that_cannot_be_dilated(monkeypatch: pytest.MonkeyPatch) -> None:
    def nested(_: str, x: Any) -> Any:
        return keras.Sequential([layers.Conv2D(2, 3, strides=2)], name="stem")(x)

    def branches(_: str, x: Any) -> Any:
        """Two branches of which only one is larger without its stride."""
        pooled = layers.UpSampling2D(4)(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.Add()([layers.Conv2D(2, 1, strides=16)(x), layers.Conv2D(2, 1)(pooled)])

    replace_architecture(monkeypatch, nested)
    with pytest.raises(ValueError, match="'convnexttiny' cannot be dilated: it has the nested model 'stem'"):
        trunks.get("dilated(convnexttiny)", (64, 64, 3))
    replace_architecture(monkeypatch, branches)
    with pytest.raises(ValueError, match=r"'nasnetmobile' cannot be dilated: .*shapes"):
        trunks.get("dilated(nasnetmobile)", (64, 64, 3))


def test_architectures_of_dense_tasks_are_dilated() -> None:
    """Without dense tasks nothing changes."""
    shape = (32, 32, 3)
    assert trunks.get("MobileNetV3Small", shape, tasks=DENSE).output_shape == (None, 4, 4, 576)
    image_level = TaskSet([Task.binary("worn")])
    assert trunks.get("MobileNetV3Small", shape, tasks=image_level).output_shape == (None, 576)


def test_default_trunk() -> None:
    assert trunks.default_trunk((8, 8, 1)) == "cnn"
    assert trunks.default_trunk((8,)) == "mlp"
    assert trunks.default_trunk((8, 8, 1), ["binary", "depth"]) == "unet"


# Strides of padded depthwise convolutions (MobileNetV2), of max-pooling (VGG), of 1x1 convolutions (ResNet-50), and of
# 3x3 convolutions and shortcuts (ResNet-50 v2).
@pytest.mark.parametrize("name", ["mobilenetv2", "vgg16", "resnet50", "resnet50v2"])
def test_dilated_maps_hold_those_of_the_architecture(name: str, tmp_path: Path, shallow: None) -> None:
    shape = (64, 96, 3)
    source = plain(name, shape)
    randomise(source)
    source.save_weights(tmp_path / "source.weights.h5")
    images = RNG.random((1, *shape), "float32")
    expected = np.asarray(source(images))
    model = trunks.get(f"dilated({name}, stride=8)", shape, str(tmp_path / "source.weights.h5"))
    maps = np.asarray(model(images))
    assert maps.shape[1:3] == (8, 12)
    np.testing.assert_allclose(maps[:, ::4, ::4], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_batches_are_normalised_without_biases(resnet50: keras.Model) -> None:
    source = plain("resnet50", (32, 32, 3))
    biased = [layer.name for layer in source.layers if isinstance(layer, layers.Conv2D) and layer.use_bias]
    assert biased
    assert not any(resnet50.get_layer(name).use_bias for name in biased)
    weights = sum(int(np.prod(variable.shape)) for variable in resnet50.trainable_variables)
    assert weights == 23_508_032


def test_weights_of_a_dilated_trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(name: str, x: Any) -> Any:
        x = layers.Conv2D(2 if name == "resnet50" else 3, 3, strides=16, name="conv")(x)
        return layers.BatchNormalization(name="norm")(x)

    replace_architecture(monkeypatch, build)
    shape, images = (32, 32, 3), RNG.random((1, 32, 32, 3), "float32")
    model = trunks.get("dilated(resnet50)", shape)
    randomise(model)
    for file in ("trunk.keras", "trunk.weights.h5"):
        (model.save if file.endswith(".keras") else model.save_weights)(tmp_path / file)
        loaded = trunks.get("dilated(resnet50)", shape, str(tmp_path / file))
        np.testing.assert_array_equal(loaded(images), model(images))
    with pytest.raises(ValueError, match="There is no file"):
        trunks.get("dilated(resnet50)", shape, str(tmp_path / "missing.keras"))
    with pytest.raises(ValueError, match=r"does not hold weights for 'dilated\(vgg16\)'"):
        trunks.get("dilated(vgg16)", shape, str(tmp_path / "trunk.weights.h5"))


def test_imagenet_weights_are_fetched_by_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def without_network(*args: Any, **kwargs: Any) -> str:
        asked.append(args)
        raise Exception("URL fetch failure")  # what `keras.utils.get_file` raises

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", without_network)
    with pytest.raises(ValueError, match="could not be fetched: URL fetch failure"):
        trunks.get("mobilenetv2", (96, 96, 3), "imagenet", DENSE)
    assert asked


def test_second_removed_pooling_is_dilated() -> None:
    model = trunks.get("dilated(vgg16)", (32, 32, 3))
    assert isinstance(model.get_layer("block4_pool"), layers.MaxPooling2D)
    last = model.get_layer("block5_pool")
    assert isinstance(last, DilatedPooling2D)
    assert last.dilation == 2


@pytest.mark.parametrize(
    ("trunk", "ends"),
    [
        ("segnet(width=0.05)", [f"trunk_down{n}_{2 if n < 3 else 3}_relu" for n in (1, 2, 3, 4, 5)]),
        ("unet(filters=2, depth=2)", ["trunk_down1_2_relu", "trunk_down2_2_relu", "trunk_middle_2_relu"]),
    ],
)
def test_stages_of_encoder_decoders(trunk: str, ends: list[str]) -> None:
    model = trunks.get(trunk, (32, 32, 3))
    down = [name.replace("down", "up") for name in reversed(ends) if "down" in name]
    assert stage_ends(model, skips=True) == [*ends, *down]
    assert len(stage_ends(model)) == 1  # paths through skip connections pass no other layer


def test_stages_of_dilated_resnet50(resnet50: keras.Model) -> None:
    ends = ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]
    assert stage_ends(resnet50) == ends


@pytest.mark.parametrize("trunk", ["segnet(width=0.05)", "unet(filters=2, depth=2)"])
def test_stages_compute_the_trunk(trunk: str) -> None:
    model = trunks.get(trunk, (32, 32, 3))
    images = RNG.random((2, 32, 32, 3), "float32")
    known = {id(model.input): images}
    for stage in cut_with_skips(model, stage_ends(model, skips=True)):
        read = [known[id(tensor)] for tensor in stage.reads]
        given = stage.model(read[0] if len(read) == 1 else read)
        known.update(zip(map(id, stage.gives), given if len(stage.gives) > 1 else [given]))
    np.testing.assert_allclose(known[id(model.output)], model(images), atol=1e-6)


def test_an_unknown_end_lists_the_choices() -> None:
    model = trunks.get("unet(filters=2, depth=1)", (8, 8, 1))
    with pytest.raises(ValueError, match=r"can be cut.*'trunk_up2'.*trunk_middle_2_relu"):
        cut_with_skips(model, ["trunk_up2"])
