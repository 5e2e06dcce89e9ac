"""Sizes of the published networks for dense tasks: numbers of trained weights, from the papers and their code."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models import NETWORKS, network
from models.deeplab import deeplab
from models.dense_heads import deeplab as deeplab_head
from mtl_keras import Task, TaskSet

NYUV2 = TaskSet([Task.segmentation("segmentation", 13), Task.depth("depth"), Task.normals("normals")])
CITYSCAPES = TaskSet([Task.segmentation("segmentation", 7), Task.depth("depth")])
ENDS_OF_RESNET50 = ["conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]


def trained(model: keras.Model, prefix: str = "") -> int:
    """Returns the number of trained weights in layers whose name begins with a prefix."""
    variables = [v for layer in model.layers if layer.name.startswith(prefix) for v in layer.trainable_variables]
    return sum(int(np.prod(variable.shape)) for variable in variables)


def test_segnet() -> None:
    model = keras.Model(*network("segnet", NYUV2, (32, 32, 3)))
    assert trained(model) == 25_055_185
    assert trained(model, "trunk_") == 24_943_296
    heads = {task: trained(model, task) for task in NYUV2}
    assert 24_943_296 + heads["segmentation"] == 24_981_069
    alone = keras.Model(*network("segnet", CITYSCAPES, (32, 32, 3)))
    assert trained(alone) == 25_017_672


@pytest.mark.parametrize(("tasks", "expected"), [(NYUV2, 44_229_073), (CITYSCAPES, 41_206_984)])
def test_mtan_on_segnet(tasks: TaskSet, expected: int) -> None:
    assert trained(keras.Model(*network("segnet_mtan", tasks, (32, 32, 3)))) == expected


def test_deeplab_on_resnet50() -> None:
    model = keras.Model(*network("deeplab", NYUV2, (32, 288, 3)))  # maps of 4x36
    assert trained(model) == 71_888_721
    heads = {task: trained(model, task) for task in NYUV2}
    assert heads == {"segmentation": 16_128_781, "depth": 16_125_697, "normals": 16_126_211}
    assert trained(model) - sum(heads.values()) == 23_508_032
    for layer in model.layers:
        if layer.name == "segmentation_aspp4_conv":
            assert layer.dilation_rate == (36, 36)


def test_heads_of_hard_sharing_are_those_of_deeplab() -> None:
    images = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(2048, 1, strides=8, name="trunk_conv")(images)  # of the size of dilated ResNet-50's
    model = keras.Model(*network(keras.Model(images, maps), CITYSCAPES, (32, 32, 3)))
    assert 23_508_032 + sum(trained(model, task) for task in CITYSCAPES) == 55_760_968


def test_mtan_on_dilated_resnet50() -> None:
    identifier = f"mtan(dilated(resnet50), after={ENDS_OF_RESNET50}, refine='bottleneck')"
    assert trained(keras.Model(*network(identifier, NYUV2, (32, 32, 3)))) == 92_347_921


def test_deeplab_with_a_skip_connection_is_v3_plus() -> None:
    """The paper reduces the low-level maps to 48 channels and has two 3x3 convolutions of 256 channels."""
    tasks = CITYSCAPES.subset(["depth"])
    build = deeplab("mobilenetv2", filters=16, rates=(1,), skip=True)
    model = keras.Model(*build(tasks.at_size(32, 32), (32, 32, 3)))
    low_level = model.get_layer("depth_skip_conv")
    assert low_level.input.shape[1:3] == (8, 8)
    assert low_level.filters == 48
    assert model.get_layer("depth_decoder1_conv").input.shape == (None, 8, 8, 16 + 48)
    assert model.get_layer("depth_coarse").input.shape == (None, 8, 8, 16)


def test_options_of_deeplab() -> None:
    identifier = "deeplab(mobilenetv2, filters=8, rates=[2, 4], dropout=0.1, stride=16)"
    model = keras.Model(*network(identifier, NYUV2, (64, 32, 3)))
    assert model.get_layer("depth_coarse").input.shape == (None, 4, 2, 8)
    assert model.get_layer("depth_aspp3_conv").dilation_rate == (4, 4)
    assert model.get_layer("depth_dropout").rate == 0.1
    for wrong in ("filters=0", "rates=[0]", "dropout=1.0", "stride=3", "trunk=unett"):
        with pytest.raises(ValueError, match="Received"):
            NETWORKS.get(f"deeplab({wrong})")
    with pytest.raises(ValueError, match="needs maps of 8x8 within the trunk for skip=True"):
        network("deeplab(segnet(width=0.05), skip=True)", CITYSCAPES, (32, 32, 3))
    with pytest.raises(ValueError, match=r"'segmentation' .* must give feature maps"):
        network("deeplab(resnet18)", CITYSCAPES, (32, 32, 3))


def test_rates_are_limited_without_another_result() -> None:
    maps = keras.Input((3, 4, 2))
    tasks = CITYSCAPES.subset(["depth"]).at_size(6, 8)
    x = np.random.default_rng(0).random((1, 3, 4, 2), "float32")
    limited = keras.Model(maps, deeplab_head(tasks["depth"], maps, 2, (36,)))
    convolution = limited.get_layer("depth_aspp2_conv")
    assert convolution.dilation_rate == (4, 4)
    kernel = convolution.kernel.numpy()
    np.testing.assert_allclose(convolution(x), x @ kernel[1, 1], atol=1e-6)  # the centre, as with any higher rate
