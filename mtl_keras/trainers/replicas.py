"""What the replicas of a step tell each other, so that the batch that counts is that of all of them together.

Every function here does nothing, and adds nothing to the graph, where there is one replica.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from mtl_keras.trainers.scope import batch_size


def count() -> int:
    """Returns how many replicas take the step together."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def summed(values: Sequence[Any]) -> list[Any]:
    """Returns the sums over all replicas of tensors; `None` stays `None`.

    Args:
        values: tensors of the same shapes on all replicas, or `None`.
    """
    known = [value for value in values if value is not None]
    if count() == 1 or not known:
        return list(values)
    found = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, known))
    return [value if value is None else next(found) for value in values]


def exchange(
    gradients: Sequence[Any], moved: Iterable[keras.Variable], statistics: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """Returns the sums over all replicas of gradients and of statistics, all in one message.

    Args:
        gradients: this replica's shares; `None` stays `None`.
        moved: variables that each replica moved by its own samples. Those of floats, moving statistics, get their mean
            over the replicas; seeds of random numbers move on all of them alike.
        statistics: of this replica's samples.
    """
    if count() == 1:
        return list(gradients), list(statistics)
    averages = [variable for variable in moved if "float" in str(variable.dtype)]
    found = iter(summed([*gradients, *(share(variable.value) for variable in averages), *statistics]))
    sums = [next(found) for _ in gradients]
    for variable in averages:
        variable.assign(next(found))
    return sums, list(found)


def filled(data: Any) -> tuple[Any, Any]:
    """Returns a batch that is not empty, and whether it counts: a scalar boolean, `None` for "yes".

    The last batch of an epoch may be too small for all replicas. One that has no sample is given one of zeros, which
    layers can work with, and which has no part in losses and metrics.

    Args:
        data: the replica's part of a batch.
    """
    if count() == 1:
        return data, None
    missing = tf.cast(batch_size(data) == 0, tf.int32)

    def padded(part: Any) -> Any:
        return None if part is None else tf.pad(part, [[0, missing], *([0, 0] for _ in part.shape[1:])])

    return keras.tree.map_structure(padded, data), missing == 0


def counting(active: Any, there: Any, tasks: int) -> Any:
    """Returns whose samples count in this replica's part of a batch: `(tasks,)` booleans, `None` for everybody's.

    Args:
        active: `(tasks,)` booleans: which tasks run; `None` for all.
        there: from `filled`.
        tasks: how many there are.
    """
    if there is None:
        return active
    return tf.fill([tasks], there) if active is None else tf.logical_and(active, there)


def share(value: Any) -> Any:
    """Returns what a replica adds to a sum over all of them so that it becomes the mean."""
    return value if count() == 1 else value / count()


@contextmanager
def gradients_already_summed(model: Any) -> Iterator[None]:
    """Keeps an optimizer from adding up the gradients of the replicas, while a training step is run or traced.

    They have to be added up before: an optimizer of Keras does it after it has clipped, accumulated and checked them.

    Args:
        model: the compiled model.
    """
    if model.distribute_strategy.num_replicas_in_sync == 1:
        yield
        return
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    vars(optimizer)["_all_reduce_sum_gradients"] = list
    try:
        yield
    finally:
        del vars(optimizer)["_all_reduce_sum_gradients"]
