"""`Parts`: which examples of each batch one worker gets."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Parts:
    """One worker's contiguous part of each batch of an epoch.

    Together the parts of all workers are the batches that a single process would see, in order. The last batch of an
    epoch, which may be smaller, is cut as evenly as can be: where it has fewer examples than there are workers, some
    parts have none. Every worker gets as many batches.

    Args:
        size: examples in an epoch.
        batch_size: examples in a batch of all workers together.
        index: which worker, from 0.
        count: how many workers there are.

    Raises:
        ValueError: if the batches cannot be cut evenly, or there is no such worker.
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
        """How many batches make an epoch."""
        return -(-self.size // self.batch_size)

    def whole(self, step: tf.Tensor) -> tf.Tensor:
        """Returns how many examples batch number `step` (scalar int64) has for all workers together."""
        return tf.minimum(tf.constant(self.batch_size, tf.int64), self.size - step * self.batch_size)

    def bounds(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns where in batch number `step` (scalar int64) this part begins, and where it ends."""
        whole = self.whole(step)
        return whole * self.index // self.count, whole * (self.index + 1) // self.count
