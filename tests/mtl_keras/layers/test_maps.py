"""Layers on feature maps: unpooling and dilated pooling, against plain NumPy and against Keras' poolings."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras.layers import DilatedPooling2D, MaxUnpooling2D


def unpooled(values: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Returns what `MaxUnpooling2D` should return, window by window."""
    result = np.zeros_like(pooled)
    for sample, row, column, channel in np.ndindex(values.shape):
        window = pooled[sample, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, channel]
        down, right = divmod(int(window.argmax()), 2)
        result[sample, 2 * row + down, 2 * column + right, channel] = values[sample, row, column, channel]
    return result


@pytest.fixture
def maps() -> np.ndarray:
    # Few distinct values: many windows have several maxima, as behind ReLU.
    return np.random.default_rng(0).integers(0, 3, (2, 6, 8, 3)).astype("float32")


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, 3, 4, 3)).astype("float32")


@pytest.mark.parametrize("jit", [False, True])
def test_values_return_to_the_first_maximum(maps: np.ndarray, values: np.ndarray, jit: bool) -> None:
    layer = MaxUnpooling2D()
    call = tf.function(lambda *inputs: layer(list(inputs)), jit_compile=jit)
    np.testing.assert_array_equal(call(values, maps), unpooled(values, maps))


def test_unpooling_reverses_keras_max_pooling(maps: np.ndarray) -> None:
    pooled = keras.layers.MaxPooling2D()(maps)
    result = MaxUnpooling2D()([pooled, maps])
    np.testing.assert_array_equal(keras.layers.MaxPooling2D()(result), pooled)
    assert np.count_nonzero(result) == np.count_nonzero(pooled)


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_of_values_come_from_their_positions(maps: np.ndarray, values: np.ndarray, jit: bool) -> None:
    layer, factors = MaxUnpooling2D(), np.random.default_rng(2).normal(size=maps.shape).astype("float32")

    @tf.function(jit_compile=jit)
    def gradients(values: tf.Tensor, maps: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([values, maps])
            total = tf.reduce_sum(layer([values, maps]) * factors)
        return tape.gradient(total, [values, maps], unconnected_gradients=tf.UnconnectedGradients.ZERO)

    of_values, of_maps = gradients(tf.constant(values), tf.constant(maps))
    chosen = unpooled(np.ones_like(values), maps) * factors
    expected = chosen.reshape(2, 3, 2, 4, 2, 3).sum((2, 4))
    np.testing.assert_allclose(of_values, expected, rtol=1e-6)
    np.testing.assert_array_equal(of_maps, np.zeros_like(maps))


def test_infinities_stay_where_they_belong(maps: np.ndarray, values: np.ndarray) -> None:
    values[0, 0, 0] = np.inf
    np.testing.assert_array_equal(MaxUnpooling2D()([values, maps]), unpooled(values, maps))


def test_unpooling_in_half_precision(maps: np.ndarray, values: np.ndarray) -> None:
    assert MaxUnpooling2D(dtype="bfloat16")([values, maps]).dtype == "bfloat16"


@pytest.mark.parametrize("shapes", [[(2, 3, 4, 3)], [(2, 3, 4, 3), (2, 6, 7, 3)], [(2, 3, 4, 3), (2, 6, 8, 2)]])
def test_unpooling_needs_the_map_that_was_pooled(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="needs a list"):
        MaxUnpooling2D()([np.zeros(shape, "float32") for shape in shapes])


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("size", [(2, 2), (3, 3), (3, 1)])
def test_dilated_pooling_equals_pooling_of_every_other_position(kind: str, size: tuple[int, int]) -> None:
    maps = np.random.default_rng(0).normal(size=(2, 8, 10, 3)).astype("float32")
    pooling = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[kind]
    before = [(side - 1) // 2 for side in size]
    padding = tuple((2 * each, 2 * (side - 1 - each)) for each, side in zip(before, size))
    layer = DilatedPooling2D(kind, size, 2, padding)
    result = layer(maps)
    assert result.shape == layer.compute_output_shape(maps.shape) == maps.shape
    for row, column in np.ndindex(2, 2):
        expected = pooling(size, strides=1, padding="same")(maps[:, row::2, column::2])
        np.testing.assert_allclose(np.asarray(result)[:, row::2, column::2], expected, atol=1e-6)


def test_dilated_pooling_checks_its_arguments() -> None:
    with pytest.raises(ValueError, match="kind of pooling"):
        DilatedPooling2D("mean")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dilation"):
        DilatedPooling2D("max", dilation=0)
