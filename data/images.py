"""Decodes, crops, resizes and flips images with TensorFlow operations only.

Positions follow the half-pixel convention of PIL, torchvision and `tf.image.resize`: pixel `i` covers
`[i, i + 1)`, so its centre is at `i + 0.5`, and the middle of an image of width `w` is at `w / 2`. A point is
normalised by dividing its position by the side, so that resizing an image does not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import tensorflow as tf

from data.resampling import resample

_JPEG, _END = b"\xff\xd8\xff", b"\xff\xd9"
# The start of a libjpeg JPEG: JFIF segment, two quantisation tables, and the frame header, which the size follows.
_TABLE = b"\xff\xdb\x00\x43"
_SEGMENTS = {0: b"\xff\xd8\xff\xe0\x00\x10", 20: _TABLE, 89: _TABLE, 158: b"\xff\xc0\x00\x11\x08"}
_SIZE_AT = 163


def resize(image: tf.Tensor, height: int, width: int, *, usual: tuple[int, int] | None = None) -> tf.Tensor:
    """Resizes bilinearly with antialiasing, as PIL and torchvision do.

    Args:
        image: (height, width, channels), uint8 or floats.
        height: height of the result.
        width: width of the result.
        usual: (height, width) of most images, if they are uint8. These are resized as in `decode_resized`.

    Returns:
        The image (height, width, channels) in the input dtype; uint8 is rounded.
    """

    def resized() -> tf.Tensor:
        result = tf.image.resize(image, (height, width), antialias=True)
        return tf.cast(tf.round(result), image.dtype) if image.dtype.is_integer else tf.cast(result, image.dtype)

    size = tf.shape(image)[:2]
    cases = [(tf.reduce_all(size == (height, width)), lambda: tf.identity(image))]
    if usual is not None and image.dtype == tf.uint8:
        # Not `ensure_shape`: TensorFlow checks it even if this case is not taken.
        shape = (1, *usual, image.shape[-1])
        cases.insert(0, (tf.reduce_all(size == usual), lambda: resample(tf.reshape(image, shape), height, width)[0]))
    return tf.ensure_shape(tf.case(cases, resized), (height, width, image.shape[-1]))


def decode_resized(encoded: tf.Tensor, margin: float, height: int, width: int, usual: tuple[int, int]) -> tf.Tensor:
    """Decodes, crops and resizes a batch of images: `resize(decode_cropped(...))` of each.

    If all of them are JPEGs of the usual size, this is several times as fast, because they are resized together. Use
    it only in this process, since the sums are compiled.

    Args:
        encoded: strings (batch,).
        margin: as in `decode_cropped`.
        height: height of the results.
        width: width of the results.
        usual: (height, width) of most images before cropping.

    Returns:
        uint8 (batch, height, width, 3).
    """
    with tf.init_scope():  # eager values, so that shapes are static
        window = crop_window(*usual, margin).numpy().tolist()
    size = (window[2], window[3])

    def map_images(function: Callable[[tf.Tensor], tf.Tensor], shape: tuple[int, ...], dtype: tf.DType) -> tf.Tensor:
        # Sequentially: whole batches are decoded in parallel, with fewer handovers between threads.
        spec = tf.TensorSpec(shape, dtype)
        return tf.map_fn(function, encoded, parallel_iterations=1, fn_output_signature=spec)

    def have_usual_size() -> tf.Tensor:
        return tf.reduce_all(map_images(tf.image.extract_jpeg_shape, (3,), tf.int32)[:, :2] == usual)

    def decode_batched() -> tf.Tensor:
        cropped = map_images(partial(_decode_window, window=window), (*size, 3), tf.uint8)
        return resample(cropped, height, width, compiled=True)

    def decode_singly() -> tf.Tensor:
        def decode_one(one: tf.Tensor) -> tf.Tensor:
            return resize(decode_cropped(one, margin), height, width, usual=size)

        return map_images(decode_one, (height, width, 3), tf.uint8)

    are_jpeg = tf.reduce_all((tf.strings.substr(encoded, 0, len(_JPEG)) == _JPEG) & _have_end(encoded))
    # Reading the size of each image with the decoder takes a tenth of the time of decoding them.
    begin_with_usual_size = are_jpeg & _begin_with_size(encoded, *usual)
    fits = tf.case([(begin_with_usual_size, lambda: True), (are_jpeg, have_usual_size)], lambda: False)
    return tf.ensure_shape(tf.cond(fits, decode_batched, decode_singly), (None, height, width, 3))


def _begin_with_size(encoded: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns whether all strings (batch,) begin like libjpeg JPEGs of the given size."""
    segments = {**_SEGMENTS, _SIZE_AT: height.to_bytes(2, "big") + width.to_bytes(2, "big")}
    positions = [start + offset for start, segment in segments.items() for offset in range(len(segment))]
    start = tf.io.decode_raw(encoded, tf.uint8, fixed_length=max(positions) + 1)
    return tf.reduce_all(tf.gather(start, positions, axis=1) == list(b"".join(segments.values())))


def decode_to_shape(encoded: tf.Tensor, image_shape: tuple[int, int, int]) -> tf.Tensor:
    """Decodes JPEG, PNG, GIF or BMP bytes to an image of a shape, resized.

    Args:
        encoded: scalar string.
        image_shape: (height, width, channels).

    Returns:
        float32 (height, width, channels) in [0, 1].
    """
    height, width, channels = image_shape
    image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
    image.set_shape((None, None, channels))
    return to_unit_range(resize(image, height, width))


def crop_window(height: tf.Tensor, width: tf.Tensor, margin: float) -> tf.Tensor:
    """Returns the window (top, left, height, width) that cuts a share `margin` of the rows at top and bottom."""
    top = tf.cast(tf.round(tf.cast(height, tf.float32) * margin), tf.int32)
    return tf.stack([top, 0, height - 2 * top, width])


def crop(image: tf.Tensor, margin: float) -> tf.Tensor:
    """Cuts a share `margin` of the rows off the top and the bottom of an image (height, width, channels)."""
    shape = tf.shape(image)
    top, _, height, _ = tf.unstack(crop_window(shape[0], shape[1], margin))
    return image[top : top + height]


def decode_cropped(encoded: tf.Tensor, margin: float) -> tf.Tensor:
    """Decodes JPEG, PNG, GIF or BMP bytes to RGB, without a share `margin` of the rows at top and bottom.

    A JPEG is cropped inside the decoder, with the exact integer transform of PIL. The decoder does not detect rows
    missing below the crop window, so a file without an end marker is decoded completely.

    Args:
        encoded: scalar string.
        margin: share of the rows to cut at each end.

    Returns:
        uint8 (height, width, 3).
    """

    def jpeg() -> tf.Tensor:
        shape = tf.image.extract_jpeg_shape(encoded)
        window = crop_window(shape[0], shape[1], margin)
        return _decode_window(encoded, window)

    def cut_jpeg() -> tf.Tensor:
        return crop(tf.image.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"), margin)

    def other() -> tf.Tensor:
        return crop(tf.io.decode_image(encoded, channels=3, expand_animations=False), margin)

    is_jpeg = tf.io.is_jpeg(encoded)
    cases = [(is_jpeg & _have_end(encoded), jpeg), (is_jpeg, cut_jpeg)]
    return tf.ensure_shape(tf.case(cases, other), (None, None, 3))


def _have_end(encoded: tf.Tensor) -> tf.Tensor:
    """Returns whether JPEGs (...) end with the end-of-image marker."""
    starts = tf.maximum(tf.strings.length(encoded) - len(_END), 0)
    return tf.strings.substr(encoded, starts, tf.fill(tf.shape(starts), len(_END))) == _END


def _decode_window(encoded: tf.Tensor, window: tf.Tensor) -> tf.Tensor:
    return tf.image.decode_and_crop_jpeg(encoded, window, channels=3, dct_method="INTEGER_ACCURATE")


def to_unit_range(images: tf.Tensor, *, compiled: bool = False) -> tf.Tensor:
    """Returns uint8 images as float32 in [0, 1]; floats must be in that range already.

    Args:
        images: of any shape.
        compiled: whether to compile with XLA, with the same result. A call costs 0.1 ms, so use it for many large
            images.
    """
    if not images.dtype.is_integer:
        return tf.cast(images, tf.float32)
    return (_compiled_quotient if compiled else _quotient)(images, tf.constant(255.0))


def _quotient(images: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / by


# Uncompiled, TensorFlow passes over the floats twice, and memory access dominates. XLA would replace division by a
# constant with multiplication by its inverse, which gives other floats, so the divisor is an argument.
_compiled_quotient = tf.function(_quotient, jit_compile=True, autograph=False)


def mirror_points(points: tf.Tensor, order: Sequence[int]) -> tf.Tensor:
    """Returns the points of images flipped from left to right.

    Args:
        points: (batch, 2 * points): x0, y0, x1, y1, ... in [0, 1].
        order: for each point, the index of the point that replaces it: a left eye becomes a right one.
    """
    pairs = tf.reshape(points, (-1, len(order), 2)) * (-1.0, 1.0) + (1.0, 0.0)
    return tf.reshape(tf.gather(pairs, list(order), axis=1), tf.shape(points))


def select(condition: tf.Tensor, chosen: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    """Returns the rows of `chosen` where `condition` (batch,) holds, and of `otherwise` elsewhere."""
    shape = tf.concat([tf.shape(condition), tf.ones(chosen.shape.rank - 1, tf.int32)], axis=0)
    return tf.where(tf.reshape(condition, shape), chosen, otherwise)
