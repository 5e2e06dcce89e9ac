"""Resizes images of one known size, several times as fast as `tf.image.resize` and exact to the bit.

The filter is that of PIL, torchvision and `tf.image.resize(antialias=True)`: a triangle as wide as a pixel of the
result. Its weights are rounded to 256ths. A pixel times one weight has 16 bits, and times two weights 24, which float32
holds: every product and every sum is exact, so the result does not depend on the device or the order of operations.
"""

from __future__ import annotations

import functools
import operator

import numpy as np
import tensorflow as tf

_UNIT = 256


def resample(images: tf.Tensor, height: int, width: int, *, compiled: bool = False) -> tf.Tensor:
    """Resizes images bilinearly with antialiasing.

    Args:
        images: uint8 (batch, old height, old width, channels), of static shape except for the batch.
        height: height of the result.
        width: width of the result.
        compiled: whether to compile the sums with XLA. A call costs 0.1 ms, so use it for many images.

    Returns:
        uint8 (batch, height, width, channels), rounded.
    """
    if compiled:
        columns = _compiled_transpose(_compiled_rows(images, height))
        return _compiled_transpose(_compiled_columns(columns, width))
    return _columns(_rows(images, height), width)


def _rows(images: tf.Tensor, height: int, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Returns images (batch, old height, width, channels) with `height` rows, in 256ths."""
    return _weighted(tf.cast(images, dtype), height)


def _weighted(lines: tf.Tensor, count: int) -> tf.Tensor:
    """Returns (batch, count, ...), weighted sums of lines (batch, lines, ...), in the same dtype."""
    starts, weights = taps(lines.shape[1], count)
    picked = (
        tf.gather(lines, starts + k, axis=1) * tf.constant(weights[:, k, None, None], lines.dtype)
        for k in range(weights.shape[1])
    )
    return functools.reduce(operator.add, picked)


def _columns(images: tf.Tensor, width: int) -> tf.Tensor:
    """Returns images (batch, height, old width, channels), in 256ths, with `width` columns, rounded to uint8."""
    # Gathering columns would take longer than transposing twice. The transposed values are floats, since oneDNN warns
    # about bytes. The sum comes before the cast, or TensorFlow would transpose the cast values.
    columns = _weighted(tf.cast(_transpose(images), tf.float32), width)
    return tf.cast(_transpose(columns / _UNIT**2) + 0.5, tf.uint8)


def _transpose(images: tf.Tensor) -> tf.Tensor:
    """Returns images (batch, height, width, channels) as (batch, width, height, channels)."""
    return tf.transpose(images, (0, 2, 1, 3))


def _transposed_columns(images: tf.Tensor, width: int) -> tf.Tensor:
    """Returns images (batch, old width, height, channels), in 256ths, with `width` columns, rounded to uint8."""
    sums = _weighted(tf.cast(images, tf.uint32), width) + _UNIT**2 // 2
    return tf.cast(tf.bitwise.right_shift(sums, tf.constant(16, sums.dtype)), tf.uint8)


# In one function XLA would compute each value where it is needed, one after the other, which takes longer. XLA adds
# integers faster than floats; TensorFlow's own operations would warn that not every processor supports this.
_compiled_rows = tf.function(functools.partial(_rows, dtype=tf.uint16), jit_compile=True, autograph=False)
_compiled_columns = tf.function(_transposed_columns, jit_compile=True, autograph=False)
_compiled_transpose = tf.function(_transpose, jit_compile=True, autograph=False)


@functools.cache
def taps(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the source pixels and weights of each new pixel, for a line resized from `old` to `new` pixels.

    Returns:
        int32 (new,), the first source pixel; (new, taps), the weights of that pixel and the following ones in 256ths,
        integers that add up to 256.
    """
    scale = old / new
    radius = max(scale, 1.0)
    centres = (np.arange(new) + 0.5) * scale
    distances = np.abs(np.arange(old) + 0.5 - centres[:, None])
    weights = np.maximum(0.0, 1 - distances / radius)
    weights *= _UNIT / weights.sum(axis=1, keepdims=True)
    whole = np.floor(weights).astype(int)
    # The remainder from rounding down goes to the weights that lost most.
    ranks = np.argsort(np.argsort(whole - weights, axis=1, kind="stable"), axis=1)
    whole += ranks < _UNIT - whole.sum(axis=1, keepdims=True)
    count = int(max(np.ptp(np.flatnonzero(row)) for row in whole)) + 1
    starts = np.minimum((whole > 0).argmax(axis=1), old - count)
    picked = np.take_along_axis(whole, starts[:, None] + np.arange(count), axis=1)
    return starts.astype(np.int32), picked
