"""`Mixture`: several datasets combined into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from data import images
from data.bad_examples import Skipped
from data.dataset import (
    AnyDataset,
    BatchRequest,
    describe_missing_labels,
    describe_tasks,
    find_example_names,
    missing_labels,
)
from data.recipe import SPLITS
from mtl_keras.tasks import TaskSet


@dataclass(frozen=True, eq=False)
class Mixture(AnyDataset):
    """Several datasets combined into one; made by `data.mixed`. `AnyDataset` documents the methods.

    With `shuffle`, each batch has `counts(batch_size)` examples of each source, spread evenly over it. Each source runs
    through its own passes, each in another order and without gaps: if an epoch ends in the middle of a pass, the next
    epoch continues it. Without `shuffle`, all examples of the first source come in order, then those of the second, and
    so on.

    The label of a task that a source does not have is missing: -1 for classes, `Task.invalid` for classes of pixels,
    NaN otherwise. A reconstruction is also learned only from the sources that have the task. A worker's `shard` is cut
    from whole batches, so each worker reads all of them.

    Args:
        name: the name used in records.
        sources: the datasets by name.
        ratios: source -> its share of a training batch, relative to the others.
        tasks: the tasks of all sources, in order.
        image_shape: (height, width, channels) of the output images.
    """

    name: str
    sources: Mapping[str, AnyDataset]
    ratios: Mapping[str, float]
    tasks: TaskSet
    image_shape: tuple[int, int, int]

    def counts(self, batch_size: int) -> dict[str, int]:
        """Returns the number of examples of each source in every training batch, from the rounded ratios.

        Raises:
            ValueError: if a source would have none.
        """
        return source_counts(self.ratios, batch_size)

    def size(self, split: str) -> int:
        return sum(source.size(split) for source in self.sources.values())

    def steps(self, split: str, batch_size: int) -> int:
        """Returns the number of batches in an epoch.

        Training: as many as the longest source needs for one pass; the others start again. Validation and test: one
        pass over all examples of all sources.
        """
        if split != "train":
            return super().steps(split, batch_size)
        counts = self.counts(batch_size)
        return max(-(-source.size(split) // counts[name]) for name, source in self.sources.items())

    def skipped(self, split: str) -> Skipped:
        """Returns which examples are left out, with the names of all sources in order."""
        found = {name: source.skipped(split) for name, source in self.sources.items()}
        names = tuple(f"{name}:{example}" for name, skipped in found.items() for example in skipped.names)
        return Skipped(sum(skipped.count for skipped in found.values()), names)

    def example_names(self, split: str) -> list[str] | None:
        found = {name: find_example_names(source, split) for name, source in self.sources.items()}
        names = [f"{name}:{example}" for name, examples in found.items() for example in examples or ()]
        return names if all(examples is not None for examples in found.values()) else None

    def _epoch_size(self, split: str, batch_size: int) -> int:
        return self.steps(split, batch_size) * batch_size

    def _batches(self, request: BatchRequest) -> tf.data.Dataset:
        part = request.part
        whole = self._training_batches(request) if request.shuffle else self._single_pass(request)
        if part.count > 1:
            whole = whole.enumerate(request.first_step).map(
                lambda step, batch: part.part_of(batch, step % part.steps), tf.data.AUTOTUNE
            )
        return whole

    def label_counts(self) -> dict[str, int]:
        total = dict.fromkeys(self.tasks, 0)
        for source in self.sources.values():
            for name, count in source.label_counts().items():
                total[name] += count
        return total

    def missing_labels(self, split: str) -> dict[str, int] | None:
        total = dict.fromkeys(self.tasks, 0)
        for source in self.sources.values():
            found = missing_labels(source, split)
            if found is None:
                return None
            for name in self.tasks:
                total[name] += found.get(name, source.size(split))
        return total

    @tf.autograph.experimental.do_not_convert
    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the image in JPEG or PNG bytes (scalar string), resized to `image_shape`, float32 in [0, 1]."""
        return images.decode_to_shape(encoded, self.image_shape)

    def description(self) -> dict[str, Any]:
        sources = {name: dict(source.description()) for name, source in self.sources.items()}
        for description in sources.values():
            description.pop("tasks")  # included in the tasks of all sources
        kinds = {description["images"] for description in sources.values()}
        return {
            "name": self.name,
            "version": "mixed",
            "synthetic": any(description["synthetic"] for description in sources.values()),
            "images": kinds.pop() if len(kinds) == 1 else "mixed",
            "sizes": {split: self.size(split) for split in SPLITS},
            "image_shape": list(self.image_shape),
            "tasks": describe_tasks(self.tasks),
            **describe_missing_labels(self),
            "ratios": dict(self.ratios),
            "sources": sources,
        }

    def _training_batches(self, request: BatchRequest) -> tf.data.Dataset:
        """Returns endless training batches."""
        split, part, _, seed, first_epoch, first_step, augment = request
        counts = self.counts(part.batch_size)
        done = first_epoch * part.steps + first_step
        streams = []
        for number, (name, source) in enumerate(self.sources.items()):
            count = counts[name]
            epoch, row = divmod(done * count, source.size(split))
            step, skip = divmod(row, count)
            stream = source.batches(
                split, count, shuffle=True, seed=seed + number, first_epoch=epoch, first_step=step, augment=augment
            )
            streams.append(_from_row(stream, skip).rebatch(count))
        order = tf.constant(spread_evenly(list(counts.values())))

        def mix(*parts: Any) -> Any:
            return tf.nest.map_structure(lambda *rows: tf.gather(tf.concat(rows, axis=0), order), *parts)

        return tf.data.Dataset.zip(tuple(self._unified(streams))).map(mix, tf.data.AUTOTUNE, deterministic=True)

    def _single_pass(self, request: BatchRequest) -> tf.data.Dataset:
        """Returns one pass over all examples of all sources."""
        split, part, _, seed, _, first_step, augment = request
        passes = [
            source.batches(split, part.batch_size, seed=seed + number, augment=augment)
            for number, source in enumerate(self.sources.values())
        ]
        first, *others = self._unified(passes)
        for other in others:
            first = first.concatenate(other)
        return first.rebatch(part.batch_size).skip(first_step)

    def _unified(self, streams: Sequence[tf.data.Dataset]) -> list[tf.data.Dataset]:
        """Returns the batches of all sources with one image shape and the labels of all tasks."""
        shapes: dict[str, list[int]] = {}
        for stream in reversed(streams):
            shapes |= {name: spec.shape.as_list()[1:] for name, spec in stream.element_spec[1].items()}

        def unify(pictures: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            size = tf.shape(pictures)[:1]
            found = {
                name: unified_labels(task.head, labels.get(name), size, shapes[name], task.invalid)
                for name, task in self.tasks.items()
            }
            return _resized(pictures, self.image_shape), found

        return [stream.map(unify, tf.data.AUTOTUNE, deterministic=True) for stream in streams]


def source_counts(ratios: Mapping[str, float], batch_size: int) -> dict[str, int]:
    """Returns the number of examples of each source in a batch, rounded by the largest remainders.

    Args:
        ratios: source -> its share, relative to the others.
        batch_size: examples in a batch.

    Raises:
        ValueError: if a source would have none.
    """
    exact = np.array(list(ratios.values())) * batch_size / sum(ratios.values())
    whole = np.floor(exact).astype(int)
    # Equal remainders: the source named first wins.
    largest = np.argsort(whole - exact, kind="stable")[: batch_size - whole.sum()]
    whole[largest] += 1
    found = {name: int(count) for name, count in zip(ratios, whole)}
    for name, count in found.items():
        if count < 1:
            raise ValueError(
                f"`batch_size` is too small for an example of {name} in each batch. Received: "
                f"batch_size={batch_size!r}, ratios={dict(ratios)!r}"
            )
    return found


def spread_evenly(sizes: Sequence[int]) -> np.ndarray:
    """Returns the order that spreads consecutive groups evenly.

    Args:
        sizes: size of each group.

    Returns:
        int64 (sum of sizes,): the index of the first, second, ... element; the members of a group keep their order.
    """
    places = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return np.argsort(places, kind="stable")


def unified_labels(
    head: str, labels: tf.Tensor | None, size: tf.Tensor, shape: Sequence[int], invalid: float | None = None
) -> tf.Tensor:
    """Returns the labels of a task in the form that all sources have in common.

    Args:
        head: the task's kind. Classes become int32, with -1 for missing; all others float32, with NaN for missing.
        labels: (size, *shape); `None` for a source without the task, whose labels are all missing.
        size: (1,), the number of examples.
        shape: the shape of one label.
        invalid: for a segmentation, the label of pixels without a class; by default -1.
    """
    dtype, missing = (tf.float32, np.nan)
    if head in ("classification", "segmentation"):
        dtype, missing = tf.int32, -1 if head == "classification" or invalid is None else invalid
    if labels is None:
        filled = tf.fill(tf.concat([size, tf.constant(shape, tf.int32)], axis=0), tf.constant(missing, dtype))
        return tf.ensure_shape(filled, (None, *shape))
    numbers = tf.cast(labels, dtype)
    if labels.dtype.is_integer and head in ("binary", "mask"):
        numbers = tf.where(numbers == -1, missing, numbers)
    return tf.reshape(numbers, (-1, *shape))


def _resized(pictures: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    if pictures.shape[1:] == shape:
        return pictures
    height, width, channels = shape
    if pictures.shape[-1] != channels:
        pictures = tf.image.grayscale_to_rgb(pictures) if channels == 3 else tf.image.rgb_to_grayscale(pictures)
    return tf.clip_by_value(tf.image.resize(pictures, (height, width), antialias=True), 0, 1)


def _from_row(batches: tf.data.Dataset, row: int) -> tf.data.Dataset:
    """Returns the batches without the first `row` rows of the first batch."""

    def cut(number: tf.Tensor, batch: Any) -> Any:
        begin = tf.where(number == 0, tf.constant(row, tf.int64), 0)
        return tf.nest.map_structure(lambda rows: rows[begin:], batch)

    return batches.enumerate().map(cut) if row else batches
