"""Images: decoding, cropping, resizing and flipping, in TensorFlow operations alone.

Positions follow the half-pixel convention of PIL, torchvision and `tf.image.resize`: pixel `i` covers
`[i, i + 1)`, so its centre is at `i + 0.5`, and the middle of an image of width `w` is at `w / 2`. A point is
normalised by dividing its position by the side, so that resizing an image leaves it where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


def resize(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Resizes bilinearly with antialiasing, as PIL and torchvision do.

    Args:
        image: (height, width, channels), uint8 or floats.
        height: height of the result.
        width: width of the result.

    Returns:
        The image (height, width, channels) in the type that it came in; uint8 is rounded.
    """

    def resized() -> tf.Tensor:
        result = tf.image.resize(image, (height, width), antialias=True)
        return tf.cast(tf.round(result), image.dtype) if image.dtype.is_integer else tf.cast(result, image.dtype)

    fits = tf.reduce_all(tf.shape(image)[:2] == (height, width))
    result = tf.cond(fits, lambda: tf.identity(image), resized)
    return tf.ensure_shape(result, (height, width, image.shape[-1]))


def crop_window(height: tf.Tensor, width: tf.Tensor, margin: float) -> tf.Tensor:
    """Returns (top, left, height, width) of an image without a share `margin` of its rows at top and bottom."""
    top = tf.cast(tf.round(tf.cast(height, tf.float32) * margin), tf.int32)
    return tf.stack([top, 0, height - 2 * top, width])


def crop(image: tf.Tensor, margin: float) -> tf.Tensor:
    """Cuts a share `margin` of the rows of an image (height, width, channels) off its top, and off its bottom."""
    shape = tf.shape(image)
    top, _, height, _ = tf.unstack(crop_window(shape[0], shape[1], margin))
    return image[top : top + height]


def decode_cropped(encoded: tf.Tensor, margin: float) -> tf.Tensor:
    """Decodes JPEG, PNG, GIF or BMP bytes to colours without a share `margin` of the rows at top and bottom.

    A JPEG is cropped inside the decoder, with the exact integer transform that PIL uses.

    Args:
        encoded: scalar string.
        margin: share of the rows to leave out at each end.

    Returns:
        uint8 (height, width, 3).
    """

    def jpeg() -> tf.Tensor:
        shape = tf.image.extract_jpeg_shape(encoded)
        window = crop_window(shape[0], shape[1], margin)
        return tf.image.decode_and_crop_jpeg(encoded, window, channels=3, dct_method="INTEGER_ACCURATE")

    def other() -> tf.Tensor:
        return crop(tf.io.decode_image(encoded, channels=3, expand_animations=False), margin)

    return tf.ensure_shape(tf.cond(tf.io.is_jpeg(encoded), jpeg, other), (None, None, 3))


def to_unit_range(images: tf.Tensor) -> tf.Tensor:
    """Returns uint8 images as float32 in [0, 1]; floats are taken to be in that range already."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype.is_integer else tf.cast(images, tf.float32)


def mirror_points(points: tf.Tensor, order: Sequence[int]) -> tf.Tensor:
    """Moves points to where they are once their image is flipped from left to right.

    Args:
        points: (batch, 2 * points): x0, y0, x1, y1, ... in [0, 1].
        order: for each point, the index of the one that takes its place: a left eye becomes a right one.
    """
    pairs = tf.reshape(points, (-1, len(order), 2)) * (-1.0, 1.0) + (1.0, 0.0)
    return tf.reshape(tf.gather(pairs, list(order), axis=1), tf.shape(points))


def select(condition: tf.Tensor, chosen: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    """Returns the rows of `chosen` where `condition` (batch,) holds, and of `otherwise` elsewhere."""
    shape = tf.concat([tf.shape(condition), tf.ones(chosen.shape.rank - 1, tf.int32)], axis=0)
    return tf.where(tf.reshape(condition, shape), chosen, otherwise)
