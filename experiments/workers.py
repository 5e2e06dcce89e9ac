"""`Workers`: the processes that train a network together, this one among them."""

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

from mtl_keras import distribution
from mtl_keras.serialization import unknown_value


@dataclass(frozen=True)
class Workers:
    """Who trains, and which part of it is this process's.

    Args:
        strategy: spreads training; `None` for this process alone, as Keras does it.
    """

    strategy: tf.distribute.Strategy | None = None

    @property
    def shard(self) -> tuple[int, int]:
        """The number of this worker, from 0, and how many there are."""
        return distribution.workers(self.strategy) if self.strategy else (0, 1)

    @property
    def writes(self) -> bool:
        """Whether this worker writes the run's files. The others do the same work, and keep nothing."""
        return self.shard[0] == 0

    def scope(self) -> AbstractContextManager[Any]:
        """Returns the context in which the model is made."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def watched(self) -> AbstractContextManager[Any]:
        """Returns a context that says in one line that another worker ended, by `distribution.WorkerLost`."""
        return distribution.workers_watched(self.strategy) if self.strategy else contextlib.nullcontext()

    def own(self, batches: tf.data.Dataset) -> Any:
        """Returns this worker's part of batches as `fit` takes it."""
        return distribution.own_part(self.strategy, batches) if self.strategy else batches

    def wait(self) -> None:
        """Waits for the others: one that ended would look to them as one that was lost."""
        if self.strategy and self.shard[1] > 1:
            self.strategy.reduce(tf.distribute.ReduceOp.SUM, self.strategy.run(lambda: tf.ones(())), axis=None)


@functools.cache
def gather(distribute: str) -> Workers:
    """Returns the workers of `--distribute`; call it before anything else is done with TensorFlow.

    A process belongs to one cluster: it is asked only once.

    Args:
        distribute: `"none"` or a name of `distribution.STRATEGIES`.

    Raises:
        ValueError: for another name, or a cluster that is not described.
        distribution.WorkerLost: if the others cannot be reached.
    """
    check(distribute)
    if distribute == "none":
        return Workers()
    if distribute == "multi_worker":
        distribution.check_cluster()
        print("Waiting until all workers of TF_CONFIG are there.", file=sys.stderr)
    with _interrupted_at_once():
        return Workers(distribution.strategy(distribute))


@contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Lets Ctrl-C end the process where TensorFlow waits for others, which Python's own handler would do afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check(distribute: str) -> None:
    """Checks the name of a strategy.

    Raises:
        ValueError: for another one than those of `distribution.STRATEGIES` and `"none"`.
    """
    choices = ("none", *distribution.STRATEGIES)
    if distribute not in choices:
        raise unknown_value("value of distribute", distribute, choices)
