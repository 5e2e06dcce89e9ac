"""`Workers`: the processes that train a network together, including this one."""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from experiments.config import SETTINGS
from mtl_keras import distribution


@dataclass(frozen=True)
class Workers:
    """The training processes, and this process's part.

    Args:
        strategy: the distribution strategy; `None` for this process alone, as in plain Keras.
    """

    strategy: tf.distribute.Strategy | None = None

    @property
    def shard(self) -> tuple[int, int]:
        """The index of this worker, from 0, and the number of workers."""
        return distribution.workers(self.strategy) if self.strategy else (0, 1)

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes the run's files. The others do the same work without saving it."""
        return self.shard[0] == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context in which to build the model."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def detect_lost_workers(self) -> AbstractContextManager[Any]:
        """Returns a context that raises a one-line `distribution.WorkerLost` if another worker ends."""
        return distribution.detect_lost_workers(self.strategy) if self.strategy else contextlib.nullcontext()

    def part_of(self, batches: tf.data.Dataset) -> Any:
        """Returns this worker's part of batches for `fit`."""
        return distribution.per_worker_dataset(self.strategy, batches) if self.strategy else batches

    def wait(self) -> None:
        """Waits for the other workers, which would report this one as lost if it ended first."""
        if self.strategy and self.shard[1] > 1:
            self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(lambda: tf.ones(())), axis=None)


@functools.cache
def connect_workers(distribute: str) -> Workers:
    """Returns the workers of `--distribute`. Call it before any other use of TensorFlow.

    A process belongs to one cluster, so the result is cached.

    Args:
        distribute: the setting: `"none"` or a name in `distribution.STRATEGIES`.

    Raises:
        ValueError: for another name, or a missing or invalid description of the cluster.
        distribution.WorkerLost: if the others cannot be reached.
    """
    SETTINGS["distribute"].check("distribute", distribute)
    if distribute == "none":
        return Workers()
    if distribute == "multi_worker":
        distribution.check_cluster()
        print("Waiting for all workers of TF_CONFIG.", file=sys.stderr)
    with _default_interrupt_handler():
        return Workers(distribution.strategy(distribute))


@contextmanager
def _default_interrupt_handler() -> Iterator[None]:
    """Lets Ctrl-C end the process while TensorFlow waits for other workers. Python's handler would run only later."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
