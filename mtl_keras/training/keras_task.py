"""Tasks whose loss or metrics are computed by Keras objects, called in the same way as by `keras.Model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from mtl_keras import labels
from mtl_keras.distribution import Replicas
from mtl_keras.keras_private import get_keras_mask, set_keras_mask
from mtl_keras.training.groups import ForwardBatch, LossPart, class_weights, expand, running_dtype, single_class
from mtl_keras.training.spec import MEANS, TaskSpec, is_own


@dataclass(frozen=True)
class KerasBatch:
    """A replica's part of a batch of one task, in the form that Keras' losses and metrics take.

    Args:
        tasks: the task.
        true: labels as they were given.
        pred: output, with its mask.
        weight: sample weights, or `None`.
        active: scalar boolean; `None` if the task cannot be dropped at run time.
    """

    tasks: tuple[str]
    true: Any
    pred: Any
    weight: Any
    active: Any = None


class KerasTask:
    """Computes the loss and the metrics of a task with Keras objects.

    Args:
        spec: the specification of the task.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self.tasks = (spec.name,)
        self.has_loss = bool(spec.losses) and not spec.is_fast
        self.other_metrics = spec.split_metrics()[1]
        self.metrics: list[Any] = []
        self.statistics_sizes: list[int] = []
        self._spec = spec

    def batch(self, tasks: Sequence[str], forward: ForwardBatch, active: Any = None) -> KerasBatch:
        """Returns the labels, output and sample weights of the task. The arguments are those of `TaskGroup.batch`."""
        (task,) = self.tasks
        on = None if active is None else active[0]
        return KerasBatch((task,), forward.y.get(task), forward.outputs(tasks), forward.sample_weight.get(task), on)

    def loss(self, true: Any, pred: Any, weight: Any, training: bool) -> tuple[Any, Any]:
        """Returns the loss of a batch, summed over the task's loss objects, and the number of labelled samples.

        Args:
            true: labels `(batch, ...)`.
            pred: output `(batch, ...)`, with its mask.
            weight: sample weights, or `None`.
            training: whether to use class weights.
        """
        spec = self._spec
        true, pred, present = labelled(spec, true, pred)
        count = ops.cast(ops.shape(pred)[0], "float32") if present is None else _count_labelled(present)
        if training and spec.class_weight:
            weight = _with_class_weight(spec, true, pred, weight)
        values = [
            loss(true, pred, weight) if share == 1 else share * loss(true, pred, weight) for loss, share in spec.losses
        ]
        dtype = running_dtype()
        return sum((ops.cast(value, dtype) for value in values[1:]), ops.cast(values[0], dtype)), ops.cast(count, dtype)

    def loss_part(self, batch: KerasBatch, training: bool, replicas: Replicas) -> LossPart:
        """Returns the loss of a batch, as a sum over samples. The arguments are those of `TaskGroup.loss_part`."""
        value, count = self.loss(batch.true, batch.pred, batch.weight, training)
        # Keras divides a loss that is a mean by the number of replicas.
        logged = ops.mean(value) * replicas.count
        is_mean = all(_is_mean(loss) for loss, _ in self._spec.losses)
        trained = None if is_mean else ops.reshape(ops.sum(value), (1,))
        if batch.active is not None:
            logged, count = ops.where(batch.active, logged, 0.0), ops.where(batch.active, count, 0.0)
            trained = None if trained is None else ops.where(batch.active, trained, 0.0)
        return LossPart(ops.reshape(ops.stack([logged * count, count]), (1, 2)), trained)

    def metric_totals(self, batch: KerasBatch) -> list[Any]:
        """Returns an empty list: the metric objects keep their own state."""
        return []

    def metric_values(self, totals: Sequence[Any]) -> list[Any]:
        """Returns an empty list, as `metric_totals` does."""
        return []

    def update_metrics(self, batch: KerasBatch, replicas: Replicas) -> None:
        """Updates the metric objects with a batch, unless the task is dropped in this step."""

        def update(on: Any = None) -> tf.Operation:
            update_metrics(self._spec, self.other_metrics, batch.true, batch.pred, batch.weight, on)
            return tf.no_op()

        if batch.active is None or replicas.count > 1:  # variables of several replicas cannot be updated in a branch
            update(batch.active)
        else:
            tf.cond(batch.active, update, tf.no_op)


def _is_mean(loss: keras.losses.Loss) -> bool:
    return type(loss).__call__ is keras.losses.Loss.__call__ and loss.reduction in MEANS


def labelled(spec: TaskSpec, true: Any, pred: Any) -> tuple[Any, Any, Any]:
    """Replaces missing labels, and excludes them in the Keras mask of the outputs.

    Args:
        spec: the task.
        true: labels `(batch, ...)`.
        pred: outputs `(batch, ...)`, with their mask.

    Returns:
        Labels, outputs, and `(batch, ...)` booleans, false for missing labels; `None` instead of these if labels of the
        task cannot be missing.
    """
    if true is None or not spec.finds_missing or not labels.can_be_missing(true.dtype, minus_one=spec.minus_one):
        return true, pred, None
    true, present = labels.separate(ops.convert_to_tensor(true), minus_one=spec.minus_one)
    rank = max(1, len(pred.shape) - 1)
    mask = present
    while len(mask.shape) > rank:
        mask = ops.all(mask, axis=-1)
    known = get_keras_mask(pred)
    marked = tf.identity(pred)
    if hasattr(pred, "_keras_logits"):
        marked._keras_logits = pred._keras_logits
    set_keras_mask(marked, mask if known is None else ops.logical_and(expand(known, len(mask.shape)), mask))
    return true, marked, mask


def _count_labelled(present: Any) -> Any:
    """Returns the number of labelled samples, to which each sample adds the fraction of its labels that are present."""
    present = ops.cast(present, "float32")
    return ops.sum(ops.mean(present, axis=list(range(1, len(present.shape)))) if len(present.shape) > 1 else present)


def _with_class_weight(spec: TaskSpec, true: Any, pred: Any, weight: Any) -> Any:
    """Returns the sample weights, multiplied by the class weights of the labels."""
    classes = ops.convert_to_tensor(true)
    if len(classes.shape) == len(pred.shape) and len(classes.shape) > 1:
        classes = single_class(classes)
    found = class_weights(classes, [spec.class_weight or {}])
    return found if weight is None else found * expand(ops.cast(weight, found.dtype), len(found.shape))


def update_metrics(spec: TaskSpec, metrics: Sequence[Any], true: Any, pred: Any, weight: Any, on: Any = None) -> None:
    """Updates metric objects with a batch, as `keras.Model.compute_metrics` does.

    Metrics of Keras and of this library leave out missing labels. Metrics of the user get the labels unchanged, unless
    `missing_labels` is true for the task.

    Args:
        spec: the task.
        metrics: `(name, metric, weighted)` of each.
        true: labels `(batch, ...)`.
        pred: outputs `(batch, ...)`, with their mask.
        weight: sample weights, or `None`.
        on: scalar boolean: whether the task is active; `None` if it always is.
    """
    known, _, present = labelled(spec, true, pred)
    for _, metric, weighted in metrics:
        own = weight if weighted else None
        masked = present is not None and (is_own(metric) or bool(spec.missing))
        if not masked and on is None:
            metric.update_state(true, pred, own)
        else:
            mask = ops.cast(present, "float32") if masked else ops.ones(ops.shape(pred)[:1])
            mask = mask if on is None else mask * ops.cast(on, mask.dtype)
            if own is not None:
                rank = max(len(mask.shape), len(own.shape))
                mask = expand(mask, rank) * expand(ops.cast(own, mask.dtype), rank)
            else:  # in the metric's dtype: `MeanIoU` counts in integers
                mask = ops.cast(mask, metric.dtype)
            metric.update_state(known if masked else true, pred, mask)
