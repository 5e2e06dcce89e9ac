"""Scales, crops and flips batches of images together with their labels, and changes the images' colours.

Labels that describe the geometry of a scene change with that of the image. To the same camera, a surface that appears
`s` times as large is `s` times as close, so depths are divided by `s`. In a flipped image, the x components of normals
have the opposite sign, and left and right landmarks are swapped.

These are TensorFlow operations and not Keras' preprocessing layers: the layers know images, boxes and segmentation
masks, but not depths, normals or landmarks, and their draws depend on the number of calls. Here the draws depend on the
seeds only, so a resumed run and the workers of a distributed one get the same batches as any other run.

References:
    `RandomScaleCrop` of S. Liu, E. Johns, A. J. Davison, CVPR 2019, https://github.com/lorenmt/mtan
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import tensorflow as tf

from data.custom.task_recipe import has_points, mirrored_order
from data.images import mirror_points, select
from mtl_keras.checks import check_number
from mtl_keras.tasks import Task, TaskSet

SCALES = (1.0, 1.2, 1.5)
"""How much the crop of an image is enlarged; each scale is equally likely."""

_INSET = 2e-6
"""Distance of a window from the border of the image, as a share of its side. Rounding errors are smaller, so that no
sample is beyond the border, where `tf.image.crop_and_resize` returns zeros."""
_DRAWS = 7


class Draws(NamedTuple):
    """The random numbers of a batch, which fit images of any size; made by `draw`."""

    scale: tf.Tensor
    """float32 (batch,), how much the crop is enlarged, >= 1."""
    top: tf.Tensor
    """float32 (batch,) in [0, 1): place of the crop, from the top to the bottom."""
    left: tf.Tensor
    """float32 (batch,) in [0, 1): place of the crop, from the left to the right."""
    flip: tf.Tensor
    """bool (batch,), whether the crop is flipped from left to right."""
    colour: tf.Tensor
    """float32 (batch, 3) in [-1, 1): change of brightness, contrast and saturation, in units of `color_jitter`."""

    def part(self, begin: tf.Tensor | int, end: tf.Tensor | int) -> Draws:
        """Returns the draws of the examples from `begin` to before `end`."""
        return Draws(*(values[begin:end] for values in self))


def draw(count: tf.Tensor | int, seeds: tf.Tensor) -> Draws:
    """Draws the random numbers of a batch.

    Args:
        count: number of examples, an integer scalar.
        seeds: integers (2,), the seeds of the batch.
    """
    shape = tf.stack([tf.cast(count, tf.int64), tf.constant(_DRAWS, tf.int64)])
    numbers = tf.random.stateless_uniform(shape, seeds)
    kind = tf.minimum(tf.cast(numbers[:, 0] * len(SCALES), tf.int32), len(SCALES) - 1)
    scale = tf.gather(tf.constant(SCALES), kind)
    return Draws(scale, numbers[:, 1], numbers[:, 2], numbers[:, 3] < 0.5, numbers[:, 4:] * 2 - 1)


def augment(
    images: tf.Tensor,
    labels: Mapping[str, tf.Tensor],
    tasks: TaskSet,
    seeds: tf.Tensor,
    *,
    color_jitter: float = 0.0,
    inverse_depth: Collection[str] = (),
    whole: tf.Tensor | int | None = None,
    begin: tf.Tensor | int = 0,
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Augments a batch at random; see `apply`.

    Args:
        images: (batch, height, width, channels), uint8, or floats in [0, 1].
        labels: task -> labels (batch, ...), as `data.dense.source.DenseSource` documents.
        tasks: the tasks of the labels.
        seeds: integers (2,), the seeds of the whole batch.
        color_jitter: maximum relative change of brightness, contrast and saturation, from 0 to 1.
        inverse_depth: names of the depth tasks whose labels are inverse depths or disparities.
        whole: number of examples in the whole batch, if `images` is one worker's part of it; all workers together
            get the augmentation of the whole batch.
        begin: index in the whole batch of the first example of `images`.

    Returns:
        As `apply`.

    Raises:
        ValueError: as `apply`.
    """
    count = tf.shape(images, out_type=tf.int64)[0]
    begin = tf.cast(begin, tf.int64)
    draws = draw(count if whole is None else whole, seeds).part(begin, begin + count)
    return apply(images, labels, tasks, draws, color_jitter=color_jitter, inverse_depth=inverse_depth)


def apply(
    images: tf.Tensor,
    labels: Mapping[str, tf.Tensor],
    tasks: TaskSet,
    draws: Draws,
    *,
    color_jitter: float = 0.0,
    inverse_depth: Collection[str] = (),
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Augments a batch with given random numbers.

    For a scale `s`, a window anywhere in the image is resized to the size of the image, so that one pixel becomes `s`
    pixels, and then flipped. The centres of its corner pixels become those of the image (`align_corners`). By kind of
    task:

    | head | labels |
    |---|---|
    | segmentation, mask | nearest pixel |
    | depth | nearest pixel, divided by `s`; inverse depth is multiplied by `s` |
    | normals | bilinear, scaled to unit length; x is negated in flipped images |
    | dense_regression, reconstruction | bilinear |
    | regression of landmarks | moved with the image; NaN outside the window; left and right swapped when flipped |
    | others | unchanged |

    A bilinear label is missing if any pixel that contributes to it is missing: normals become zeros, numbers NaN.

    The published code differs: it mixes missing normals, which are zeros, with valid ones; it does not scale normals to
    unit length, which `Task.normals` and its metrics expect; nearest labels are sampled up to one pixel away from the
    image; and windows are of whole pixels, so that they are not enlarged by exactly `s`.

    Args:
        images: (batch, height, width, channels), uint8, or floats in [0, 1].
        labels: task -> labels (batch, ...), as `data.dense.source.DenseSource` documents.
        tasks: the tasks of the labels.
        draws: the random numbers of these examples.
        color_jitter: maximum relative change of brightness, contrast and saturation, from 0 to 1.
        inverse_depth: names of the depth tasks whose labels are inverse depths or disparities. Names of other datasets'
            tasks are ignored.

    Returns:
        Images, float32 (batch, height, width, channels) in [0, 1], and labels of the same shapes and dtypes.

    Raises:
        ValueError: for a `color_jitter` outside [0, 1], or a task in `inverse_depth` that is not one of depth.
    """
    check_number("color_jitter", color_jitter, 0, 1)
    for name in inverse_depth:
        if name in tasks and tasks[name].head != "depth":
            depths = [task.name for task in tasks.values() if task.head == "depth"]
            raise ValueError(
                f"inverse_depth must name tasks of depth. Received: {name!r}, whose head is {tasks[name].head}. "
                f"Choices: {', '.join(depths) or 'none'}"
            )
    crop = _Crop(images, draws)
    pixels = crop.bilinear(images)
    if images.dtype.is_integer:
        pixels /= 255
    if color_jitter:
        pixels = _jitter(pixels, 1 + color_jitter * draws.colour)
    augmented = dict(labels)
    for name, values in labels.items():
        task = tasks[name]
        if task.head in _BY_HEAD:
            augmented[name] = _BY_HEAD[task.head](crop, values, task)
        elif has_points(task):
            augmented[name] = _move_points(crop, values, task)
        if name in inverse_depth:
            augmented[name] = _scale(augmented[name], draws.scale, task)
        elif task.head == "depth":
            augmented[name] = _scale(augmented[name], 1 / draws.scale, task)
    return pixels, augmented


class _Crop:
    """The windows of a batch, and how they are resized to the size of the images.

    Args:
        images: (batch, height, width, channels).
        draws: the random numbers of the batch.
    """

    def __init__(self, images: tf.Tensor, draws: Draws) -> None:
        self.size = (images.shape[1], images.shape[2])
        self.flip = draws.flip
        self.is_scaled = draws.scale > 1
        self.scale = draws.scale[:, tf.newaxis]
        self._batch = tf.shape(images)[0]
        # The positions of the centres of the first and the last pixel go from 0 to 1.
        self.begin = tf.stack([draws.top, draws.left], axis=1) * (1 - 1 / self.scale)
        inset = tf.where(self.is_scaled, _INSET, 0.0)[:, tf.newaxis]
        begin, end = self.begin + inset, self.begin + 1 / self.scale - inset
        left, right = tf.where(self.flip, end[:, 1], begin[:, 1]), tf.where(self.flip, begin[:, 1], end[:, 1])
        self._boxes = tf.stack([begin[:, 0], left, end[:, 0], right], axis=1)

    def bilinear(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the windows of values (batch, height, width, channels), float32; NaN where one of four pixels is."""
        return self._sample(values, "bilinear")

    def nearest(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the windows of values (batch, height, width, channels) in their dtype, each of a single pixel."""
        return tf.cast(self._sample(values, "nearest"), values.dtype)

    def _sample(self, values: tf.Tensor, method: str) -> tf.Tensor:
        windows = tf.image.crop_and_resize(values, self._boxes, tf.range(self._batch), self.size, method)
        return tf.ensure_shape(windows, (values.shape[0], *self.size, values.shape[-1]))


def _segmentation(crop: _Crop, labels: tf.Tensor, task: Task) -> tf.Tensor:
    return crop.nearest(labels[..., tf.newaxis])[..., 0]


def _single_pixel(crop: _Crop, labels: tf.Tensor, task: Task) -> tf.Tensor:
    return crop.nearest(labels)


def _normals(crop: _Crop, labels: tf.Tensor, task: Task) -> tf.Tensor:
    # 0 / 0 is NaN, so that a mean with missing vectors is NaN too.
    mean = crop.bilinear(labels / tf.cast(_squared_length(labels) > 0, labels.dtype))
    square = _squared_length(mean)
    # False for NaN, and for opposite vectors, which have no mean direction.
    scale = tf.where(square > 1e-6, tf.math.rsqrt(square), 0)
    signs = tf.where(crop.flip[:, tf.newaxis], (-1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    return tf.math.multiply_no_nan(mean, scale * signs[:, tf.newaxis, tf.newaxis])


def _numbers(crop: _Crop, labels: tf.Tensor, task: Task) -> tf.Tensor:
    return crop.bilinear(labels)


_BY_HEAD: dict[str, Callable[[_Crop, tf.Tensor, Task], tf.Tensor]] = {
    "segmentation": _segmentation,
    "mask": _single_pixel,
    "depth": _single_pixel,
    "normals": _normals,
    "dense_regression": _numbers,
    "reconstruction": _numbers,
}


def _scale(labels: tf.Tensor, factor: tf.Tensor, task: Task) -> tf.Tensor:
    """Multiplies the depths (batch, height, width, 1) that are not missing by a factor (batch,)."""
    scaled = labels * _per_pixel(factor)
    # A product with 0 or NaN is missing again.
    return tf.where(labels == task.invalid, labels, scaled) if task.invalid else scaled


def _squared_length(vectors: tf.Tensor) -> tf.Tensor:
    """Returns the squared lengths of vectors (..., channels), (..., 1)."""
    # Faster than a sum over the last axis.
    return tf.add_n(tf.unstack(vectors * vectors, axis=-1))[..., tf.newaxis]


def _per_pixel(values: tf.Tensor) -> tf.Tensor:
    """Returns values (batch,) in the shape (batch, 1, 1, 1)."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def _move_points(crop: _Crop, labels: tf.Tensor, task: Task) -> tf.Tensor:
    """Returns landmarks (batch, 2 * points) in the windows; both coordinates are NaN outside.

    Pixel `i` has its centre at `i + 0.5`: see `data.images`. Landmarks of an image that is not scaled stay as they are,
    even outside of it.
    """
    size = tf.constant(crop.size[::-1], tf.float32)
    begin = crop.begin[:, tf.newaxis, ::-1] * (size - 1)
    pairs = tf.reshape(labels, (-1, len(task.labels), 2))
    pixels = (pairs * size - 0.5 - begin) * crop.scale[:, tf.newaxis] + 0.5
    inside = tf.reduce_all((pixels >= 0) & (pixels <= size), axis=-1, keepdims=True)
    scaled = tf.reshape(tf.where(inside, pixels / size, float("nan")), tf.shape(labels))
    moved = select(crop.is_scaled, scaled, labels)
    return select(crop.flip, mirror_points(moved, mirrored_order(task.labels)), moved)


def _jitter(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Multiplies brightness, contrast and saturation, in this order, and clips to [0, 1] at the end.

    Contrast is the distance from the image's mean grey, saturation that from the pixel's grey, as in torchvision. An
    alpha channel does not change.

    Args:
        images: float32 (batch, height, width, channels) in [0, 1].
        factors: float32 (batch, 3).
    """
    has_alpha = images.shape[-1] == 4
    colours = images[..., :3] if has_alpha else images
    grey = tf.image.rgb_to_grayscale(colours) if colours.shape[-1] == 3 else tf.reduce_mean(colours, -1, keepdims=True)
    brightness, contrast, saturation = (_per_pixel(factor) for factor in tf.unstack(factors, axis=1))
    mean = brightness * tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    # All three changes are linear, so that they can be made at once.
    saturated = grey + saturation * (colours - grey)
    changed = tf.clip_by_value(brightness * contrast * saturated + (1 - contrast) * mean, 0, 1)
    return tf.concat([changed, images[..., 3:]], axis=-1) if has_alpha else changed
