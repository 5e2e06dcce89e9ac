"""Distributed training on several devices or machines, with TensorFlow's strategies.

Users call `strategy`. A training step uses `Replicas` to combine the results of the devices.

```python
strategy = mtl_keras.distribution.strategy("multi_worker")
with strategy.scope():
    model = ...
    model.compile(...)
with mtl_keras.distribution.detect_lost_workers(strategy):
    model.fit(mtl_keras.distribution.per_worker_dataset(strategy, batches), ...)
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
    """Another worker ended, so this one cannot continue."""


def strategy(name: str) -> tf.distribute.Strategy:
    """Returns a strategy; call it before any other use of TensorFlow.

    Args:
        name: `"mirrored"`, all GPUs of this machine (or its CPU), or `"multi_worker"`, the machines of the environment
            variable `TF_CONFIG`. The latter waits until all workers are connected.

    Raises:
        ValueError: for an unknown name, or a `TF_CONFIG` that does not describe the workers.
        WorkerLost: if the other workers cannot be reached.
    """
    if name not in STRATEGIES:
        raise ValueError(f"distribute must be one of {', '.join(STRATEGIES)}. Received: distribute={name!r}")
    with detect_lost_workers():
        return STRATEGIES[name]()


def check_cluster() -> None:
    """Checks that the environment variable `TF_CONFIG` lists the workers and says which one this process is.

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
            fault = ", in which a host occurs twice"
        elif not all(str(host).rpartition(":")[2].isdecimal() for host in hosts):
            fault = ", in which a host has no port"
    except (AttributeError, ValueError, KeyError, TypeError):
        fault = ", which does not have this form"
    if fault:
        raise ValueError(f"distribute='multi_worker' needs {wanted}. Received: TF_CONFIG={text!r}{fault}")


def workers(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """Returns the index of this worker, from 0, and the number of workers, as `shard` of a data pipeline takes them."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return 0, 1
    cluster = resolver.cluster_spec().as_dict()
    names = [(job, index) for job in ("chief", "worker") for index in range(len(cluster.get(job, ())))]
    return (names.index((resolver.task_type, int(resolver.task_id))), len(names)) if names else (0, 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this worker is the one that writes files."""
    return workers(strategy)[0] == 0


def per_worker_dataset(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Any:
    """Prepares a dataset of this worker's part of each batch for `fit`, `evaluate` or `predict`.

    A dataset of whole batches needs no preparation: TensorFlow splits each batch, but every worker then reads all
    batches.

    Args:
        strategy: the model's strategy.
        batches: this worker's part of each batch. All workers must have the same number of batches; some may be empty.
    """
    if workers(strategy)[1] == 1:
        return batches
    replicas = strategy.num_replicas_in_sync // workers(strategy)[1]
    pieces = batches if replicas == 1 else split_batches(batches, replicas)
    # Without a GPU there is no device to fetch to.
    options = tf.distribute.InputOptions(experimental_fetch_to_device=bool(tf.config.list_logical_devices("GPU")))
    return strategy.distribute_datasets_from_function(lambda context: pieces, options)


def split_batches(batches: tf.data.Dataset, pieces: int) -> tf.data.Dataset:
    """Splits each batch into `pieces` consecutive batches, whose sizes differ by one at most."""

    def split_batch(*batch: Any) -> tf.data.Dataset:
        size = tf.shape(keras.tree.flatten(batch)[0])[0]

        def piece(number: Any) -> Any:
            start, end = size * number // pieces, size * (number + 1) // pieces
            return keras.tree.map_structure(lambda part: part[start:end], batch)

        return tf.data.Dataset.range(pieces, output_type=tf.int32).map(piece)

    cardinality = batches.cardinality()
    new_cardinality = tf.where(cardinality < 0, cardinality, cardinality * pieces)  # below 0: unknown or infinite
    return batches.flat_map(split_batch).apply(tf.data.experimental.assert_cardinality(new_cardinality))


def one_replica(spec: Any) -> Any:
    """Returns one replica's `tf.TypeSpec`s from those of a (distributed) iterator; `None` stays `None`."""
    return keras.tree.map_structure(lambda part: getattr(part, "_value_specs", (part,))[0], spec)


class Replicas:
    """The replicas of a training step, which share one global batch.

    With one replica, every method returns its input unchanged and adds nothing to the graph.

    Args:
        strategy: the model's strategy.

    Attributes:
        count: number of replicas.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.count = int(strategy.num_replicas_in_sync)

    def all_reduce_sum(self, values: Sequence[Any]) -> list[Any]:
        """Returns the sums of tensors over all replicas, on which they have equal shapes; `None` stays `None`."""
        tensors = [value for value in values if value is not None]
        if self.count == 1 or not tensors:
            return list(values)
        sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tensors))
        return [value if value is None else next(sums) for value in values]

    def all_reduce_step(
        self, gradients: Sequence[Any], moved: Iterable[keras.Variable], statistics: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Returns the sums of gradients and statistics over all replicas, computed in one all-reduce.

        Args:
            gradients: this replica's gradients; `None` stays `None`.
            moved: variables that each replica updated from its own samples. Float variables (moving statistics) are set
                to their mean over the replicas; random seeds are updated identically on all replicas.
            statistics: statistics of this replica's samples.
        """
        if self.count == 1:
            return list(gradients), list(statistics)
        averages = [variable for variable in moved if "float" in str(variable.dtype)]
        shares = (self.share(variable.value) for variable in averages)
        reduced = iter(self.all_reduce_sum([*gradients, *shares, *statistics]))
        sums = [next(reduced) for _ in gradients]
        for variable in averages:
            variable.assign(next(reduced))
        return sums, list(reduced)

    def pad_empty_batch(self, data: Any) -> tuple[Any, Any]:
        """Returns a non-empty batch, and whether it counts: a scalar boolean, `None` for "yes".

        The last batch of an epoch may be too small for all replicas. A replica without samples gets one of zeros,
        which layers can process, and which does not count in losses and metrics.

        Args:
            data: the replica's part of a batch.
        """
        if self.count == 1:
            return data, None
        missing = tf.cast(batch_size(data) == 0, tf.int32)

        def padded(part: Any) -> Any:
            return None if part is None else tf.pad(part, [[0, missing], *([0, 0] for _ in part.shape[1:])])

        return keras.tree.map_structure(padded, data), missing == 0

    def counted_tasks(self, active: Any, not_empty: Any, tasks: int) -> Any:
        """Returns the tasks whose samples count in this replica's part of a batch: `(tasks,)` booleans, `None` for all.

        Args:
            active: `(tasks,)` booleans: which tasks run; `None` for all.
            not_empty: from `pad_empty_batch`.
            tasks: number of tasks.
        """
        if not_empty is None:
            return active
        return tf.fill([tasks], not_empty) if active is None else tf.logical_and(active, not_empty)

    def share(self, value: Any) -> Any:
        """Returns a replica's share of the mean over all replicas: the sum of the shares is the mean."""
        return value if self.count == 1 else value / self.count

    @contextmanager
    def gradients_already_summed(self, optimizer: Any) -> Iterator[None]:
        """Keeps an optimizer from summing gradients over the replicas while a training step is run or traced.

        They must be summed before: a Keras optimizer sums them after it has clipped, accumulated and checked them.
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
    """Returns the number of samples of a batch, from its first array."""
    first = next(part for part in keras.tree.flatten(data) if part is not None)
    return tf.shape(first)[0]


@contextmanager
def detect_lost_workers(strategy: tf.distribute.Strategy | None = None) -> Iterator[None]:
    """Raises a one-line `WorkerLost` instead of TensorFlow's error if another worker ends.

    Args:
        strategy: the strategy, from which the message gets this worker's index.

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
    """Returns in one line why the connection between workers was lost; `None` for other errors."""
    aborted = re.search(r"ollective ops is aborted by: (.*)", str(error.message))
    if aborted:
        return aborted[1].strip().rstrip(":")
    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    return str(error.message).strip().partition("\n")[0] if isinstance(error, lost) else None
