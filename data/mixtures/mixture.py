"""`Mixture`: several datasets combined into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from data import images
from data.bad_examples import Skipped
from data.described import described
from data.interface import AnyDataset
from data.mixtures.filling import Filling
from data.own.recipe import SPLITS
from data.own.shares import arrangement, counts
from data.parts import Parts
from data.tracing import traced_as_written
from mtl_keras.serialization import unknown_value
from mtl_keras.tasks import TaskSet


@dataclass(frozen=True, eq=False)
class Mixture:
    """Several datasets combined into one; made by `data.mixed`. `Dataset` documents the common members.

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
        return counts(self.ratios, batch_size)

    def size(self, split: str) -> int:
        """Returns the number of examples of all sources in a split."""
        return sum(source.size(split) for source in self.sources.values())

    def steps(self, split: str, batch_size: int) -> int:
        """Returns the number of batches in an epoch.

        Training: as many as the longest source needs for one pass; the others start again. Validation and test: one
        pass over all examples of all sources.
        """
        if split != "train":
            return Parts(self.size(split), batch_size).steps
        shares = self.counts(batch_size)
        return max(-(-source.size(split) // shares[name]) for name, source in self.sources.items())

    def skipped(self, split: str) -> Skipped:
        """Returns which examples are left out, with the names of all sources in order."""
        found = {name: source.skipped(split) for name, source in self.sources.items()}
        names = tuple(f"{name}:{example}" for name, skipped in found.items() for example in skipped.names)
        return Skipped(sum(skipped.count for skipped in found.values()), names)

    @traced_as_written
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

        With `shuffle`, each batch has `counts(batch_size)` examples of each source, spread evenly over it. Each source
        runs through its own passes, each in another order and without gaps: if an epoch ends in the middle of a pass,
        the next epoch continues it. Without `shuffle`, all examples of the first source come in order, then those of
        the second, and so on.

        The label of a task that a source does not have is missing: -1 for classes, NaN otherwise. A reconstruction is
        also learned only from the sources that have the task.

        A worker's `shard` is cut from whole batches, so each worker reads all of them.

        Args:
            split: as in `Dataset.batches`.
            batch_size: as in `Dataset.batches`.
            shuffle: as in `Dataset.batches`.
            seed: as in `Dataset.batches`; the seed of each source is derived from it.
            first_epoch: as in `Dataset.batches`; an epoch has `steps` batches.
            first_step: as in `Dataset.batches`.
            augment: as in `Dataset.batches`.
            shard: as in `Dataset.batches`.

        Raises:
            ValueError: as in `Dataset.batches`, or if the batch is too small for an example of each source.
        """
        if split not in SPLITS:
            raise unknown_value("split", split, SPLITS)
        steps = self.steps(split, batch_size) if shuffle else Parts(self.size(split), batch_size).steps
        if first_epoch < 0:
            raise ValueError(f"`first_epoch` must be at least 0. Received: first_epoch={first_epoch!r}")
        if not 0 <= first_step < steps:
            raise ValueError(f"`first_step` is from 0 to {steps - 1}. Received: first_step={first_step!r}")
        if shuffle:
            parts = Parts(steps * batch_size, batch_size, *shard)
            done = first_epoch * steps + first_step
            whole = self._training_batches(split, self.counts(batch_size), done, seed, augment)
        else:
            parts = Parts(self.size(split), batch_size, *shard)
            whole = self._single_pass(split, batch_size, seed, augment).skip(first_step)
            whole = whole.apply(tf.data.experimental.assert_cardinality(steps - first_step))
        if parts.count > 1:
            whole = whole.enumerate(first_step).map(
                lambda step, batch: _between(batch, *parts.bounds(step % steps)), tf.data.AUTOTUNE
            )
        options = tf.data.Options()
        options.autotune.enabled = False
        if parts.count > 1:
            options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return whole.prefetch(tf.data.AUTOTUNE).with_options(options)

    def label_counts(self) -> dict[str, int]:
        """Returns the number of training examples of all sources with ground truth for each task, as in `Dataset`."""
        total = dict.fromkeys(self.tasks, 0)
        for source in self.sources.values():
            for name, count in source.label_counts().items():
                total[name] += count
        return total

    @traced_as_written
    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """Returns the image in JPEG or PNG bytes (scalar string), resized to `image_shape`, float32 in [0, 1]."""
        height, width, channels = self.image_shape
        image = tf.io.decode_image(encoded, channels=channels, expand_animations=False)
        image.set_shape((None, None, channels))
        return images.to_unit_range(images.resize(image, height, width))

    def description(self) -> dict[str, Any]:
        """Returns the description of the data for the record of a run, as JSON values."""
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
            "tasks": described(self.tasks),
            "ratios": dict(self.ratios),
            "sources": sources,
        }

    def _training_batches(
        self, split: str, shares: Mapping[str, int], done: int, seed: int, augment: bool
    ) -> tf.data.Dataset:
        """Returns endless training batches, without the first `done` of them."""
        streams = []
        for number, (name, source) in enumerate(self.sources.items()):
            count = shares[name]
            epoch, row = divmod(done * count, source.size(split))
            step, skip = divmod(row, count)
            stream = source.batches(
                split, count, shuffle=True, seed=seed + number, first_epoch=epoch, first_step=step, augment=augment
            )
            streams.append(_from_row(stream, skip).rebatch(count))
        filled = self._unified(streams)
        order = tf.constant(arrangement(list(shares.values())))

        def mix(*parts: Any) -> Any:
            return tf.nest.map_structure(lambda *rows: tf.gather(tf.concat(rows, axis=0), order), *parts)

        return tf.data.Dataset.zip(tuple(filled)).map(mix, tf.data.AUTOTUNE, deterministic=True)

    def _single_pass(self, split: str, batch_size: int, seed: int, augment: bool) -> tf.data.Dataset:
        """Returns one pass over all examples of all sources."""
        passes = [
            source.batches(split, batch_size, seed=seed + number, augment=augment)
            for number, source in enumerate(self.sources.values())
        ]
        first, *others = self._unified(passes)
        for other in others:
            first = first.concatenate(other)
        return first.rebatch(batch_size)

    def _unified(self, streams: Sequence[tf.data.Dataset]) -> list[tf.data.Dataset]:
        """Returns the batches of all sources with one image shape and all tasks."""
        filling = Filling(self.tasks, self.image_shape, [stream.element_spec[1] for stream in streams])
        return [stream.map(filling, tf.data.AUTOTUNE, deterministic=True) for stream in streams]


def _from_row(batches: tf.data.Dataset, row: int) -> tf.data.Dataset:
    """Returns the batches without the first `row` rows of the first batch."""

    def cut(number: tf.Tensor, batch: Any) -> Any:
        begin = tf.where(number == 0, tf.constant(row, tf.int64), 0)
        return tf.nest.map_structure(lambda rows: rows[begin:], batch)

    return batches.enumerate().map(cut) if row else batches


def _between(batch: Any, begin: tf.Tensor, end: tf.Tensor) -> Any:
    return tf.nest.map_structure(lambda rows: rows[begin:end], batch)
