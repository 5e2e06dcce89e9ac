"""`Parts`: the part of each batch that one worker gets."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Parts:
    """One worker's contiguous part of each batch of an epoch.

    The parts of all workers together are the batches that a single process would see, in order. The last batch of an
    epoch, which may be smaller, is cut as evenly as possible: if it has fewer examples than workers, some parts are
    empty. Every worker gets the same number of batches.

    Args:
        size: examples in an epoch.
        batch_size: examples in a global batch, of all workers.
        index: index of the worker, from 0.
        count: number of workers.

    Raises:
        ValueError: if the batches cannot be cut evenly, or the index is out of range.
    """

    size: int
    batch_size: int
    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1. Received: batch_size={self.batch_size!r}")
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ValueError(
                f"`shard` must be (index, count) with 0 <= index < count. Received: shard={(self.index, self.count)}"
            )
        if self.batch_size % self.count:
            raise ValueError(
                f"`batch_size` must be a multiple of the number of workers. Received: batch_size={self.batch_size}, "
                f"shard={(self.index, self.count)}"
            )

    @property
    def steps(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.size // self.batch_size)

    def whole(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the number of examples in global batch number `step` (scalar int64)."""
        return tf.minimum(tf.constant(self.batch_size, tf.int64), self.size - step * self.batch_size)

    def bounds(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the begin and end of this part in batch number `step` (scalar int64)."""
        whole = self.whole(step)
        return whole * self.index // self.count, whole * (self.index + 1) // self.count
