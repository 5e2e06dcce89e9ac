"""`Dataset`: images and the labels of each task, split by split; `AnyDataset`: its base class."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from data.bad_examples import Skipped, skipped_examples, without_bad
from data.features import FeatureEncoder
from data.images import select, to_unit_range
from data.pipeline import (
    BatchShard,
    CachedExamples,
    Examples,
    check_start,
    is_cached,
    open_examples,
    with_pipeline_options,
)
from data.reader import Reader
from data.recipe import SPLITS, Recipe
from data.split import Split, check_train_examples
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import TaskSet

_MIN_COMPILED_VALUES = 2**14
"""Minimum number of values per image for which compiling pays off."""


class BatchRequest(NamedTuple):
    """The checked arguments of `AnyDataset.batches`; `part` is what the worker gets of each batch of an epoch."""

    split: str
    part: BatchShard
    shuffle: bool
    seed: int
    first_epoch: int
    first_step: int
    augment: bool


class AnyDataset(ABC):
    """What training and evaluation need of a dataset: base class of `Dataset` and `Mixture`.

    A dataset class of your own defines the abstract methods, and `batches`. A class without this base class works too,
    if it has these members; only `example_names`, `missing_labels` and `features` may be absent.
    """

    name: str
    """The dataset's name in records."""
    tasks: TaskSet
    """The tasks, in the requested order."""
    image_shape: tuple[int, int, int]
    """(height, width, channels); for the rows of a table it has one axis, (features,)."""
    features: FeatureEncoder | None = None
    """The encoder of the columns of a table; `None` for images."""

    @abstractmethod
    def size(self, split: str) -> int:
        """Returns how many examples a split (`"train"`, `"validation"` or `"test"`) has.

        With `data.load(on_bad_example="skip")`, only readable examples count; the first call reads the whole split.
        """

    def steps(self, split: str, batch_size: int) -> int:
        """Returns the number of batches in one pass over a split."""
        return BatchShard(self.size(split), batch_size).steps

    def skipped(self, split: str) -> Skipped:
        """Returns which examples of a split are left out: none unless `data.load(on_bad_example="skip")` is used."""
        return Skipped(0, ())

    def example_names(self, split: str) -> list[str] | None:
        """Returns the file names of a split's images, in the order of `batches` without `shuffle`.

        `None` if the images are not separate files. The names of a mixture are `source:name`.
        """
        return None

    def missing_labels(self, split: str) -> dict[str, int] | None:
        """Returns how many examples of a split have no label, for each task.

        `None` if that is not known, because the labels cannot be read without the images of a large split.
        """
        return None

    @tf.autograph.experimental.do_not_convert
    def batches(
        self,
        split: str,
        batch_size: int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        first_epoch: int = 0,
        first_step: int = 0,
        augment: bool = False,
        shard: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Returns batches (image, {task: labels}).

        Images are float32 (batch, height, width, channels) in [0, 1]; the rows of a table are float32 vectors
        (batch, features). A split cached by `data.load(cache=...)` is
        decoded on first use; any other is decoded again in every epoch. The label of a reconstruction is the image
        itself, after augmentation.

        Args:
            split: `"train"`, `"validation"` or `"test"`.
            batch_size: examples in a batch; the last one of an epoch may have fewer.
            shuffle: `False` gives one pass in a fixed order. `True` gives an endless sequence of epochs, each in its
                own order, which depends only on `seed` and the epoch number. A cached split is shuffled as a whole;
                otherwise each example is drawn from the next 16,384.
            seed: seed of the order and the augmentation.
            first_epoch: the number of the first epoch: a run resumed there sees the same batches as an uninterrupted
                run.
            first_step: the number of the first batch in that epoch; later epochs are complete.
            augment: whether to flip images at random from left to right, with the labels that depend on it; not rows.
            shard: (index, count): returns only part `index` of `count` of each batch of `batch_size` examples.
                `count` must divide `batch_size`. Parts are contiguous and equally large; all parts together are the
                batch that a single process gets. The last, smaller batch of an epoch is cut as evenly as possible; a
                part of it may have 0 examples, but every worker gets the same number of batches.

        Raises:
            ValueError: for an unknown split, an invalid number, or an image or label that cannot be read. In a split
                that is not cached, these raise `tf.errors.OpError` while iterating: see `data.explain`.
            OSError: if the decoded images cannot be written to disk.
        """
        examples = self._epoch_size(split, batch_size) if shuffle else self.size(split)
        part = BatchShard(examples, batch_size, *shard)
        check_start(first_epoch, first_step, part.steps)
        batches = self._batches(BatchRequest(split, part, shuffle, seed, first_epoch, first_step, augment))
        if not shuffle:
            # Without a known cardinality Keras warns when the data run out.
            batches = batches.apply(tf.data.experimental.assert_cardinality(part.steps - first_step))
        return with_pipeline_options(batches, part)

    def _epoch_size(self, split: str, batch_size: int) -> int:
        """Returns the number of examples in an epoch of shuffled batches."""
        return self.size(split)

    def _batches(self, request: BatchRequest) -> tf.data.Dataset:
        """Returns the batches that `batches` documents."""
        raise NotImplementedError(f"{type(self).__name__} must define `batches`.")

    @abstractmethod
    def label_counts(self) -> dict[str, int]:
        """Returns the number of training examples with ground truth for each task; for binary tasks, of positives.

        No image is decoded. These are the counts `c_t` of scheduled task dropping.
        """

    @abstractmethod
    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the image in JPEG or PNG bytes, cropped, resized and normalised as `batches` does.

        Args:
            encoded: scalar string.

        Returns:
            float32 (height, width, channels) in [0, 1]. Uses only TensorFlow operations, so that it can be exported.
        """

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Returns the description of the data for the record of a run, as JSON values.

        `images` is how they are stored: "jpeg", "png", "uint8" or "float". "jpeg" means lossy compression, even if the
        original was "png". A table has `features` instead: `FeatureEncoder.to_json`.
        """


@dataclass(frozen=True, eq=False)
class Dataset(AnyDataset):
    """A dataset with the tasks chosen from it; made by `data.load`. `AnyDataset` documents the methods.

    Args:
        name: the dataset's name.
        version: the TFDS version found, or `"files"`.
        synthetic: whether it is the synthetic look-alike.
        tasks: the tasks, in the requested order.
        image_shape: (height, width, channels); for the rows of a table it has one axis, (features,).
        features: the encoder of the columns of a table; `None` for images.

    Example:

    ```python
    dataset = data.load("fashion_mnist", tasks=["item"], synthetic=True)
    model.fit(
        dataset.batches("train", 128, shuffle=True),
        steps_per_epoch=dataset.steps("train", 128),
        validation_data=dataset.batches("validation", 128),
    )
    ```
    """

    name: str
    version: str
    synthetic: bool
    tasks: TaskSet
    image_shape: tuple[int, int, int]
    _recipe: Recipe = field(repr=False)
    _reader: Reader = field(repr=False)
    _cache: str = field(default="auto", repr=False)
    _on_bad_example: str = field(default="error", repr=False)
    _train_examples: tuple[int | float, int] | None = field(default=None, repr=False)  # and the seed that draws them
    _readable: dict[str, Split] = field(default_factory=dict, repr=False)
    _splits: dict[str, Split] = field(default_factory=dict, init=False, repr=False)
    _examples: dict[str, Examples] = field(default_factory=dict, repr=False)
    _left_out: Mapping[str, str] = field(default_factory=dict, repr=False)  # column of a table -> reason
    features: FeatureEncoder | None = field(default=None, repr=False)

    def with_train_examples(self, amount: int | float, *, seed: int = 0) -> Dataset:
        """Returns this dataset with only some of its training examples, in their stored order.

        The examples of a smaller amount are among those of a larger one with the same seed. Tasks keep what was
        inferred from the whole split, such as the mean of a regression's labels.

        Args:
            amount: number of examples, at least 1, or their share of the training split, in (0, 1).
            seed: seed of the choice.

        Raises:
            ValueError: for another amount, or if the training split has fewer examples.
        """
        check_train_examples(amount, self.size("train"))
        return replace(self, _train_examples=(amount, seed), _examples={})

    def size(self, split: str) -> int:
        return self._split(split).size

    def skipped(self, split: str) -> Skipped:
        return skipped_examples(self._readable_split(split))

    def example_names(self, split: str) -> list[str] | None:
        good = self._split(split).good
        numbers = list(range(self.size(split))) if good is None else np.flatnonzero(good).tolist()
        names = [self._reader.example_name(split, number) for number in numbers]
        if names == list(map(str, numbers)):
            return None
        # The name of a table's row begins with its line.
        return [name.rpartition(": ")[2] for name in names]

    def _batches(self, request: BatchRequest) -> tf.data.Dataset:
        split, part, shuffle, seed, first_epoch, first_step, augment = request
        self._recipe.check_augment(augment)
        if split not in self._examples:
            self._examples[split] = open_examples(self._split(split), self._cache)
        examples = self._examples[split]

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            seeds = tf.stack([tf.constant(seed, tf.int64), number])
            first = tf.where(number == first_epoch, tf.constant(first_step, tf.int64), 0)
            batches = examples.batches(part, seeds if shuffle else None, first)
            return batches.map(lambda step, *batch: (step, tf.random.fold_in(seeds, step), *batch))

        def make_batch(
            step: tf.Tensor, seeds: tf.Tensor, images: tf.Tensor, vectors: tf.Tensor
        ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            labels = self._recipe.labels(vectors)
            if augment:
                begin, end = part.bounds(step)
                flips = tf.random.stateless_uniform(part.whole(step)[tf.newaxis], seeds)[begin:end] < 0.5
                images = select(flips, tf.reverse(images, axis=[2]), images)
                mirrored = self._recipe.mirror(labels)
                labels = {name: select(flips, mirrored[name], labels[name]) for name in labels}
            images = to_unit_range(images, compiled=math.prod(self.image_shape) >= _MIN_COMPILED_VALUES)
            labels |= dict.fromkeys(self._reconstructions(), images)
            return images, {name: labels[name] for name in self.tasks}

        epochs = tf.data.Dataset.counter(first_epoch)
        batches = epochs.flat_map(epoch) if shuffle else epoch(tf.constant(first_epoch, tf.int64))
        return batches.map(make_batch, tf.data.AUTOTUNE, deterministic=True)

    def label_counts(self) -> dict[str, int]:
        counts = dict.fromkeys(self.tasks, 0)
        for found in self._labels("train"):
            for name, labels in found.items():
                known = labels == 1 if self.tasks[name].head == "binary" else _has_label(labels)
                counts[name] += int(known.sum())
        return counts | dict.fromkeys(self._reconstructions(), self.size("train"))

    def missing_labels(self, split: str) -> dict[str, int] | None:
        counts = dict.fromkeys(self.tasks, 0)
        if not self._recipe.labels_may_be_missing:
            return counts
        if not (self._reader.has_separate_labels or is_cached(self._split(split), self._cache)):
            return None
        for found in self._labels(split):
            for name, labels in found.items():
                counts[name] += int((~_has_label(labels)).sum())
        return counts

    def _labels(self, split: str) -> Iterator[dict[str, np.ndarray]]:
        """Yields the labels of a split in batches, {task: (batch, ...)}, without those of reconstructions.

        Raises:
            ValueError: if a label cannot be read.
        """
        loaded = self._examples.get(split)
        try:
            for vectors in [loaded.vectors] if isinstance(loaded, CachedExamples) else self._split(split).vectors():
                yield {name: labels.numpy() for name, labels in self._recipe.labels(vectors).items()}
        except tf.errors.OpError as error:
            raise ValueError(self._split(split).explain(error)) from error

    @tf.autograph.experimental.do_not_convert
    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        if self.features is not None:
            raise ValueError("The rows of a table are no images: encode their columns with `features`.")
        return to_unit_range(self._recipe.decode(encoded))

    def description(self) -> dict[str, Any]:
        kind = "uint8" if self._recipe.array_dtype == np.uint8 else "float"
        if self._reader.encoded:
            (first,) = self._split("train").encoded(1)
            kind = "jpeg" if tf.io.is_jpeg(first[0]) else "png"
        splits = self._recipe.splits
        skipped = {split: self.skipped(split).count for split in splits if self._on_bad_example == "skip"}
        return {
            "name": self.name,
            "version": self.version,
            "synthetic": self.synthetic,
            **({"images": kind} if self.features is None else {"features": self.features.to_json()}),
            "sizes": {split: self.size(split) for split in splits},
            "image_shape": list(self.image_shape),
            "tasks": describe_tasks(self.tasks),
            **describe_missing_labels(self),
            **({"skipped": skipped} if skipped else {}),
            **({"left_out": dict(self._left_out)} if self._left_out else {}),
        }

    def _reconstructions(self) -> list[str]:
        return [name for name, task in self.tasks.items() if task.head == "reconstruction"]

    def _split(self, name: str) -> Split:
        if name not in self._splits:
            split = self._readable_split(name)
            if name == "train" and self._train_examples is not None:
                amount, seed = self._train_examples
                split = split.subset(amount if isinstance(amount, int) else max(1, round(amount * split.size)), seed)
            self._splits[name] = split
        return self._splits[name]

    def _readable_split(self, name: str) -> Split:
        if name not in self._readable:
            if name not in self._recipe.splits:
                raise unknown_value("split", name, self._recipe.splits)
            split = Split(self._recipe, self._reader, name)
            skip = self._on_bad_example == "skip"
            self._readable[name] = without_bad(split, on_disk=self._cache == "disk") if skip else split
        return self._readable[name]


def find_example_names(dataset: AnyDataset, split: str) -> list[str] | None:
    """Returns `dataset.example_names(split)`; `None` for a class without this method."""
    return dataset.example_names(split) if hasattr(dataset, "example_names") else None


def missing_labels(dataset: AnyDataset, split: str) -> dict[str, int] | None:
    """Returns `dataset.missing_labels(split)`; `None` for a class without this method."""
    return dataset.missing_labels(split) if hasattr(dataset, "missing_labels") else None


def describe_missing_labels(dataset: AnyDataset) -> dict[str, dict[str, dict[str, int]]]:
    """Returns `{"missing_labels": {task: {split: number}}}` of the tasks with missing labels; `{}` without any.

    Splits for which the numbers are not known are left out.
    """
    known = {split: found for split in SPLITS if (found := missing_labels(dataset, split)) is not None}
    counts = {task: {split: found[task] for split, found in known.items()} for task in dataset.tasks}
    counts = {task: by_split for task, by_split in counts.items() if any(by_split.values())}
    return {"missing_labels": counts} if counts else {}


def describe_tasks(tasks: TaskSet) -> dict[str, dict[str, Any]]:
    """Returns task -> `head`, `shape` of its output, `labels` (names of classes or points); if dense, `invalid` too.

    It is part of the record of a run, so that its predictions can be read without the data.
    """
    return {
        name: {"head": task.head, "shape": list(task.shape), "labels": list(task.labels)}
        | ({"invalid": task.invalid} if task.is_dense else {})
        for name, task in tasks.items()
    }


def _has_label(labels: np.ndarray) -> np.ndarray:
    """Returns which examples have all of their labels (batch, ...), bool (batch,)."""
    known = labels >= 0 if labels.dtype.kind == "i" else np.isfinite(labels)
    result: np.ndarray = np.all(known.reshape(len(labels), -1), axis=1)
    return result
