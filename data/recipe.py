"""`Recipe`: what one dataset adds to the pipeline that all of them share."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import ClassVar

import tensorflow as tf

from mtl_keras.registry import Registry, snake_case
from mtl_keras.tasks import TaskSet


class Recipe(abc.ABC):
    """How the stored examples of one dataset become images and labels.

    The labels of an example travel through the pipeline as one vector, `fields` stacked in order, and are given
    their names only after batching: with 40 attributes this saves 40 small tensors an example.

    Args:
        tasks: names of the tasks wanted, in the order wanted; `None` for all.

    Raises:
        ValueError: for an unknown task, with the closest match and the choices.
    """

    available: ClassVar[TaskSet]
    """All tasks that the dataset has labels for."""
    version: ClassVar[str]
    """The version of the TFDS dataset; others with the same major number are read too."""
    downloadable: ClassVar[bool]
    """Whether TFDS can fetch it by itself."""
    splits: ClassVar[Mapping[str, str]]
    """`"train"`, `"validation"` and `"test"` as TFDS split expressions."""
    stored_shape: ClassVar[tuple[int, int, int]]
    """Shape of the images as TFDS stores them, (height, width, channels)."""
    image_shape: ClassVar[tuple[int, int, int]]
    """Shape of the images as the model sees them, (height, width, channels)."""
    label_dtype: ClassVar[tf.DType]
    """Type of the label vector."""

    def __init__(self, tasks: Sequence[str] | None = None) -> None:
        self.tasks = self.available if tasks is None else self.available.subset(tasks)

    @property
    def name(self) -> str:
        """The dataset's name, here and in TFDS."""
        return snake_case(type(self).__name__)

    @property
    @abc.abstractmethod
    def fields(self) -> tuple[str, ...]:
        """The stored features that the chosen tasks need, such as `"label"` or `"attributes/Smiling"`."""

    @abc.abstractmethod
    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the uint8 image of `image_shape` in a scalar string of JPEG or PNG bytes."""

    @abc.abstractmethod
    def frame(self, image: tf.Tensor) -> tf.Tensor:
        """Returns an image that is decoded already, (height, width, channels), brought to `image_shape`."""

    @abc.abstractmethod
    def labels(self, vectors: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the labels of each task from label vectors (batch, fields)."""

    @abc.abstractmethod
    def mirror(self, labels: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the labels that the images have once they are flipped from left to right."""

    def check(self, vectors: tf.Tensor) -> tf.Tensor:
        """Returns label vectors (..., fields) as they are; the operation fails where a value cannot be."""
        return vectors


recipes: Registry[Recipe] = Registry("dataset")
