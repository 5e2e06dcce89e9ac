"""`DenseDataset`: images with labels for every pixel, split by split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from data import images
from data.bad_examples import Skipped
from data.dataset import AnyDataset, BatchRequest, describe_missing_labels, describe_tasks
from data.dense import augmentation
from data.dense.examples import (
    CachedDenseExamples,
    DenseExamples,
    is_in_memory,
    open_dense_examples,
)
from data.dense.labels import has_label
from data.dense.source import DenseSource
from data.dense.split import DenseSplit
from data.pipeline import check_reading
from data.recipe import SPLITS
from data.split import check_train_examples
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import TaskSet

_PARALLEL_BATCHES = 4
"""Batches read in parallel. `AUTOTUNE` would start with few, and each takes tens of MiB."""
_MAX_NAMES = 5


@dataclass(frozen=True, eq=False)
class DenseDataset(AnyDataset):
    """Images with labels for every pixel, and for whole images; `AnyDataset` documents the methods.

    A shuffled epoch is a permutation of the whole split, cached or not. `augment` magnifies, crops and flips images
    with their labels: see `data.dense.augmentation`.

    Args:
        name: the dataset's name in records: letters, digits and `_`.
        source: reads the examples.
        tasks: the tasks, in order: some of `source.tasks`, and reconstructions of the image.
        cache: `"none"` reads the files in every epoch; `"memory"` reads a split once, and keeps it; `"auto"` does so
            if it takes less than 1 GiB with its labels; `"disk"` stores decoded images and labels in files, if the
            source has to decode them, and is `"none"` otherwise.
        on_bad_example: see `data.load`.
        color_jitter: how much `augment` changes brightness, contrast and saturation, from 0 to 1.
        left_out: column of a table -> the reason why it is no task, for records.

    Raises:
        ValueError: for an unknown task, an invalid name or option, or a reconstruction of another size.
    """

    name: str
    source: DenseSource = field(repr=False)
    tasks: TaskSet
    cache: str = field(default="auto", repr=False)
    on_bad_example: str = field(default="error", repr=False)
    color_jitter: float = 0.0
    left_out: Mapping[str, str] = field(default_factory=dict, repr=False)
    image_shape: tuple[int, int, int] = field(init=False)
    version: str = field(init=False)
    synthetic: bool = field(init=False)
    _labelled: TaskSet = field(init=False, repr=False)  # the tasks that have labels in the source
    _train_examples: tuple[int | float, int] | None = field(default=None, repr=False)  # and the seed that draws them
    _readable: dict[str, DenseSplit] = field(default_factory=dict, repr=False)
    _splits: dict[str, DenseSplit] = field(default_factory=dict, init=False, repr=False)
    _examples: dict[str, DenseExamples] = field(default_factory=dict, init=False, repr=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z]\w*", self.name):
            raise ValueError(f"`name` must be a letter, then letters, digits and '_'. Received: name={self.name!r}")
        check_reading(self.cache, self.on_bad_example)
        if isinstance(self.color_jitter, bool) or not 0 <= self.color_jitter <= 1:
            raise ValueError(f"color_jitter must be from 0 to 1. Received: color_jitter={self.color_jitter!r}")
        shape = self.source.image_shape
        tasks = self.tasks.at_size(*shape[:2])
        labelled = [task for task in tasks.values() if task.head != "reconstruction"]
        for task in tasks.values():
            if task.head == "reconstruction":
                if task.shape != shape:
                    raise ValueError(f"shape of task {task.name!r} must be {shape}. Received: {task.shape}")
            elif task.name not in self.source.tasks:
                raise unknown_value("task", task.name, self.source.tasks)
            elif task.is_dense and task.shape[:2] != shape[:2]:
                raise ValueError(
                    f"labels of task {task.name!r} have the size of the images, {shape[:2]}. Received: {task.shape}"
                )
        if not labelled:
            raise ValueError(f"A dataset with labels of pixels needs one of them. Received: tasks={tasks.names}")
        found = {"tasks": tasks, "image_shape": shape, "_labelled": TaskSet(labelled)}
        for name, value in {**found, "version": self.source.version, "synthetic": self.source.synthetic}.items():
            object.__setattr__(self, name, value)

    def with_train_examples(self, amount: int | float, *, seed: int = 0) -> DenseDataset:
        """Returns this dataset with only some of its training examples; see `data.Dataset.with_train_examples`.

        Args:
            amount: number of examples, at least 1, or their share of the training split, in (0, 1).
            seed: seed of the choice.

        Raises:
            ValueError: for another amount, or if the training split has fewer examples.
        """
        check_train_examples(amount, self.size("train"))
        return replace(self, _train_examples=(amount, seed))

    def size(self, split: str) -> int:
        return self._split(split).size

    def skipped(self, split: str) -> Skipped:
        whole = np.arange(self.source.size(split)) if split in SPLITS else np.zeros(0, int)
        numbers = np.setdiff1d(whole, self._readable_split(split).numbers).tolist()
        names = tuple(self.source.example_name(split, number) for number in numbers[:_MAX_NAMES])
        return Skipped(len(numbers), names)

    def example_names(self, split: str) -> list[str] | None:
        numbers = self._split(split).numbers.tolist()
        names = [self.source.example_name(split, number) for number in numbers]
        return None if names == list(map(str, numbers)) else names

    def _batches(self, request: BatchRequest) -> tf.data.Dataset:
        split, part, shuffle, seed, first_epoch, first_step, augment = request
        if split not in self._examples:
            self._examples[split] = open_dense_examples(self._split(split), self.cache)
        examples = self._examples[split]

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            seeds = tf.stack([tf.constant(seed, tf.int64), number])
            first = tf.where(number == first_epoch, tf.constant(first_step, tf.int64), 0)
            rows = tf.range(part.size, dtype=tf.int64)
            if shuffle:
                rows = tf.random.experimental.stateless_shuffle(rows, seeds)

            def choose(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
                begin, end = part.bounds(step)
                start = step * part.batch_size
                return step, tf.random.fold_in(seeds, step), rows[start + begin : start + end]

            return tf.data.Dataset.range(first, part.steps).map(choose)

        def make_batch(step: tf.Tensor, seeds: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            pictures, labels = examples.take(rows)
            if augment:
                pictures, labels = augmentation.augment(
                    pictures,
                    labels,
                    self._labelled,
                    seeds,
                    color_jitter=self.color_jitter,
                    inverse_depth=self.source.inverse_depth,
                    whole=part.whole(step),
                    begin=part.bounds(step)[0],
                )
            pictures = images.to_unit_range(pictures)
            labels |= {name: pictures for name, task in self.tasks.items() if task.head == "reconstruction"}
            return pictures, {name: labels[name] for name in self.tasks}

        epochs = tf.data.Dataset.counter(first_epoch)
        chosen = epochs.flat_map(epoch) if shuffle else epoch(tf.constant(first_epoch, tf.int64))
        return chosen.map(make_batch, _PARALLEL_BATCHES, deterministic=True)

    def label_counts(self) -> dict[str, int]:
        if not self._counts:
            counts = dict.fromkeys(self._labelled, 0)
            for found in self._labels("train"):
                for name, labels in found.items():
                    task = self._labelled[name]
                    counts[name] += int(np.sum(labels == 1 if task.head == "binary" else has_label(task, labels)))
            self._counts.update({name: counts.get(name, self.size("train")) for name in self.tasks})
        return dict(self._counts)

    def missing_labels(self, split: str) -> dict[str, int] | None:
        counts = dict.fromkeys(self.tasks, 0)
        chosen = self._split(split)
        labelled = self.source.labelled(split)
        if labelled is not None:
            return counts | {name: int(np.sum(~labelled[name][chosen.numbers])) for name in self._labelled}
        if not (self.source.in_memory or is_in_memory(chosen, self.cache)):
            return None
        for found in self._labels(split):
            for name, labels in found.items():
                counts[name] += int(np.sum(~has_label(self._labelled[name], labels)))
        return counts

    def _labels(self, split: str) -> Iterator[dict[str, np.ndarray]]:
        """Yields the labels of a split in pieces, {task: (examples, ...)}, without those of reconstructions.

        Raises:
            ValueError: if a label cannot be read.
        """
        loaded = self._examples.get(split)
        if isinstance(loaded, CachedDenseExamples):
            return iter([{name: labels.numpy() for name, labels in loaded.labels.items()}])
        return self._split(split).labels()

    @tf.autograph.experimental.do_not_convert
    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        return images.decode_to_shape(encoded, self.image_shape)

    def description(self) -> dict[str, Any]:
        skipped = {split: self.skipped(split).count for split in SPLITS if self.on_bad_example == "skip"}
        return {
            "name": self.name,
            "version": self.version,
            "synthetic": self.synthetic,
            "images": self.source.kind,
            "sizes": {split: self.size(split) for split in SPLITS},
            "image_shape": list(self.image_shape),
            "tasks": describe_tasks(self.tasks),
            **describe_missing_labels(self),
            **({"skipped": skipped} if skipped else {}),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
        }

    def _split(self, name: str) -> DenseSplit:
        if name not in self._splits:
            split = self._readable_split(name)
            if name == "train" and self._train_examples is not None:
                amount, seed = self._train_examples
                split = split.subset(amount if isinstance(amount, int) else max(1, round(amount * split.size)), seed)
            self._splits[name] = split
        return self._splits[name]

    def _readable_split(self, name: str) -> DenseSplit:
        if name not in self._readable:
            if name not in SPLITS:
                raise unknown_value("split", name, SPLITS)
            numbers = np.arange(self.source.size(name), dtype=np.int64)
            split = DenseSplit(self.name, self.source, name, self._labelled, numbers)
            self._readable[name] = split.without_bad() if self.on_bad_example == "skip" else split
        return self._readable[name]
