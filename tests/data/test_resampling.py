from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from data.celeb_a import CelebA
from data.resampling import resample, taps
from tests.data.conftest import jpeg, photograph


@pytest.mark.parametrize(("old", "new"), [(178, 128), (128, 178), (7, 7), (400, 3), (1, 5), (5, 1)])
def test_weights_are_whole_256ths_that_add_up(old: int, new: int) -> None:
    starts, weights = taps(old, new)
    assert starts.shape == (new,)
    assert starts.min() >= 0
    assert starts.max() + weights.shape[1] <= old
    assert weights.min() >= 0
    np.testing.assert_array_equal(weights.sum(axis=1), 256)


@pytest.mark.parametrize(("height", "width"), [(20, 12), (50, 60), (33, 40)])
def test_it_is_what_tensorflow_does(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (33, 40, 3), dtype=np.uint8)
    expected = np.asarray(tf.image.resize(image, (height, width), antialias=True))
    found = np.asarray(resample(tf.constant(image[None]), height, width))[0]
    assert np.abs(found - expected).max() < 2
    assert np.abs(found - expected).mean() < 0.4  # rounding alone is 0.25
    extremes = np.full((1, 33, 40, 3), 255, np.uint8)
    np.testing.assert_array_equal(resample(tf.constant(extremes), height, width), 255)


def test_every_way_gives_the_same_bits() -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 33, 40, 3), dtype=np.uint8)
    plain = resample(tf.constant(images), 20, 12)
    np.testing.assert_array_equal(plain, resample(tf.constant(images), 20, 12, compiled=True))
    np.testing.assert_array_equal(plain[1], resample(tf.constant(images[1:2]), 20, 12)[0])


def test_images_decoded_together_are_those_decoded_alone() -> None:
    sizes = [(218, 178), (109, 89), (218, 178), (128, 128), (300, 200)]
    encoded = [jpeg(photograph(number, *size)) for number, size in enumerate(sizes)]
    encoded.append(tf.io.encode_png(photograph(9)).numpy())
    recipe = CelebA()
    for chosen in (encoded, encoded[:1], encoded[1:2]):
        alone = [recipe.decode(tf.constant(one)).numpy() for one in chosen]
        np.testing.assert_array_equal(recipe.decode_all(tf.constant(chosen)), alone)


def test_a_jpeg_that_begins_otherwise_is_the_same_image() -> None:
    plain = jpeg(photograph(0, 218, 178))
    commented = plain[:20] + b"\xff\xfe\x00\x06head" + plain[20:]
    found = CelebA().decode_all(tf.constant([plain, commented])).numpy()
    np.testing.assert_array_equal(found[0], found[1])
    with pytest.raises(tf.errors.InvalidArgumentError):
        CelebA().decode_all(tf.constant([plain, plain[:9]]))
