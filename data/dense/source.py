"""`DenseSource`: the interface of `DenseDataset` to stored images and labels."""

from __future__ import annotations

import abc

import numpy as np

from mtl_keras.tasks import TaskSet

Arrays = tuple[np.ndarray, dict[str, np.ndarray]]
"""Images (examples, height, width, channels), uint8 or float32 in [0, 1], and task -> labels (examples, ...)."""


class DenseSource(abc.ABC):
    """Stored examples that can be read in any order: files, arrays in memory.

    Labels by kind of task; the size of all labels of pixels is that of the images:

    | head | labels |
    |---|---|
    | segmentation | int32 (examples, height, width); `task.invalid` where missing |
    | mask | float32 (examples, height, width, 1): 0, 1, NaN where missing |
    | depth, normals, dense_regression | float32 (examples, height, width, channels); `task.invalid` or NaN |
    | classification | int32 (examples,); -1 where missing |
    | binary | float32 (examples,); NaN where missing |
    | regression | float32 (examples, numbers); NaN where missing |
    """

    tasks: TaskSet
    """All tasks that there are labels for; those of pixels have the size of the images."""
    image_shape: tuple[int, int, int]
    """(height, width, channels)."""
    version: str
    """Where the examples are from, in a word."""
    synthetic: bool = False
    """Whether the images were drawn."""
    kind: str
    """How images are stored, for records: "jpeg", "png", "uint8" or "float"."""
    in_memory: bool = False
    """Whether all examples are in memory already, so that caching them would only copy them."""
    inverse_depth: tuple[str, ...] = ()
    """The depth tasks whose labels are inverse distances (disparities), which grow when an image is magnified."""

    @abc.abstractmethod
    def size(self, split: str) -> int:
        """Returns how many examples `"train"`, `"validation"` or `"test"` has."""

    @abc.abstractmethod
    def read(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> Arrays:
        """Returns the images and the labels of examples, checked.

        May be called by several threads at once.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            numbers: int64 (examples,), indices of examples.
            tasks: those whose labels are wanted, some of `tasks`.

        Raises:
            ValueError: for a file that is missing, cannot be read or has invalid values; one line that names it.
        """

    def read_labels(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> dict[str, np.ndarray]:
        """Returns the labels of examples as `read` does. A source overrides it to leave the images unread."""
        return self.read(split, numbers, tasks)[1]

    def labelled(self, split: str) -> dict[str, np.ndarray] | None:
        """Returns which examples have a label, task -> bool (examples,); `None` if the files must be read for that."""
        return None

    def fingerprint(self, split: str) -> str | None:
        """Returns a text that changes with the stored examples, to name their cache files on disk.

        `None` if a cache on disk is not worth its space, because files are read without decoding.
        """
        return None

    def example_name(self, split: str, number: int) -> str:
        """Returns the name of an example: its number in the split, from 0, or its image's file name."""
        return str(number)
