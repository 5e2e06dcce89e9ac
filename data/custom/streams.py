"""`from_tf_data`: a dataset from tf.data pipelines."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data.custom.pixel_streams import dense_streams
from data.custom.readers import TensorReader
from data.custom.task_recipe import check_splits, label_fields, recipe_from_tasks, tasks_with_labels
from data.dataset import Dataset
from data.dense.dataset import DenseDataset
from data.errors import scope
from data.pipeline import check_reading
from data.recipe import Recipe
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import Task, TaskSet

_PROBED = 16
"""Number of examples read twice to check that a pipeline is the same in each pass."""


def from_tf_data(
    splits: Mapping[str, tf.data.Dataset],
    tasks: TaskSet | Sequence[Task],
    *,
    image_shape: Sequence[int] | None = None,
    name: str = "own",
    cache: str = "auto",
    on_bad_example: str = "error",
) -> Dataset | DenseDataset:
    """Makes a dataset from pipelines of single examples.

    They should give the same examples in the same order in each pass: the order of an epoch, its augmentation and the
    point where a run resumes are then exact, and depend only on seeds. If two passes over the first training examples
    differ, there is a warning, nothing is cached, and a resumed run sees other batches than an uninterrupted run. A
    pipeline of unknown cardinality is read once to count its examples.

    Args:
        splits: `"train"`, `"validation"` and `"test"`: finite datasets of (image, {task: label}), not batched and not
            repeated. An image is uint8 or a float in [0, 1], (height, width, channels), or a scalar string: the bytes
            of a JPEG or PNG file. Labels are integers for classes, integers, floats or booleans for binary tasks (-1 is
            missing), and numbers for regressions (NaN is missing, -1 is a number). Labels of pixels are (height, width)
            or (height, width, channels), with the size of the image; then all examples are read at once, into memory.
        tasks: the tasks of the labels; a `Task.reconstruction` needs no label.
        image_shape: (height, width, channels) that images are resized to; required if images are strings or of
            unknown shape.
        name: the name used in records.
        cache: as in `data.load`, except `"disk"`: a changed pipeline could not be detected.
        on_bad_example: as in `data.load`.

    Raises:
        ValueError: for pipelines that are batched, infinite, empty or of another element type.

    Example:

    ```python
    tasks = [Task.classification("kind", 5)]
    dataset = data.from_tf_data({"train": train, "validation": validation, "test": test}, tasks)
    ```
    """
    check_splits("splits", splits)
    check_reading(cache, on_bad_example, on_disk=False)
    return open_streams(
        splits, tasks if isinstance(tasks, TaskSet) else TaskSet(tasks), image_shape, name, cache, on_bad_example
    )


def open_streams(
    splits: Mapping[str, tf.data.Dataset],
    tasks: TaskSet,
    image_shape: Sequence[int] | None,
    name: str,
    cache: str,
    on_bad_example: str,
    *,
    version: str = "tf.data",
    stamp: str = "",
    synthetic: bool = False,
) -> Dataset | DenseDataset:
    """Implements `from_tf_data`; `version`, `stamp` and `synthetic` are those of `TensorReader`."""
    images = {split: _checked_spec(split, dataset, tasks) for split, dataset in splits.items()}
    encoded = images["train"].dtype == tf.string
    for split, spec in images.items():
        if spec.dtype != images["train"].dtype:
            raise ValueError(
                f"The {split} images must be like those for training, {images['train'].dtype.name}. "
                f"Received: {spec.dtype.name}"
            )
    shape = _image_shape(images["train"], image_shape)
    kind = np.uint8 if images["train"].dtype in (tf.uint8, tf.string) else np.float32
    sizes = {split: _size(split, dataset) for split, dataset in splits.items()}
    if any(task.is_dense for task in tasks.values()):
        return dense_streams(
            splits,
            sizes,
            tasks,
            shape,
            name,
            cache,
            on_bad_example,
            version=version,
            stamp=stamp,
            synthetic=synthetic,
        )
    recipe = recipe_from_tasks(name, tasks, shape, image_dtype=kind)
    if _passes_differ(splits["train"]):
        warnings.warn(
            f"Dataset {name}: two passes over the training examples differ, so nothing is cached, and a resumed run "
            "sees other batches than an uninterrupted one. Shuffle and augment with `batches` instead.",
            stacklevel=3,
        )
        cache = "none"
    examples = {split: _examples(split, dataset, recipe, encoded) for split, dataset in splits.items()}
    reader = TensorReader(examples, sizes, recipe.fields, encoded, version, stamp, synthetic)
    return Dataset(name, version, synthetic, tasks, recipe.image_shape, recipe, reader, cache, on_bad_example)


def _checked_spec(split: str, dataset: tf.data.Dataset, tasks: TaskSet) -> tf.TensorSpec:
    """Returns the spec of the images of a split; raises a ValueError for invalid images or labels."""
    spec = getattr(dataset, "element_spec", None)
    if not isinstance(spec, tuple) or len(spec) != 2 or not isinstance(spec[1], Mapping):
        raise ValueError(
            f"splits[{split!r}] must be a tf.data.Dataset of (image, {{task: label}}). Received: {spec or dataset!r}"
        )
    image, labels = spec
    rank = 0 if image.dtype == tf.string else 3
    if image.dtype not in (tf.string, tf.uint8) and not image.dtype.is_floating:
        raise ValueError(
            f"images of splits[{split!r}] must be uint8, floats or JPEG or PNG bytes. Received: {image.dtype.name}"
        )
    if image.shape.rank not in (None, rank):
        raise ValueError(
            f"splits[{split!r}] must give examples one by one, images of rank {rank}: `.unbatch()` a dataset of "
            f"batches. Received: {image.shape}"
        )
    for task in tasks_with_labels(tasks):
        if task.name not in labels:
            raise unknown_value(f"task, which has no label in splits[{split!r}]", task.name, labels)
        _check_label(split, task, labels[task.name])
    return image


def _check_label(split: str, task: Task, label: tf.TensorSpec) -> None:
    if task.is_dense:
        if label.dtype == tf.string or label.shape.rank not in (None, 2, 3):
            raise ValueError(
                f"labels of task {task.name!r} in splits[{split!r}] must be numbers (height, width) or (height, width, "
                f"channels). Received: {label.dtype.name} {label.shape}"
            )
        return
    fits = label.dtype.is_integer or (task.head != "classification" and label.dtype.is_floating)
    if not fits and not (label.dtype == tf.bool and task.head == "binary"):
        expected = "integers" if task.head == "classification" else "numbers"
        raise ValueError(
            f"labels of task {task.name!r} in splits[{split!r}] must be {expected}. Received: {label.dtype.name}"
        )
    numbers = len(label_fields(task))
    if label.shape.is_fully_defined() and label.shape.num_elements() != numbers:
        raise ValueError(
            f"labels of task {task.name!r} in splits[{split!r}] must be of {numbers} number(s). Received: {label.shape}"
        )


def _image_shape(image: tf.TensorSpec, wanted: Sequence[int] | None) -> Sequence[int]:
    if wanted is not None:
        return wanted
    if image.dtype == tf.string or not image.shape.is_fully_defined():
        raise ValueError(
            f"`image_shape` (height, width, channels) is needed for images of unknown shape. Received: {image}"
        )
    return image.shape.as_list()


def _size(split: str, dataset: tf.data.Dataset) -> int:
    size = int(dataset.cardinality())
    if size == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"splits[{split!r}] must end: do not `.repeat()` it. Received: a dataset without end")
    if size == tf.data.UNKNOWN_CARDINALITY:
        size = int(dataset.reduce(np.int64(0), lambda count, *_: count + 1))
    if not size:
        raise ValueError(f"splits[{split!r}] must have examples. Received: none")
    return size


def _passes_differ(dataset: tf.data.Dataset) -> bool:
    """Returns whether the first examples of two passes differ."""
    passes = [itertools.islice(dataset.as_numpy_iterator(), _PROBED) for _ in range(2)]
    return any(_bytes(one) != _bytes(other) for one, other in zip(*passes, strict=True))


def _bytes(example: Any) -> list[bytes]:
    return [np.asarray(part).tobytes() for part in tf.nest.flatten(example)]


@tf.autograph.experimental.do_not_convert
def _examples(split: str, dataset: tf.data.Dataset, recipe: Recipe, encoded: bool) -> tf.data.Dataset:
    """Returns examples in the form of `TensorReader`."""

    def example(image: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.name_scope(scope(recipe.name, split)):
            vectors = [
                tf.reshape(tf.cast(labels[task.name], tf.float32), (len(label_fields(task)),))
                for task in tasks_with_labels(recipe.tasks)
            ]
            vector = tf.concat([tf.zeros(0), *vectors], axis=0)
            return {"image": image if encoded else _to_image_shape(image, recipe), "labels": vector}

    return dataset.map(example, tf.data.AUTOTUNE, deterministic=True)


def _to_image_shape(image: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Returns an image in the model's input shape; fails for floats outside [0, 1]."""
    if image.dtype.is_floating:
        image = tf.cast(image, tf.float32)
        least, greatest = tf.reduce_min(image), tf.reduce_max(image)
        numbers = [tf.strings.as_string(number, shortest=True) for number in (least, greatest)]
        text = tf.strings.join(["an image has values outside 0 to 1: from ", numbers[0], " to ", numbers[1]])
        with tf.control_dependencies([tf.debugging.Assert((least >= 0) & (greatest <= 1), [text])]):
            image = tf.identity(image)
    known = image.shape.rank is not None and image.shape.is_fully_defined()
    if known and image.shape == recipe.image_shape:
        return image
    channels = recipe.image_shape[2]
    if image.shape.rank is not None and image.shape[2] not in (None, channels):
        raise ValueError(f"images must have {channels} channels, as `image_shape` says. Received: {image.shape}")
    return recipe.frame(tf.ensure_shape(image, (None, None, channels)))
