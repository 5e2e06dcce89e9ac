"""Groups of similar tasks that are computed as one matrix, with the same results as Keras' losses and metrics.

The tasks of a `TaskGroup` have the same loss configuration, kind of labels and output shape. Their losses and metrics
are computed from sums over labelled samples, with one row per task.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mtl_keras import labels
from mtl_keras.distribution import Replicas
from mtl_keras.metrics import SampleStatistics
from mtl_keras.training.graph import Unit
from mtl_keras.training.spec import TaskSpec, function_name

# Means over the last axis of distances: these and their derivatives are 0 where label and prediction are equal.
_DISTANCES = frozenset(
    "huber log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error "
    "mean_squared_logarithmic_error".split()
)

# Cross-entropy -> the activation that computes its predictions from logits.
_LOGIT_LOSSES = {
    "binary_crossentropy": "Sigmoid",
    "binary_focal_crossentropy": "Sigmoid",
    "categorical_crossentropy": "Softmax",
    "sparse_categorical_crossentropy": "Softmax",
}


@dataclass(frozen=True)
class ForwardBatch:
    """A replica's part of a batch after the forward pass.

    Args:
        units: the units that were computed.
        tensors: first task of each unit -> its tensor `(batch, ...)`.
        y: output -> labels `(batch, ...)`.
        sample_weight: output -> `(batch, ...)` weights. Outputs without an entry have the weight 1.
        checks_classes: whether class indices out of range stop the step.
    """

    units: Sequence[Unit]
    tensors: Mapping[str, Any]
    y: Mapping[str, Any]
    sample_weight: Mapping[str, Any]
    checks_classes: bool = False

    def outputs(self, tasks: Sequence[str], before: str | None = None) -> Any:
        """Returns the outputs of tasks, stacked along a task axis.

        Args:
            tasks: names of tasks that were computed.
            before: name of an activation ("Sigmoid", "Softmax"): return the inputs of this activation instead.

        Returns:
            `(batch, ...)` for one task and `(batch, tasks, ...)` for several; `None` if this activation is not the
            last operation of an output, or (in eager execution) the last operation is not known.
        """
        tensors = {
            name: tensor if before is None else _activation_input(tensor, before)
            for name, tensor in self.tensors.items()
        }
        units = {task: next(unit for unit in self.units if task in unit.tasks) for task in tasks}
        if any(tensors[unit.tasks[0]] is None for unit in units.values()):
            return None
        first = units[tasks[0]]
        if len(tasks) > 1 and first.columns is not None and all(unit is first for unit in units.values()):
            matrix = tensors[first.tasks[0]]
            rows = ops.reshape(matrix, (-1, first.shares, matrix.shape[-1] // first.shares))
            columns = [first.columns[first.tasks.index(task)] for task in tasks]
            return rows if columns == list(range(first.shares)) else ops.take(rows, columns, axis=1)
        single = [_share(unit, task, tensors[unit.tasks[0]]) for task, unit in units.items()]
        return single[0] if len(single) == 1 else ops.stack(single, axis=1)


def _share(unit: Unit, task: str, tensor: Any) -> Any:
    """Returns one task's part `(batch, ...)` of a unit's tensor."""
    if unit.columns is None:
        return tensor
    size = tensor.shape[-1] // unit.shares
    start = unit.columns[unit.tasks.index(task)] * size
    return tensor[:, start : start + size]


def _activation_input(tensor: Any, activation: str) -> Any:
    """Returns the input of the activation that computed a tensor, or `None`; searches in the same way as Keras."""
    logits = getattr(tensor, "_keras_logits", None)
    if logits is not None:
        return logits
    operation: Any = getattr(tensor, "op", None)
    return operation.inputs[0] if getattr(operation, "type", None) == activation else None


@dataclass(frozen=True)
class GroupBatch:
    """A batch of those tasks of a group that are computed.

    With one task the arrays have no task axis. The totals that are computed from them always have one.

    Args:
        tasks: the names of these tasks.
        true: labels `(batch, [tasks,] ...)`, missing ones replaced.
        pred: predictions `(batch, [tasks,] ...)`.
        logits: inputs of the sigmoid or softmax that computed the predictions, or `None` if they are not known.
        present: `(batch, [tasks,] ...)` booleans, false for missing labels and dropped tasks. In a flat batch, the
            fraction of each sample's labels that are present.
        weight: `(batch, [tasks,] ...)` sample weights, or `None`.
    """

    tasks: tuple[str, ...]
    true: Any
    pred: Any
    logits: Any
    present: Any
    weight: Any = None

    @property
    def leading(self) -> int:
        """Number of axes before those of a sample: the batch axis and, for several tasks, the task axis."""
        return 1 if len(self.tasks) == 1 else 2

    def flat(self) -> GroupBatch | None:
        """Returns the batch with the axes of each sample flattened to one, or `None` if that is not possible or needed.

        A mean over one long axis is many times faster than a mean over a short axis (such as three channels) and then
        over the others. Missing labels add 0 to it: it is the mean over the present labels times their fraction.
        """
        own = self.pred.shape[self.leading :]
        weighted = self.weight is not None and len(self.weight.shape) > self.leading
        if tuple(self.true.shape) != tuple(self.pred.shape) or len(own) < 2 or None in own or weighted:
            return None

        def flattened(array: Any) -> Any:
            return ops.reshape(array, (*ops.shape(array)[: self.leading], math.prod(array.shape[self.leading :])))

        share = ops.mean(ops.cast(flattened(self.present), self.pred.dtype), axis=-1)
        return replace(self, true=flattened(self.true), pred=flattened(self.pred), logits=None, present=share)

    def mask(self, rank: int) -> Any:
        """Returns which values count, with `rank` axes: a value counts if all labels that belong to it are present."""
        mask = self.present
        while len(mask.shape) > rank:
            mask = ops.all(mask, axis=-1)
        return expand(mask, rank)

    def mean_totals(self, values: Any, weight: Any = None, counted: Any = None) -> Any:
        """Returns `(tasks, 2)`: the sum of the values over labelled samples, and the number of these samples.

        The values of each sample (such as those of its pixels) are averaged first, so that each sample counts once.

        Args:
            values: `(batch, [tasks,] ...)`.
            weight: `(batch, [tasks,] ...)` weights of the values.
            counted: `(batch, [tasks,] ...)` weights of the samples in their number.
        """
        rank = len(values.shape)
        count = ops.cast(self.mask(rank), values.dtype)
        labelled = count > 0
        if weight is not None:
            values = values * expand(weight, rank)
        if counted is not None:
            count = count * expand(counted, rank)
        values = ops.where(labelled, values, ops.zeros_like(values))
        return ops.stack([self._sum(values), self._sum(count)], axis=-1)

    def statistics_totals(self, statistics: Any, weight: Any = None) -> Any:
        """Sums `(batch, [tasks,] ..., statistics)` over labelled samples to `(tasks, statistics)`."""
        rank = len(statistics.shape)
        mask = self.mask(rank - 1)[..., None]
        if weight is not None:
            statistics = statistics * expand(weight, rank)
        labelled = ops.where(mask, statistics, ops.zeros_like(statistics))
        own = list(range(self.leading, rank - 1))
        summed = ops.sum(ops.mean(labelled, axis=own) if own else labelled, axis=0)
        return ops.reshape(summed, (len(self.tasks), statistics.shape[-1]))

    def _sum(self, array: Any) -> Any:
        """Returns the sums `(tasks,)` over samples, after a mean over the axes of each sample."""
        own = list(range(self.leading, len(array.shape)))
        return ops.reshape(ops.sum(ops.mean(array, axis=own) if own else array, axis=0), (len(self.tasks),))


def expand(array: Any, rank: int) -> Any:
    """Adds axes of size 1 at the end until `array` has `rank` axes."""
    while len(array.shape) < rank:
        array = array[..., None]
    return array


@dataclass(frozen=True)
class LossPart:
    """The losses of some tasks in a replica's part of a batch.

    Args:
        totals: `(tasks, 2)`: sum of the losses of samples, and number of these samples. The quotient is the loss.
        trained: `(tasks,)` values to differentiate instead of the losses, for losses that are sums over the batch.
    """

    totals: Any
    trained: Any = None


def trained_part(tasks: Sequence[str], batch: Any, part: LossPart, totals: Any) -> Any:
    """Returns this replica's part of the losses `(tasks of the batch,)`; `totals` `(tasks, 2)` are of all replicas."""
    if part.trained is not None:
        return part.trained
    # The gradient of the counts is 0, but computing it would take a backward pass through the heads of all tasks.
    counts = tf.stop_gradient(tf.gather(totals[:, 1], [tasks.index(task) for task in batch.tasks]))
    return tf.math.divide_no_nan(part.totals[:, 0], counts)


class TaskGroup:
    """Computes the losses and metrics of similar tasks together, from sums over samples.

    Args:
        specs: the specifications of the tasks, all with the same `TaskSpec.key`.
    """

    def __init__(self, specs: Sequence[TaskSpec]) -> None:
        self.tasks = tuple(spec.name for spec in specs)
        self.has_loss = True
        self.loss = specs[0].losses[0][0]
        # For each metric: its name, the metric object of each task, and whether it is weighted.
        each = [spec.split_metrics()[0] for spec in specs]
        self.metrics = [
            (entries[0][0], [metric for _, metric, _ in entries], entries[0][2]) for entries in zip(*each, strict=True)
        ]
        self.class_indices = specs[0].loss_name.startswith("sparse_")
        self._minus_one = specs[0].minus_one
        # Missing labels are replaced by predictions, so that they add nothing to a distance.
        self._fills = specs[0].loss_name in _DISTANCES
        self._specs = {spec.name: spec for spec in specs}

    @property
    def statistics_sizes(self) -> list[int]:
        """Number of statistics per task, for each summed metric."""
        shape = tuple(next(iter(self._specs.values())).output.shape[1:])
        firsts = [metrics[0] for _, metrics, _ in self.metrics]
        return [metric.size(shape) if isinstance(metric, SampleStatistics) else 2 for metric in firsts]

    def batch(self, tasks: Sequence[str], forward: ForwardBatch, active: Any = None) -> GroupBatch:
        """Stacks the labels, predictions and sample weights of some of the group's tasks.

        Args:
            tasks: the tasks that are computed.
            forward: labels, outputs and weights.
            active: `(tasks,)` booleans, or `None` if all are active. All labels of other tasks count as missing.
        """
        pred = ops.cast(forward.outputs(tasks), self.loss.dtype)
        each = [pred] if len(tasks) == 1 else [pred[:, i] for i in range(len(tasks))]
        aligned = [labels.align(forward.y[task], p, class_indices=self.class_indices) for task, p in zip(tasks, each)]
        true = aligned[0] if len(tasks) == 1 else ops.stack(aligned, axis=1)
        fill = ops.stop_gradient(pred) if self._fills else None
        true, present = labels.separate(true, minus_one=self._minus_one, by_vector=True, fill=fill)
        if forward.checks_classes and self.class_indices:
            true = checked_classes(true, pred.shape[-1], tasks)
        if active is not None:
            own = [1] * (len(present.shape) - 1)  # axes other than those of the batch and the tasks
            present = ops.logical_and(present, ops.reshape(active, [1, *own] if len(tasks) == 1 else [1, -1, *own[1:]]))
        weight = None
        if any(task in forward.sample_weight for task in tasks):
            unit = ops.ones(ops.shape(pred)[:1], pred.dtype)
            given = [ops.cast(forward.sample_weight.get(task, unit), pred.dtype) for task in tasks]
            weights = [labels.align(w, p, class_indices=True) for w, p in zip(given, each)]
            weight = weights[0] if len(tasks) == 1 else ops.stack(weights, axis=1)
        return GroupBatch(tuple(tasks), true, pred, self._logits(tasks, forward), present, weight)

    def _logits(self, tasks: Sequence[str], forward: ForwardBatch) -> Any:
        """Returns the logits of the predictions, or `None` if the loss does not need them or they are not known.

        Cross-entropies of probabilities close to 0 or 1 are exact only if they are computed from logits. Keras itself
        finds the logits of an output, but not those of stacked or split outputs.
        """
        activation = _LOGIT_LOSSES.get(function_name(self.loss))
        if activation is None or self.loss._fn_kwargs.get("from_logits"):
            return None
        logits = forward.outputs(tasks, before=activation)
        return None if logits is None else ops.cast(logits, self.loss.dtype)

    def loss_part(self, batch: GroupBatch, training: bool, replicas: Replicas) -> LossPart:
        """Returns the losses of the tasks. Class weights are used in training only."""
        tables = [self._specs[task].class_weight or {} for task in batch.tasks]
        weighs_classes = training and any(tables)
        if not weighs_classes:
            batch = self._flat_for(self.loss, batch)
        true = ops.cast(batch.true, self.loss.dtype)
        if batch.logits is None:
            values = self.loss.call(true, batch.pred)
        else:
            values = self.loss.fn(true, batch.logits, **{**self.loss._fn_kwargs, "from_logits": True})
        if len(values.shape) == 0:
            values = ops.broadcast_to(values, ops.shape(batch.pred)[:1])
        weight = batch.weight
        if weighs_classes:
            classes = batch.true if self.class_indices else single_class(batch.true)
            class_weight = class_weights(classes, tables)
            weight = class_weight if weight is None else class_weight * expand(weight, len(class_weight.shape))
        counted = weight if self.loss.reduction == "mean_with_sample_weight" else None
        return LossPart(batch.mean_totals(values, weight, counted))

    def metric_totals(self, batch: GroupBatch) -> list[Any]:
        """Returns, for each summed metric, `(tasks, statistics)`."""
        return [
            self._metric_totals(metrics[0], weighted, self._flat_for(metrics[0], batch))
            for _, metrics, weighted in self.metrics
        ]

    def _metric_totals(self, metric: Any, weighted: bool, batch: GroupBatch) -> Any:
        weight = batch.weight if weighted else None
        if isinstance(metric, SampleStatistics):
            statistics = metric.statistics(batch.true, batch.pred)
            return batch.statistics_totals(ops.cast(statistics, self.loss.dtype), weight)
        values = ops.cast(metric._fn(batch.true, batch.pred, **metric._fn_kwargs), self.loss.dtype)
        if len(values.shape) == 0:
            values = ops.broadcast_to(values, ops.shape(batch.pred)[:1])
        return batch.mean_totals(values, weight, weight)

    def _flat_for(self, loss_or_metric: keras.losses.Loss | keras.metrics.Metric, batch: GroupBatch) -> GroupBatch:
        """Returns the flat batch if a loss or metric has the same result on it, which is faster; else the batch."""
        flat = batch.flat() if self._fills and function_name(loss_or_metric) in _DISTANCES else None
        return flat or batch

    def metric_values(self, totals: Sequence[Any]) -> list[Any]:
        """Returns, for each summed metric, its `(tasks,)` values; NaN for a task without a labelled sample."""
        return [
            metrics[0].value(total) if isinstance(metrics[0], SampleStatistics) else total[:, 0] / total[:, 1]
            for (_, metrics, _), total in zip(self.metrics, totals)
        ]


def single_class(labels: Any) -> Any:
    """Returns the class indices `(batch, ...)` of labels `(batch, ..., classes)`; a last axis of size 1 is removed."""
    return labels[..., 0] if labels.shape[-1] == 1 else ops.argmax(labels, axis=-1)


def class_weights(classes: Any, tables: Sequence[Mapping[int, float]]) -> Any:
    """Returns the class weight of each label. As in Keras, labels are rounded, and classes without a weight have 1.

    Args:
        classes: labels `(batch, ...)` of one task, or `(batch, tasks, ...)` of several.
        tables: for each task, class -> weight.
    """
    known = sorted(set().union(*tables))
    values = np.array([[table.get(index, 1.0) for index in known] for table in tables], "float32")
    if len(tables) > 1:
        values = values.reshape(len(tables), *[1] * (len(classes.shape) - 2), len(known))
    found = ops.equal(ops.round(ops.cast(classes, "float32"))[..., None], np.array(known, "float32"))
    weights = ops.sum(ops.where(found, values, 0.0), axis=-1)
    return ops.where(ops.any(found, axis=-1), weights, 1.0)


def checked_classes(true: Any, classes: int, tasks: Sequence[str]) -> Any:
    """Returns class indices whose computation fails if one of them is out of range.

    Args:
        true: class indices `(batch, [tasks,] ...)`, none missing.
        classes: number of classes.
        tasks: names of the tasks, in the order of the task axis.

    Raises:
        tf.errors.InvalidArgumentError: naming the task, the label and the index of the example in the batch.
    """
    indices = tf.cast(true, tf.int32)
    outside = tf.logical_or(indices < 0, indices >= classes)

    def fault() -> tf.Operation:
        place = tf.argmax(tf.reshape(tf.cast(outside, tf.int32), (-1,)))
        each = tf.size(outside, tf.int64) // tf.cast(tf.shape(outside)[0], tf.int64)
        inner = each // len(tasks)
        task = tf.gather(tf.constant(list(tasks)), place % each // inner)
        label = tf.gather(tf.reshape(indices, (-1,)), place)
        texts = [f"is not one of its {classes} classes, 0 to {classes - 1}, at example", "of the batch. Received:"]
        data = ["The label of task", task, texts[0], place // each, texts[1], label]
        if tf.executing_eagerly():  # `Assert` would show the bytes of each part
            message = " ".join(part if isinstance(part, str) else str(part.numpy()) for part in data)
            raise tf.errors.InvalidArgumentError(None, None, message.replace("b'", "'"))
        return tf.debugging.Assert(False, data)

    with tf.control_dependencies([tf.cond(tf.reduce_any(outside), fault, tf.no_op)]):
        return tf.identity(true)


def running_dtype() -> str:
    """Returns the dtype of running sums: Keras' `floatx`, but at least float32."""
    return "float64" if keras.config.floatx() == "float64" else "float32"


def running_sum(name: str, shape: tuple[int, ...], dtype: str = "float32") -> keras.Variable:
    """Creates a variable of zeros. It needs a name: automatic names would shift the numbering of the model's names."""
    return keras.Variable(np.zeros(shape, dtype), trainable=False, dtype=dtype, name=name)
