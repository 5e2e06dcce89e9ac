"""Losses and metrics of tasks that are alike, computed together as one matrix.

A `TaskGroup` holds the tasks with one loss configuration, one kind of label and one output shape. Its losses and
metrics are kept as sums over labelled samples, one row a task, so that a task's loss and metrics are means over its
labelled samples whatever the batches were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras import labels
from mtl_keras.batches import GroupBatch, Predictions, beside, expand
from mtl_keras.metrics import SampleStatistics

# Functions that work on the last axis alone, so that a task axis in front of it changes nothing.
_ON_LAST_AXIS = frozenset(
    "binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy categorical_crossentropy "
    "categorical_focal_crossentropy categorical_hinge cosine_similarity hinge huber kl_divergence log_cosh "
    "mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson "
    "sparse_categorical_accuracy sparse_categorical_crossentropy sparse_top_k_categorical_accuracy squared_hinge "
    "top_k_categorical_accuracy".split()
)

# Those of them that are a mean over the last axis of what is 0, and so is its derivative, where the label is the
# prediction.
_DISTANCES = frozenset(
    "huber log_cosh mean_absolute_error mean_absolute_percentage_error mean_squared_error "
    "mean_squared_logarithmic_error".split()
)

# Cross-entropies, and the activation in front of which their logits stand.
_LOGIT_LOSSES = {
    "binary_crossentropy": "Sigmoid",
    "binary_focal_crossentropy": "Sigmoid",
    "categorical_crossentropy": "Softmax",
    "sparse_categorical_crossentropy": "Softmax",
}


def function_name(judge: keras.losses.Loss | keras.metrics.Metric) -> str:
    """The name of the function that a loss or metric wraps if both are Keras' own, else `""`."""
    function = getattr(judge, "fn", None) or getattr(judge, "_fn", None)
    # A function or subclass of the user's may bear a name that Keras uses, and compute something else.
    own = all(part.__module__.startswith(("keras.", "mtl_keras.")) for part in (type(judge), function) if part)
    return getattr(function, "__name__", "") if own else ""


@dataclass(frozen=True)
class TaskSpec:
    """How one task is trained and judged: everything that two tasks must share to be computed together.

    Args:
        name: the task.
        loss: its loss.
        metrics: `(name, metric, weighted)` of each metric.
        label_shape: shape of its labels without the batch axis.
        label_dtype: their dtype.
        output_shape: shape of its output without the batch axis.
        class_weight: class index -> weight of its samples in the loss.

    Raises:
        ValueError: if the loss is one of Keras' and the labels do not have the shape that it needs.
    """

    name: str
    loss: keras.losses.Loss
    metrics: tuple[tuple[str, keras.metrics.Metric, bool], ...]
    label_shape: tuple[int | None, ...]
    label_dtype: str
    output_shape: tuple[int | None, ...]
    class_weight: Mapping[int, float] | None = None

    def __post_init__(self) -> None:
        name = function_name(self.loss)
        indices = name.startswith("sparse_")
        expected = self.output_shape[:-1] if indices else self.output_shape
        accepted = [expected, (*expected, 1), *([expected[:-1]] if expected[-1:] == (1,) and not indices else [])]
        if name and not any(_fits(self.label_shape, shape) for shape in accepted):
            raise ValueError(
                f"The loss {name!r} of task {self.name!r}, whose output has the shape {_batch(self.output_shape)}, "
                f"needs labels of the shape {_batch(expected)}. Received: {_batch(self.label_shape)}"
            )

    @property
    def summed_metrics(self) -> tuple[tuple[str, keras.metrics.Metric, bool], ...]:
        """The metrics that are sums over samples, so that those of many tasks are one array."""
        return tuple(entry for entry in self.metrics if _is_summed(entry[1]))

    @property
    def other_metrics(self) -> tuple[tuple[str, keras.metrics.Metric, bool], ...]:
        """The metrics that keep a state of their own (`keras.metrics.AUC`, say), computed task by task."""
        return tuple(entry for entry in self.metrics if not _is_summed(entry[1]))

    @property
    def on_last_axis(self) -> bool:
        """Whether its loss and summed metrics are known to give one value for each vector of the last axis."""
        return function_name(self.loss) in _ON_LAST_AXIS and all(
            isinstance(metric, SampleStatistics) or function_name(metric) in _ON_LAST_AXIS
            for _, metric, _ in self.summed_metrics
        )

    @property
    def key(self) -> str:
        """Equal for tasks that can be computed together."""
        alone = "" if self.on_last_axis else self.name
        summed = [(name, _config(metric), weighted) for name, metric, weighted in self.summed_metrics]
        return repr((_config(self.loss), summed, self.label_shape, self.label_dtype, self.output_shape, alone))


def _fits(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(a == b or None in (a, b) for a, b in zip(shape, expected))


def _batch(shape: Sequence[int | None]) -> str:
    return f"({', '.join(['batch', *map(str, shape)])})"


def _config(judge: keras.losses.Loss | keras.metrics.Metric) -> str:
    config = {key: value for key, value in judge.get_config().items() if key != "name"}
    return json.dumps([type(judge).__name__, function_name(judge), config], default=str, sort_keys=True)


def _is_summed(metric: keras.metrics.Metric) -> bool:
    wrapper = keras.metrics.MeanMetricWrapper
    same = (type(metric).update_state, type(metric).result) == (wrapper.update_state, wrapper.result)
    return isinstance(metric, SampleStatistics) or same


class TaskGroup:
    """Tasks that are computed together: how their batches become sums, and sums become losses and metrics.

    Args:
        specs: their descriptions, all with the same `TaskSpec.key`.
    """

    def __init__(self, specs: Sequence[TaskSpec]) -> None:
        self.tasks = tuple(spec.name for spec in specs)
        self.loss = specs[0].loss
        self.metrics = specs[0].summed_metrics
        self.class_indices = function_name(self.loss).startswith("sparse_")
        self._on_last_axis = specs[0].on_last_axis
        # Missing labels are replaced by predictions, so that they add nothing to a distance.
        self._fills = self._on_last_axis and function_name(self.loss) in _DISTANCES
        self._specs = {spec.name: spec for spec in specs}

    @property
    def statistics_sizes(self) -> list[int]:
        """How many statistics each summed metric has a task."""
        shape = next(iter(self._specs.values())).output_shape
        return [metric.size(shape) if isinstance(metric, SampleStatistics) else 2 for _, metric, _ in self.metrics]

    def batch(
        self,
        tasks: Sequence[str],
        y: Mapping[str, Any],
        predictions: Predictions,
        sample_weight: Mapping[str, Any] | None = None,
        active: Any = None,
    ) -> GroupBatch:
        """Puts labels and predictions of some of the group's tasks side by side.

        Args:
            tasks: the tasks that run.
            y: task -> labels `(batch, ...)`.
            predictions: the outputs of the forward pass.
            sample_weight: task -> `(batch, ...)` weights; 1 for tasks that are not there.
            active: `(tasks,)` booleans: tasks that are computed but dropped have no labelled sample.
        """
        pred = ops.cast(predictions.gather(tasks), self.loss.dtype)
        each = [pred] if len(tasks) == 1 else [pred[:, i] for i in range(len(tasks))]
        aligned = [labels.align(y[task], p, class_indices=self.class_indices) for task, p in zip(tasks, each)]
        true = aligned[0] if len(tasks) == 1 else ops.stack(aligned, axis=1)
        ignored = getattr(self.loss, "_fn_kwargs", {}).get("ignore_class")
        true, present = labels.separate(
            true,
            function_name(self.loss),
            ignored,
            by_vector=self._on_last_axis,
            fill=ops.stop_gradient(pred) if self._fills else None,
        )
        if active is not None:
            on = active[0] if len(tasks) == 1 else active
            present = ops.logical_and(present, beside(on, present))
        weight = None
        if sample_weight is not None:
            unit = ops.ones(ops.shape(pred)[:1], pred.dtype)
            given = [ops.cast(sample_weight.get(task, unit), pred.dtype) for task in tasks]
            weights = [labels.align(w, p, class_indices=True) for w, p in zip(given, each)]
            weight = weights[0] if len(tasks) == 1 else ops.stack(weights, axis=1)
        return GroupBatch(tuple(tasks), true, pred, self._logits(tasks, predictions), present, weight)

    def _logits(self, tasks: Sequence[str], predictions: Predictions) -> Any:
        """Cross-entropies of probabilities close to 0 or 1 are exact only if taken of the logits.

        Keras looks for these behind the output itself; it cannot where outputs were stacked or cut.
        """
        activation = _LOGIT_LOSSES.get(function_name(self.loss))
        if activation is None or self.loss._fn_kwargs.get("from_logits"):
            return None
        logits = predictions.gather(tasks, before=activation)
        return None if logits is None else ops.cast(logits, self.loss.dtype)

    def loss_totals(self, batch: GroupBatch) -> Any:
        """Returns `(tasks, 2)`: summed loss of the labelled samples, and how many they are."""
        if not any(self._specs[task].class_weight for task in batch.tasks):
            batch = self._flat_for(self.loss, batch)
        true = ops.cast(batch.true, self.loss.dtype)
        if batch.logits is None:
            values = self.loss.call(true, batch.pred)
        else:
            values = self.loss.fn(true, batch.logits, **{**self.loss._fn_kwargs, "from_logits": True})
        if len(values.shape) == 0:
            values = ops.broadcast_to(values, ops.shape(batch.pred)[:1])
        weight = batch.weight
        table = _weight_table([self._specs[task] for task in batch.tasks])
        if table is not None:
            class_weight = self._class_weight(batch, table)
            weight = class_weight if weight is None else class_weight * expand(weight, len(class_weight.shape))
        counted = weight if self.loss.reduction == "mean_with_sample_weight" else None
        return batch.mean_totals(values, weight, counted)

    def _class_weight(self, batch: GroupBatch, table: np.ndarray) -> Any:
        classes = batch.true
        if not self.class_indices:
            classes = classes[..., 0] if classes.shape[-1] == 1 else ops.argmax(classes, axis=-1)
        chosen = ops.one_hot(ops.cast(classes, "int32"), table.shape[-1], dtype=self.loss.dtype)
        rows = table[0] if batch.leading == 1 else table.reshape(-1, *[1] * (len(chosen.shape) - 3), table.shape[-1])
        return ops.sum(chosen * rows, axis=-1)

    def metric_totals(self, batch: GroupBatch) -> list[Any]:
        """Returns, for each summed metric, `(tasks, statistics)`."""
        return [
            self._metric_totals(metric, weighted, self._flat_for(metric, batch)) for _, metric, weighted in self.metrics
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

    def _flat_for(self, judge: keras.losses.Loss | keras.metrics.Metric, batch: GroupBatch) -> GroupBatch:
        """The batch in the form in which a loss or metric is computed fastest."""
        flat = batch.flat() if self._fills and function_name(judge) in _DISTANCES else None
        return flat or batch

    def metric_values(self, totals: Sequence[Any]) -> list[Any]:
        """Returns, for each summed metric, its `(tasks,)` values; NaN for a task without a labelled sample."""
        return [
            metric.value(total) if isinstance(metric, SampleStatistics) else total[:, 0] / total[:, 1]
            for (_, metric, _), total in zip(self.metrics, totals)
        ]


def _weight_table(specs: Sequence[TaskSpec]) -> np.ndarray | None:
    """`(tasks, classes)` class weights, or `None` if no task has any."""
    if not any(spec.class_weight for spec in specs):
        return None
    table = np.ones((len(specs), max(2, int(specs[0].output_shape[-1] or 2))), "float32")
    for row, spec in zip(table, specs):
        for index, weight in (spec.class_weight or {}).items():
            row[index] = weight
    return table
