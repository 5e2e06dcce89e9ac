"""`Recipe`: the dataset-specific part of the common pipeline."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from data import images
from data.reader import Reader
from mtl_keras.serialization import Registry, snake_case
from mtl_keras.tasks import TaskSet

SPLITS = ("train", "validation", "test")


class Recipe(abc.ABC):
    """Turns the stored examples of one dataset into images and labels.

    In the pipeline the labels of an example are one vector, `fields` stacked in order. They are split by task only
    after batching: with 40 attributes this saves 40 small tensors per example.

    Methods that take tensors are traced without AutoGraph (`tf.autograph.experimental.do_not_convert`): it would read
    and compile the source of everything they call, which takes longer than all other work before the first batch. Write
    `tf.cond` and `tf.where` for conditions on tensors, or decorate the function with `tf.function`.

    Args:
        tasks: names of the tasks, in order; `None` for the default ones.

    Raises:
        ValueError: for an unknown task, with the closest match and the choices.
    """

    available: ClassVar[TaskSet]
    """All tasks that the dataset has labels for. The label of a reconstruction is the model's input image."""
    default_tasks: ClassVar[tuple[str, ...] | None] = None
    """The tasks used by default; `None` for all."""
    version: ClassVar[str]
    """The version of the TFDS dataset; others with the same major number can be read too."""
    downloadable: ClassVar[bool]
    """Whether TFDS can download it."""
    splits: ClassVar[Mapping[str, str]]
    """`"train"`, `"validation"` and `"test"` as TFDS split expressions."""
    stored_shape: ClassVar[tuple[int, int, int]]
    """Shape of the images stored by TFDS, (height, width, channels)."""
    image_shape: ClassVar[tuple[int, int, int]]
    """Shape of the model's input images, (height, width, channels)."""
    array_dtype: ClassVar[Any] = np.float32
    """Dtype of images that the reader does not store encoded: float32 or uint8."""
    label_dtype: ClassVar[tf.DType]
    """Dtype of the label vector."""
    files: ClassVar[str] = ""
    """Description of the plain files that `open_files` can read."""
    classes: ClassVar[Mapping[str, int]] = {}
    """Stored feature -> its number of classes, for class labels."""
    labels_may_be_missing: ClassVar[bool] = False
    """Whether stored examples may have no label for some tasks."""
    text_fields: ClassVar[tuple[str, ...]] = ()
    """Stored text features, which `number` converts to numbers."""
    no_flips: ClassVar[str] = ""
    """Why images must not be flipped from left to right; empty if they may be."""

    def __init__(self, tasks: Sequence[str] | None = None) -> None:
        wanted = self.default_tasks if tasks is None else tasks
        self.tasks = self.available if wanted is None else self.available.subset(wanted)

    @property
    def name(self) -> str:
        """The dataset's name, here and in TFDS."""
        return snake_case(type(self).__name__)

    @property
    def source(self) -> Recipe:
        """The recipe of the stored dataset: this one, unless its examples are composed of another dataset's."""
        return self

    def compose(self, reader: Reader, seed: int) -> Reader:
        """Returns the reader of this dataset's examples.

        Args:
            reader: the reader of `source`.
            seed: seed of random choices, >= 0.
        """
        return reader

    @property
    @abc.abstractmethod
    def fields(self) -> tuple[str, ...]:
        """The stored features that the chosen tasks need, such as `"label"` or `"attributes/Smiling"`."""

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the uint8 image of `image_shape` in a scalar string of JPEG or PNG bytes.

        By default, an image of any size is converted to grey or to colours, and resized.
        """
        return self.frame(tf.io.decode_image(encoded, channels=self.image_shape[-1], expand_animations=False))

    def decode_all(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns `decode` of each string (batch,). A recipe may override it with a faster equivalent."""
        spec = tf.TensorSpec(self.image_shape, tf.uint8)
        return tf.map_fn(self.decode, encoded, parallel_iterations=1, fn_output_signature=spec)

    def frame(self, image: tf.Tensor) -> tf.Tensor:
        """Returns a decoded image (height, width, channels), converted to `image_shape`."""
        height, width, channels = self.image_shape
        image.set_shape((None, None, channels))
        return images.resize(image, height, width)

    def number(self, field: str, values: tf.Tensor) -> tf.Tensor:
        """Returns the stored values (...) of a field as `label_dtype`. Recipes with text fields must override it."""
        return tf.cast(values, self.label_dtype)

    def vectors(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns the label vectors (batch, fields) of stored features, (batch,) each."""
        return self.check(tf.stack([self.number(field, features[field]) for field in self.fields], axis=-1))

    @abc.abstractmethod
    def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the labels of each task except reconstructions, from label vectors (batch, fields)."""

    def check_augment(self, augment: bool) -> None:
        """Raises a ValueError if images are to be flipped that must not be."""
        if augment and self.no_flips:
            raise ValueError(
                f"augment flips images, and examples of {self.name} cannot be flipped: {self.no_flips}. "
                "Received: augment=True"
            )

    def mirror(self, labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the labels of the images flipped from left to right: by default the same."""
        return labels

    def limits(self, field: str) -> tuple[int, int] | None:
        """Returns the minimum and maximum of a field, `None` for any: by default the range of its `classes`."""
        return (0, self.classes[field] - 1) if field in self.classes else None

    def check(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns label vectors (batch, fields) unchanged; the operation fails if a value is outside its limits."""
        found = {field: self.limits(field) for field in self.fields}
        limits = {field: values for field, values in found.items() if values is not None}
        if not limits:
            return vectors
        names = tf.constant(list(limits))
        least, greatest = tf.unstack(tf.constant(list(limits.values()), vectors.dtype), axis=1)
        values = tf.gather(vectors, [self.fields.index(field) for field in limits], axis=1)
        possible = (values >= least) & (values <= greatest)

        def raise_error() -> tf.Tensor:
            row, column = tf.unstack(tf.where(~possible)[0])
            value, low, high = map(_text, (values[row, column], least[column], greatest[column]))
            name = names[column]
            parts = ["a stored ", name, " is not from ", low, " to ", high, ". Received: ", name, "=", value]
            with tf.control_dependencies([tf.debugging.Assert(False, [tf.strings.join(parts)])]):
                return tf.constant(False)

        with tf.control_dependencies([tf.cond(tf.reduce_all(possible), lambda: tf.constant(True), raise_error)]):
            return tf.identity(vectors)

    def open_files(self, folder: Path) -> Reader | None:
        """Opens the plain files of the dataset in `folder`; returns `None` if there are none."""
        return None


def _text(number: tf.Tensor) -> tf.Tensor:
    return tf.strings.as_string(number, shortest=number.dtype.is_floating)


recipes: Registry[Recipe] = Registry("dataset")
