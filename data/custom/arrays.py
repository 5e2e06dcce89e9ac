"""`from_arrays`: a dataset from NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from data.custom.inference import as_text, infer_task, known_labels
from data.custom.pixel_arrays import are_pixel_labels, decode_pixels, infer_pixel_labels, stored_labels
from data.custom.pixel_columns import image_labels
from data.custom.readers import TensorReader
from data.custom.task_recipe import check_splits, label_fields, recipe_from_tasks, tasks_with_labels
from data.dataset import Dataset
from data.dense.arrays import ArraySource
from data.dense.dataset import DenseDataset
from data.dense.pixel_labels import PixelLabels, inverse_depth
from data.pipeline import CachedExamples
from data.recipe import SPLITS
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import Task, TaskSet

Labels: TypeAlias = Mapping[str, Any]
HELD_OUT: Mapping[str, float] = {"validation": 0.1, "test": 0.1}
"""Default shares of the examples held out from training."""
_SEED = 0


def from_arrays(
    images: Any,
    labels: Labels,
    tasks: TaskSet | Sequence[str | Task] | None = None,
    *,
    splits: Mapping[str, float | tuple[Any, Labels]] = HELD_OUT,
    name: str = "own",
) -> Dataset | DenseDataset:
    """Makes a dataset from arrays, which are copied.

    If labels are of pixels, the result is a `DenseDataset`.

    Args:
        images: uint8, or floats in [0, 1]: (examples, height, width, channels), or (examples, height, width) in grey.
        labels: for each task an array (examples,) of booleans, numbers or strings, or of floats (examples, numbers).
            A missing label is NaN among floats, "" or `None` among strings, and -1 among integers, unless the task is
            a regression: there -1 is a number. Labels of pixels are (examples, height, width) or (examples, height,
            width, channels), with the size of the images.
        tasks: the tasks, in order: `Task` objects, or names, whose kind is inferred from the values (see
            `data.custom.inference.infer_task`, and for pixels `data.dense.pixel_labels.infer_kind`). By default all
            names in `labels`. A `Task.reconstruction` needs no labels.
        splits: for `"validation"` and `"test"` either the share of the examples that is held out, or other
            examples `(images, labels)`. Which examples are held out depends only on the number of examples.
        name: the name used in records.

    Raises:
        ValueError: for arrays that do not fit together, invalid images or labels, or unknown tasks.

    Example:

    ```python
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
    dataset = data.from_arrays(images, {"kind": rng.integers(0, 5, 100), "age": rng.uniform(0, 80, 100)})
    ```
    """
    check_splits("splits", splits, SPLITS[1:])
    pixels = _checked_images("images", images)
    chosen, forms = _tasks(labels, tasks)
    if forms:
        return _dense_dataset(name, pixels, labels, chosen, forms, splits)
    vectors = _vectors("labels", labels, chosen, len(pixels))
    recipe = recipe_from_tasks(name, chosen, pixels.shape[1:], image_dtype=pixels.dtype.type)
    shares = {split: share for split, share in splits.items() if not isinstance(share, tuple)}
    rows = _split_rows(len(pixels), shares)
    arrays = {split: _to_tensors(pixels[rows[split]], vectors[rows[split]]) for split in rows}
    for split, others in splits.items():
        if isinstance(others, tuple):
            arrays[split] = _split_from_arrays(split, others, chosen, pixels)
    reader = TensorReader(
        {split: _examples(one) for split, one in arrays.items()},
        {split: len(one.images) for split, one in arrays.items()},
        recipe.fields,
        encoded=False,
        version="arrays",
    )
    return Dataset(name, reader.version, False, chosen, recipe.image_shape, recipe, reader, _examples=dict(arrays))


def _dense_dataset(
    name: str,
    pixels: np.ndarray,
    labels: Labels,
    tasks: TaskSet,
    forms: Mapping[str, PixelLabels],
    splits: Mapping[str, float | tuple[Any, Labels]],
) -> DenseDataset:
    """Returns a dataset with labels of pixels.

    Args:
        name: the dataset's name.
        pixels: the images, checked.
        labels: task -> labels.
        tasks: all tasks.
        forms: task -> how its labels of pixels are stored.
        splits: as in `from_arrays`.
    """
    found = _dense_labels("labels", labels, tasks, forms, pixels)
    rows = _split_rows(len(pixels), {split: share for split, share in splits.items() if not isinstance(share, tuple)})
    arrays = {
        split: (pixels[chosen], {task: values[chosen] for task, values in found.items()})
        for split, chosen in rows.items()
    }
    for split, others in splits.items():
        if isinstance(others, tuple):
            images = _other_images(split, others, pixels)
            arrays[split] = images, _dense_labels(f"splits[{split!r}]", others[1], tasks, forms, images)
    source = ArraySource(arrays, TaskSet(tasks_with_labels(tasks)))
    source.inverse_depth = inverse_depth(source.tasks)
    return DenseDataset(name, source, tasks)


def _dense_labels(
    argument: str, labels: Labels, tasks: TaskSet, forms: Mapping[str, PixelLabels], images: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the labels of images and of pixels as `DenseSource` documents them."""
    found = {}
    for task in tasks_with_labels(tasks):
        values = _labels_of(argument, labels, task, len(images))
        if task.name in forms:
            found[task.name] = decode_pixels(argument, forms[task.name], values, images)
        else:
            found[task.name] = image_labels(task, _encoded(task, values))
    return found


def _checked_images(argument: str, images: Any) -> np.ndarray:
    pixels = np.asarray(images)
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 4 or not pixels.size:
        raise ValueError(
            f"`{argument}` must be (examples, height, width, channels) or (examples, height, width), none of them 0. "
            f"Received: {np.shape(images)}"
        )
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        raise ValueError(f"`{argument}` must be uint8, or floats in [0, 1]. Received: {pixels.dtype}")
    least, greatest = float(pixels.min()), float(pixels.max())
    if not (least >= 0 and greatest <= 1):  # so that NaN is refused
        raise ValueError(
            f"`{argument}` must be uint8, or floats in [0, 1]. Received: floats from {least:g} to {greatest:g}"
        )
    return pixels.astype(np.float32)


def _tasks(labels: Labels, tasks: TaskSet | Sequence[str | Task] | None) -> tuple[TaskSet, dict[str, PixelLabels]]:
    """Returns the requested tasks, and how the labels of dense tasks are stored.

    Infers the kind of tasks that are given by name from their labels.
    """
    if isinstance(tasks, str):
        raise ValueError(f"`tasks` must be a TaskSet, or a list of names and tasks. Received: tasks={tasks!r}")
    wanted: list[str | Task] = list(
        tasks.values() if isinstance(tasks, TaskSet) else labels if tasks is None else tasks
    )
    found = []
    forms: dict[str, PixelLabels] = {}
    for task in wanted:
        given = isinstance(task, Task)
        key = task.name if isinstance(task, Task) else task
        if isinstance(task, Task) and task.head == "reconstruction":
            if key in labels:
                raise ValueError(
                    f"Task {key!r} reconstructs the image, which is its label. Received: labels of shape "
                    f"{np.shape(labels[key])}"
                )
        elif key not in labels:
            raise unknown_value("task" if not given else "task, which has no array in `labels`", key, labels)
        elif isinstance(task, Task) and task.head == "binary" and _are_signs(_array(labels[key])):
            raise ValueError(f"labels of task {key!r} must be 0 and 1; -1 is a missing label. Received: -1 and 1")
        if isinstance(task, Task):
            if task.is_dense:
                forms[key] = stored_labels(task, _array(labels[key]))
            found.append(task)
        elif are_pixel_labels(_array(labels[key])):
            forms[key] = infer_pixel_labels(key, _array(labels[key]))
            found.append(forms[key].task)
        else:
            found.append(infer_task(key, _array(labels[key])))
    return TaskSet(found), forms


def _are_signs(values: np.ndarray) -> bool:
    """Returns whether labels are -1 and 1, which are probably meant as 0 and 1."""
    return values.dtype.kind in "if" and np.array_equal(np.unique(values), (-1, 1))


def _vectors(argument: str, labels: Labels, tasks: TaskSet, count: int) -> np.ndarray:
    """Returns float32 (examples, numbers): the labels of all tasks, side by side."""
    columns = [np.zeros((count, 0), np.float32)]
    columns += [_encoded(task, _labels_of(argument, labels, task, count)) for task in tasks_with_labels(tasks)]
    return np.concatenate(columns, axis=1)


def _labels_of(argument: str, labels: Labels, task: Task, count: int) -> np.ndarray:
    if task.name not in labels:
        raise unknown_value(f"task, which has no array in `{argument}`", task.name, labels)
    values = _array(labels[task.name])
    if not values.ndim or len(values) != count:
        raise ValueError(
            f"`{argument}` must have as many entries as there are images, {count}. Received: {task.name} {values.shape}"
        )
    return values


def _encoded(task: Task, values: np.ndarray) -> np.ndarray:
    column = encode_labels(task, values)
    if column.shape[1] != len(label_fields(task)):
        raise ValueError(f"labels of task {task.name!r} must be (examples,). Received: {values.shape}")
    return column


def _array(values: Any) -> np.ndarray:
    """Returns an array; numbers mixed with `None` become floats, with NaN for `None`."""
    array = np.asarray(values)
    if array.dtype == object and all(value is None or isinstance(value, Real) for value in array.flat):
        return array.astype(np.float64)
    return array


def _split_rows(count: int, shares: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the indices of each split's examples, in order: `shares` of them, and the rest for training."""
    for split, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, Real) or not 0 < float(share) < 1:
            raise ValueError(
                f"`splits` must map each split to a share between 0 and 1, or to a tuple (images, labels). "
                f"Received: {split}={share!r}"
            )
    sizes = {split: round(count * share) for split, share in shares.items()}
    sizes = {"train": count - sum(sizes.values()), **sizes}
    for split, size in sizes.items():
        if size < 1:
            raise ValueError(f"`splits` leaves no example for {split}, of {count}. Received: splits={dict(shares)!r}")
    # The numbers of this generator are the same in all versions of NumPy.
    order = np.random.RandomState(_SEED).permutation(count)
    bounds = np.cumsum(list(sizes.values()))[:-1]
    return {split: np.sort(rows) for split, rows in zip(sizes, np.split(order, bounds))}


def _split_from_arrays(split: str, others: tuple[Any, ...], tasks: TaskSet, like: np.ndarray) -> CachedExamples:
    """Returns a split from separate arrays."""
    pixels = _other_images(split, others, like)
    return _to_tensors(pixels, _vectors(f"splits[{split!r}]", others[1], tasks, len(pixels)))


def _other_images(split: str, others: tuple[Any, ...], like: np.ndarray) -> np.ndarray:
    """Returns the images of a tuple (images, labels), checked to be like those for training."""
    if len(others) != 2 or not isinstance(others[1], Mapping):
        raise ValueError(
            f"`splits` must map {split} to a share, or to a tuple (images, labels). "
            f"Received: a tuple of {', '.join(type(part).__name__ for part in others)}"
        )
    pixels = _checked_images(f"splits[{split!r}]", others[0])
    if (pixels.dtype, pixels.shape[1:]) != (like.dtype, like.shape[1:]):
        raise ValueError(
            f"The {split} images must be like those for training, {like.dtype} {like.shape[1:]}. "
            f"Received: {pixels.dtype} {pixels.shape[1:]}"
        )
    return pixels


def _to_tensors(pixels: np.ndarray, vectors: np.ndarray) -> CachedExamples:
    with tf.device("cpu"):
        return CachedExamples(tf.constant(pixels), tf.constant(vectors))


def _examples(arrays: CachedExamples) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices({"image": arrays.images, "labels": arrays.vectors})


def encode_labels(task: Task, values: np.ndarray) -> np.ndarray:
    """Returns labels as numbers.

    Args:
        task: classification, binary or regression.
        values: (examples,) or (examples, numbers): booleans, numbers, or strings from the task's `labels`.

    Returns:
        float32 (examples, numbers): class indices and 0 or 1, -1 where missing; real numbers, NaN where missing.

    Raises:
        ValueError: for labels that are invalid for the task.
    """
    if len(values):
        known_labels(task.name, values, numbers=task.head == "regression")
    if task.head == "regression":
        return _encode_numbers(task, values)
    choices = task.labels or tuple(map(str, range(task.shape[-1])))
    if values.dtype.kind in "USO":
        return _encode_words(task, values, choices)
    flat = values.reshape(len(values), -1)
    if flat.shape[1] != 1:
        raise ValueError(f"labels of task {task.name!r} must be (examples,). Received: {values.shape}")
    encoded = np.nan_to_num(flat.astype(np.float64), nan=-1.0)
    classes = 2 if task.head == "binary" else task.shape[-1]
    wrong = np.flatnonzero(~np.isin(encoded, np.arange(-1, classes)))
    if len(wrong):
        raise ValueError(
            f"labels of task {task.name!r} must be whole numbers from 0 to {classes - 1}, or missing (-1 or NaN). "
            f"Received: {encoded[wrong[0], 0]:g} at example {wrong[0]}"
        )
    return encoded.astype(np.float32)


def _encode_words(task: Task, values: np.ndarray, choices: tuple[str, ...]) -> np.ndarray:
    """Returns the indices of strings; for a binary task their case is ignored."""
    fold = str.lower if task.head == "binary" else str
    index = {fold(choice): number for number, choice in enumerate(choices)} | {"": -1}
    texts = as_text(values).tolist()
    for text in texts:
        if fold(text) not in index:
            raise unknown_value(f"label of task {task.name!r}", text, choices)
    return np.array([index[fold(text)] for text in texts], np.float32)[:, np.newaxis]


def _encode_numbers(task: Task, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"labels of task {task.name!r} must be numbers. Received: {values.dtype}")
    flat = values.reshape(len(values), -1)
    if flat.shape[1:] != task.shape:
        raise ValueError(
            f"labels of task {task.name!r} must be (examples, {task.shape[-1]}), as the task's shape says. "
            f"Received: {values.shape}"
        )
    return flat.astype(np.float32)
