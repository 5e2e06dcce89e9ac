"""`ArraySource`: examples in NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from data.dense.labels import label_dtype, label_shape
from data.dense.source import Arrays, DenseSource
from data.dense.values import check_image, check_labels
from data.recipe import SPLITS
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import TaskSet


class ArraySource(DenseSource):
    """Examples in memory; the arrays are not copied if they have the dtypes that `DenseSource` documents.

    Args:
        splits: `"train"`, `"validation"` and `"test"` -> (images, task -> labels). Images are uint8 or floats in [0, 1]
            (examples, height, width, channels). A mask or depth may also have no axis of channels.
        tasks: the tasks that there are labels for.
        version: where the arrays are from, in a word.

    Raises:
        ValueError: for arrays that do not fit together or have invalid values; the message names split and task.
    """

    in_memory = True

    def __init__(self, splits: Mapping[str, Arrays], tasks: TaskSet, *, version: str = "arrays") -> None:
        for split in splits:
            if split not in SPLITS:
                raise unknown_value("split", split, SPLITS)
        for split in SPLITS:
            if split not in splits:
                raise ValueError(f"`splits` must have {', '.join(SPLITS)}. Received: {', '.join(splits) or 'none'}")
        first = splits["train"][0]
        if first.ndim != 4 or not first.size:
            raise ValueError(f"Images must be (examples, height, width, channels). Received: {first.shape}")
        height, width, channels = map(int, first.shape[1:])
        self.tasks = tasks.at_size(height, width)
        self.image_shape = (height, width, channels)
        self.version = version
        self.kind = "uint8" if first.dtype == np.uint8 else "float"
        self._images: dict[str, np.ndarray] = {}
        self._labels: dict[str, dict[str, np.ndarray]] = {}
        for split, (images, labels) in splits.items():
            self._add(split, images, labels)

    def size(self, split: str) -> int:
        return len(self._images[split])

    def read(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> Arrays:
        return self._images[split][numbers], self.read_labels(split, numbers, tasks)

    def read_labels(self, split: str, numbers: np.ndarray, tasks: TaskSet) -> dict[str, np.ndarray]:
        return {name: self._labels[split][name][numbers] for name in tasks}

    def _add(self, split: str, images: np.ndarray, labels: Mapping[str, np.ndarray]) -> None:
        """Checks the arrays of a split and stores them."""
        kind = "uint8" if images.dtype == np.uint8 else "float"
        if images.shape[1:] != self.image_shape or kind != self.kind or not len(images):
            raise ValueError(
                f"{split} images must be {self.kind} (examples, {', '.join(map(str, self.image_shape))}), as those for "
                f"training. Received: {images.dtype} {images.shape}"
            )
        self._images[split] = check_image(images, f"{split} images")
        self._labels[split] = {}
        for name, task in self.tasks.items():
            if name not in labels:
                raise unknown_value(f"task, which has no {split} labels", name, labels)
            values, expected = labels[name], (len(images), *label_shape(task))
            if values.shape != expected and (*values.shape, 1) != expected:
                raise ValueError(f"{split} labels of task {name!r} must be {expected}. Received: {values.shape}")
            checked = check_labels(task, values.reshape(expected), f"{split} labels of task {name!r}")
            self._labels[split][name] = checked.astype(label_dtype(task), copy=False)
