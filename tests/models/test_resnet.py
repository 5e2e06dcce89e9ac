"""ResNet-18 as a trunk."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models import trunks


@pytest.fixture(scope="module")
def resnet() -> keras.Model:
    return trunks.get("resnet18", (64, 64, 3))


def test_it_has_the_weights_of_torchvision(resnet: keras.Model) -> None:
    """11 689 512, less the classifier's 512 x 1000 + 1000; 9 600 of BatchNorm's statistics are not trained."""
    assert sum(int(np.prod(weight.shape)) for weight in resnet.trainable_weights) == 11_176_512
    assert sum(int(np.prod(weight.shape)) for weight in resnet.non_trainable_weights) == 9_600
    assert resnet.output_shape == (None, 512)


def test_stages_halve_the_maps(resnet: keras.Model) -> None:
    sizes = [resnet.get_layer(f"trunk_stage{stage}_block2_relu").output.shape[1:] for stage in (1, 2, 3, 4)]
    assert sizes == [(16, 16, 64), (8, 8, 128), (4, 4, 256), (2, 2, 512)]


def test_images_are_normalised_as_imagenet(resnet: keras.Model) -> None:
    image = np.random.default_rng(0).random((1, 64, 64, 3), "float32")
    normalised = keras.Model(resnet.input, resnet.get_layer("trunk_rescaling").output)(image)
    expected = keras.applications.imagenet_utils.preprocess_input(image * 255, mode="torch")
    np.testing.assert_allclose(normalised, expected, atol=1e-5)


def test_grey_and_tiny_images() -> None:
    model = trunks.get("resnet18", (16, 20, 1))
    assert model(np.ones((2, 16, 20, 1), "float32")).shape == (2, 512)
    with pytest.raises(ValueError, match="'resnet18' takes images with 1 or 3 channels"):
        trunks.get("resnet18", (16, 16, 2))
