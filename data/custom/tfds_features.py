"""`from_tfds`: a dataset from any image dataset of TensorFlow Datasets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from data.custom.streams import open_streams
from data.custom.task_recipe import check_splits
from data.dataset import Dataset
from data.dense.dataset import DenseDataset
from data.dense.pixel_labels import NO_CLASS
from data.pipeline import check_reading
from data.reader import feature_at
from data.source import DataUnavailable, quiet
from data.tfds_reader import builder_fingerprint, is_drawn
from mtl_keras.tasks import Task, TaskSet


def from_tfds(
    dataset: str | tfds.core.DatasetBuilder,
    tasks: Sequence[str] | Mapping[str, Task | None],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    image: str = "image",
    image_shape: Sequence[int] | None = None,
    splits: Mapping[str, str] | None = None,
    cache: str = "auto",
    on_bad_example: str = "error",
) -> Dataset | DenseDataset:
    """Makes a dataset from a prepared TFDS dataset; nothing is downloaded.

    Args:
        dataset: its TFDS name, with `"/config"` and `":version"` if there are several, or its builder.
        tasks: the label features, such as `"label"` or `"attributes/Smiling"`, each with its `Task`. `None`, or a list
            of names, infers the task: a `ClassLabel` is a classification with its names, a boolean is binary, a float
            is a regression, a `LabeledImage` is a segmentation. An inferred task has the last part of the path as its
            name. A `Task.reconstruction` belongs to the feature `image`. Images and tensors (height, width, channels)
            are labels of pixels, as in `{"segmentation_mask": Task.segmentation("segmentation_mask", 4)}`; then all
            examples are read at once, into memory or with `cache="disk"` into files.
        data_dir: the TFDS directory; by default `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
        image: the feature that is the image.
        image_shape: (height, width, channels) that images are resized to; required if the feature has no fixed shape.
        splits: `"train"`, `"validation"` and `"test"` as TFDS split expressions. By default the splits of these names;
            for each missing one, a tenth is cut from the end of `"train"`.
        cache: as in `data.load`.
        on_bad_example: as in `data.load`.

    Raises:
        ValueError: for an unknown feature or split, or a feature whose task cannot be inferred.
        DataUnavailable: if the dataset is not prepared.

    Example:

    ```python
    dataset = data.from_tfds("fashion_mnist", ["label"])
    ```
    """
    check_reading(cache, on_bad_example)
    builder = _open_builder(dataset, data_dir)
    name = "".join(letter if letter.isalnum() else "_" for letter in builder.name)
    expressions = _splits(builder, splits)
    image_feature = _feature(builder, image)
    named = dict(tasks) if isinstance(tasks, Mapping) else dict.fromkeys([tasks] if isinstance(tasks, str) else tasks)
    chosen = {path: task or _infer_task(path, _feature(builder, path)) for path, task in named.items()}
    encoded = isinstance(image_feature, tfds.features.Image) and image_feature.np_dtype == np.uint8
    if image_shape is None and None not in image_feature.shape:
        image_shape = image_feature.shape
    stored = {
        split: _stored_examples(builder, expression, image, chosen, encoded=encoded)
        for split, expression in expressions.items()
    }
    stamp = builder_fingerprint(builder) + image + "".join(expressions.values())
    return open_streams(
        stored,
        TaskSet(chosen.values()),
        image_shape,
        name,
        cache,
        on_bad_example,
        version=str(builder.version),
        stamp=stamp,
        synthetic=is_drawn(builder),
    )


def _open_builder(dataset: str | tfds.core.DatasetBuilder, data_dir: str | os.PathLike[str] | None) -> Any:
    if not isinstance(dataset, str):
        builder = dataset
    else:
        root = data_dir or os.environ.get("TFDS_DATA_DIR")
        try:
            with quiet():
                builder = tfds.builder(dataset, data_dir=root, try_gcs=False)
        except tfds.core.DatasetNotFoundError as cause:
            raise DataUnavailable(
                f"TFDS has no dataset {dataset!r}, and none is prepared in {root or '~/tensorflow_datasets'}."
            ) from cause
    if not builder.is_prepared():
        raise DataUnavailable(f"{builder.name} is not in {builder.data_dir}. Prepare it with `tfds build`.")
    return builder


def _splits(builder: Any, splits: Mapping[str, str] | None) -> Mapping[str, str]:
    if splits is not None:
        check_splits("splits", splits)
        for expression in splits.values():
            if expression.split("[")[0] not in builder.info.splits:
                raise ValueError(
                    f"`splits` has an unknown TFDS split. Received: {expression!r}. "
                    f"Choices: {', '.join(builder.info.splits)}"
                )
        return splits
    held_out = [split for split in ("validation", "test") if split not in builder.info.splits]
    if not held_out:
        return {split: split for split in ("train", "validation", "test")}
    rest = {split: f"train[{100 - 10 * (place + 1)}%:{100 - 10 * place}%]" for place, split in enumerate(held_out)}
    return {"train": f"train[:{100 - 10 * len(held_out)}%]", "validation": "validation", "test": "test", **rest}


def _feature(builder: Any, path: str) -> Any:
    try:
        return feature_at(builder.info.features, path)
    except (KeyError, TypeError) as cause:
        raise ValueError(
            f"Unknown feature of {builder.name}. Received: {path!r}. Choices: {', '.join(builder.info.features)}"
        ) from cause


def _infer_task(path: str, feature: Any) -> Task:
    name = path.rpartition("/")[2]
    kind = np.dtype(feature.np_dtype).kind
    if isinstance(feature, tfds.features.ClassLabel):
        return Task.classification(name, feature.names)
    if feature.shape == () and kind == "b":
        return Task.binary(name)
    if len(feature.shape) <= 1 and kind == "f" and None not in feature.shape:
        return Task.regression(name, *feature.shape)
    if isinstance(feature, tfds.features.LabeledImage) and feature.num_classes:
        ignore = NO_CLASS if feature.num_classes <= NO_CLASS else -1
        return Task.segmentation(name, feature.names or feature.num_classes, ignore)
    advice = f", as Task.segmentation({name!r}, 4)" if len(feature.shape) == 3 else ""
    raise ValueError(
        f"`tasks` needs a Task for a feature that is neither a class label nor a boolean nor floats{advice}. "
        f"Received: {path}, {np.dtype(feature.np_dtype).name} {feature.shape}"
    )


def _stored_examples(
    builder: Any, expression: str, image: str, tasks: Mapping[str, Task], *, encoded: bool
) -> tf.data.Dataset:
    """Returns (image, {task: label}); encoded images stay encoded, since they are shuffled in that form."""
    wanted: dict[str, Any] = {}
    for path in {image, *tasks}:
        _set_at(wanted, path, True)
    skip: dict[str, Any] = {}
    if encoded:
        _set_at(skip, image, tfds.decode.SkipDecoding())
    decoders = tfds.decode.PartialDecoding(wanted, decoders=skip)
    stored = builder.as_dataset(split=expression, decoders=decoders, shuffle_files=False)

    def example(features: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        labels = {task.name: feature_at(features, path) for path, task in tasks.items() if path != image}
        return feature_at(features, image), labels

    return stored.map(example, tf.data.AUTOTUNE, deterministic=True)


def _set_at(tree: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split("/")
    for key in above:
        tree = tree.setdefault(key, {})
    tree[last] = value
