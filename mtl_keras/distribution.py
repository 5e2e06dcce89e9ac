"""Training spread over several devices or machines, by TensorFlow's own strategies.

Users start at `strategy`; `Replicas` is what a training step asks of the devices that take it together.

```python
strategy = mtl_keras.distribution.strategy("multi_worker")
with strategy.scope():
    model = ...
    model.compile(...)
with mtl_keras.distribution.workers_watched(strategy):
    model.fit(mtl_keras.distribution.own_part(strategy, batches), ...)
```
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


def _multi_worker() -> tf.distribute.Strategy:
    check_cluster()
    return tf.distribute.MultiWorkerMirroredStrategy()


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "mirrored": tf.distribute.MirroredStrategy,
    "multi_worker": _multi_worker,
}


class WorkerLost(RuntimeError):
    """Another worker ended, so that this one cannot go on."""


def strategy(name: str) -> tf.distribute.Strategy:
    """Returns a strategy; call it before anything else is done with TensorFlow.

    Args:
        name: `"mirrored"`, all GPUs of this machine (or its CPU), or `"multi_worker"`, the machines of the environment
            variable `TF_CONFIG`. With the latter it returns when all workers are there.

    Raises:
        ValueError: for another name, or a `TF_CONFIG` that does not say who is there.
        WorkerLost: if the other workers cannot be reached.
    """
    if name not in STRATEGIES:
        raise ValueError(f"distribute must be one of {', '.join(STRATEGIES)}. Received: distribute={name!r}")
    with workers_watched():
        return STRATEGIES[name]()


def check_cluster() -> None:
    """Checks that the environment variable `TF_CONFIG` says who is there, and which of them this process is.

    Raises:
        ValueError: if it does not.
    """
    text = os.environ.get("TF_CONFIG", "")
    wanted = """TF_CONFIG='{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'"""
    fault = ""
    try:
        config = json.loads(text)
        task, cluster = config["task"], config["cluster"]
        hosts = [host for job in cluster.values() for host in job]
        if int(task["index"]) not in range(len(cluster[task["type"]])):
            fault = f", which has no {task['type']} number {task['index']}"
        elif len(set(hosts)) < len(hosts):
            fault = ", in which a host stands twice"
        elif not all(str(host).rpartition(":")[2].isdecimal() for host in hosts):
            fault = ", in which a host has no port"
    except (AttributeError, ValueError, KeyError, TypeError):
        fault = ", which is not that"
    if fault:
        raise ValueError(f"distribute='multi_worker' needs {wanted}. Received: TF_CONFIG={text!r}{fault}")


def workers(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns the number of this worker, from 0, and how many there are: what `shard` of a data pipeline takes."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return 0, 1
    cluster = resolver.cluster_spec().as_dict()
    names = [(job, index) for job in ("chief", "worker") for index in range(len(cluster.get(job, ())))]
    return (names.index((resolver.task_type, int(resolver.task_id))), len(names)) if names else (0, 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this worker is the one that writes files."""
    return workers(strategy)[0] == 0


def own_part(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """Returns for `fit`, `evaluate` or `predict` what is this worker's part of each batch already.

    A dataset of whole batches needs no preparation: Keras has TensorFlow cut each of them up, but on every worker
    all of them are then read.

    Args:
        strategy: the model's.
        batches: this worker's part of each batch; all workers must have as many batches, some of which may be empty.
    """
    if workers(strategy)[1] == 1:
        return batches
    replicas = strategy.num_replicas_in_sync // workers(strategy)[1]
    pieces = batches if replicas == 1 else cut_up(batches, replicas)
    # Without a GPU there is nowhere to fetch to.
    options = tf.distribute.InputOptions(experimental_fetch_to_device=bool(tf.config.list_logical_devices("GPU")))
    return strategy.distribute_datasets_from_function(lambda context: pieces, options)


def cut_up(batches: tf.data.Dataset, pieces: int) -> tf.data.Dataset:
    """Returns each batch as so many batches after one another, whose sizes differ by one at most."""

    def pieces_of(*batch: Any) -> tf.data.Dataset:
        size = tf.shape(keras.tree.flatten(batch)[0])[0]

        def piece(number: Any) -> Any:
            start, end = size * number // pieces, size * (number + 1) // pieces
            return keras.tree.map_structure(lambda part: part[start:end], batch)

        return tf.data.Dataset.range(pieces, output_type=tf.int32).map(piece)

    cardinality = batches.cardinality()
    known = tf.where(cardinality < 0, cardinality, cardinality * pieces)  # below 0: unknown, or endless
    return batches.flat_map(pieces_of).apply(tf.data.experimental.assert_cardinality(known))


def one_replica(spec: Any) -> Any:
    """Returns the `tf.TypeSpec`s of what one replica gets, of those of a (distributed) iterator; `None` of `None`."""
    return keras.tree.map_structure(lambda part: getattr(part, "_value_specs", (part,))[0], spec)


class Replicas:
    """The replicas that take a training step together, so that the batch that counts is that of all of them.

    With one replica every method returns what it is given, and adds nothing to the graph.

    Args:
        strategy: the model's.

    Attributes:
        count: how many there are.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.count = int(strategy.num_replicas_in_sync)

    def summed(self, values: Sequence[Any]) -> list[Any]:
        """Returns the sums over all replicas of tensors of the same shapes on all of them; `None` stays `None`."""
        known = [value for value in values if value is not None]
        if self.count == 1 or not known:
            return list(values)
        found = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, known))
        return [value if value is None else next(found) for value in values]

    def exchange(
        self, gradients: Sequence[Any], moved: Iterable[keras.Variable], statistics: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Returns the sums over all replicas of gradients and of statistics, all in one message.

        Args:
            gradients: this replica's shares; `None` stays `None`.
            moved: variables that each replica moved by its own samples. Those of floats, moving statistics, get their
                mean over the replicas; seeds of random numbers move on all of them alike.
            statistics: of this replica's samples.
        """
        if self.count == 1:
            return list(gradients), list(statistics)
        averages = [variable for variable in moved if "float" in str(variable.dtype)]
        shares = (self.share(variable.value) for variable in averages)
        found = iter(self.summed([*gradients, *shares, *statistics]))
        sums = [next(found) for _ in gradients]
        for variable in averages:
            variable.assign(next(found))
        return sums, list(found)

    def filled(self, data: Any) -> tuple[Any, Any]:
        """Returns a batch that is not empty, and whether it counts: a scalar boolean, `None` for "yes".

        The last batch of an epoch may be too small for all replicas. One that has no sample is given one of zeros,
        which layers can work with, and which has no part in losses and metrics.

        Args:
            data: the replica's part of a batch.
        """
        if self.count == 1:
            return data, None
        missing = tf.cast(batch_size(data) == 0, tf.int32)

        def padded(part: Any) -> Any:
            return None if part is None else tf.pad(part, [[0, missing], *([0, 0] for _ in part.shape[1:])])

        return keras.tree.map_structure(padded, data), missing == 0

    def counting(self, active: Any, not_empty: Any, tasks: int) -> Any:
        """Returns whose samples count in this replica's part of a batch: `(tasks,)` booleans, `None` for everybody's.

        Args:
            active: `(tasks,)` booleans: which tasks run; `None` for all.
            not_empty: from `filled`.
            tasks: how many there are.
        """
        if not_empty is None:
            return active
        return tf.fill([tasks], not_empty) if active is None else tf.logical_and(active, not_empty)

    def share(self, value: Any) -> Any:
        """Returns what a replica adds to a sum over all of them so that it becomes the mean."""
        return value if self.count == 1 else value / self.count

    @contextmanager
    def gradients_already_summed(self, optimizer: Any) -> Iterator[None]:
        """Keeps an optimizer from adding up the gradients of the replicas, while a training step is run or traced.

        They have to be added up before: an optimizer of Keras does it after it has clipped, accumulated and checked
        them.
        """
        if self.count == 1 or optimizer is None:
            yield
            return
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        vars(inner)["_all_reduce_sum_gradients"] = list
        try:
            yield
        finally:
            del vars(inner)["_all_reduce_sum_gradients"]


def batch_size(data: Any) -> Any:
    """Returns the number of samples of a batch: that of its first array."""
    first = next(part for part in keras.tree.flatten(data) if part is not None)
    return tf.shape(first)[0]


@contextmanager
def workers_watched(strategy: tf.distribute.Strategy | None = None) -> Iterator[None]:
    """Raises `WorkerLost`, in one line, in place of what TensorFlow says if another worker ends.

    Args:
        strategy: says who this worker is.

    Raises:
        WorkerLost: if another worker ends.
    """
    try:
        yield
    except tf.errors.OpError as error:
        reason = _reason(error)
        if reason is None:
            raise
        who = "" if strategy is None else " (this is worker {} of {}, counted from 0)".format(*workers(strategy))
        raise WorkerLost(
            f"Another worker ended or cannot be reached{who}: start all of them again. TensorFlow's reason: {reason}"
        ) from error


def _reason(error: tf.errors.OpError) -> str | None:
    """Why workers lost each other, in one line; `None` for other errors."""
    aborted = re.search(r"ollective ops is aborted by: (.*)", str(error.message))
    if aborted:
        return aborted[1].strip().rstrip(":")
    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    return str(error.message).strip().partition("\n")[0] if isinstance(error, lost) else None
