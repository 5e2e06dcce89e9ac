"""`AnyDataset`: the dataset interface used by training and evaluation."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from data.bad_examples import Skipped
from mtl_keras.tasks import TaskSet


class AnyDataset(Protocol):
    """A `Dataset`, a `Mixture`, or any object with these members. `Dataset` documents them."""

    @property
    def name(self) -> str: ...

    @property
    def tasks(self) -> TaskSet: ...

    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    def size(self, split: str) -> int: ...

    def steps(self, split: str, batch_size: int) -> int: ...

    def skipped(self, split: str) -> Skipped: ...

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
    ) -> tf.data.Dataset: ...

    def label_counts(self) -> dict[str, int]: ...

    def decode(self, encoded: tf.Tensor) -> tf.Tensor: ...

    def description(self) -> dict[str, Any]: ...
