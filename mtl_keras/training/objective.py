"""What a multi-task model minimises and reports: task losses, metrics and their running sums."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.distribution import Replicas
from mtl_keras.keras_private import compute_output_spec
from mtl_keras.metrics import SampleStatistics
from mtl_keras.training.groups import ForwardBatch, LossPart, TaskGroup, running_dtype, running_sum
from mtl_keras.training.keras_task import KerasTask
from mtl_keras.training.spec import TaskSpec


class Objective:
    """Computes the losses and metrics of all outputs, and keeps the running sums for the logs of an epoch.

    Args:
        specs: the specification of each output; those with a loss first, in the model's order.
        layer_metrics: metrics that the model or its layers update when they are called.
        replicas: the replicas that run a step together.

    Attributes:
        tasks: names of the tasks, in the order of the rows of every `(tasks, ...)` array here.
        first_nonfinite: `(tasks,)` integers: the optimizer step at which a task's training loss was
            NaN or infinite for the first time, or -1.
    """

    def __init__(
        self, specs: Sequence[TaskSpec], layer_metrics: Sequence[keras.metrics.Metric], replicas: Replicas
    ) -> None:
        self.specs = {spec.name: spec for spec in specs}
        self.tasks = tuple(spec.name for spec in specs if spec.losses)
        self.layer_metrics = list(layer_metrics)
        grouped: dict[str, list[TaskSpec]] = {}
        for spec in specs:
            if spec.losses and spec.is_fast:
                grouped.setdefault(spec.key, []).append(spec)
        self.groups = [TaskGroup(members) for members in grouped.values()]
        each = [KerasTask(spec) for spec in specs]
        self._keras_tasks = [task for task in each if task.has_loss or task.other_metrics]
        self._evaluators: list[TaskGroup | KerasTask] = [*self.groups, *self._keras_tasks]
        self._replicas = replicas
        self._names = [f"{task}_loss" for task in self.tasks]
        for group in self.groups:
            self._names += [f"{task}_{name}" for name, _, _ in group.metrics for task in group.tasks]
        others = [(*one.tasks, *entry) for one in self._keras_tasks for entry in one.other_metrics]
        self._other = [(f"{task}_{name}", metric) for task, name, metric, _ in others]
        self._other += [(metric.name, metric) for metric in self.layer_metrics]
        self._scalar_names: list[str] = []
        every = [*self.log_names(training=True), *(name for name, _ in self._other)]
        duplicates = [name for name, count in Counter(every).items() if count > 1]
        if duplicates:
            raise ValueError(f"Log entries must have distinct names. Received twice: {', '.join(duplicates)}")
        self._build_state()

    def _build_state(self) -> None:
        count = len(self.tasks)
        dtype = running_dtype()
        self.loss_sums = running_sum("loss_sums", (count, 2), dtype)
        self._run_totals = running_sum("run_totals", (count, 2), dtype)
        self._total = running_sum("total", (2,), dtype)
        self._steps = running_sum("steps", (), "int32")
        self.first_nonfinite = keras.Variable(
            -np.ones(count, "int32"), trainable=False, dtype="int32", name="first_nonfinite"
        )
        self._metric_totals = [
            [running_sum("metric_totals", (len(evaluator.tasks), size), dtype) for size in evaluator.statistics_sizes]
            for evaluator in self._evaluators
        ]
        for total, metrics in self._summed_metrics():
            for row, metric in enumerate(metrics):
                if isinstance(metric, SampleStatistics):
                    metric.read_from(total, row)
        # Some metrics create variables in their first update. That must not happen while a step is traced.
        for one in self._keras_tasks:
            spec = self.specs[one.tasks[0]]
            for _, metric, _ in one.other_metrics:
                built = bool(metric.variables) and getattr(metric, "_built", True)
                if not built and spec.labels is not None:
                    compute_output_spec(metric.update_state, spec.labels, spec.output)

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables that steps of an epoch update."""
        others = [variable for _, metric in self._other for variable in metric.variables]
        return [*self._sums, self.first_nonfinite, *others]

    @property
    def _sums(self) -> list[keras.Variable]:
        metric_totals = itertools.chain.from_iterable(self._metric_totals)
        return [self.loss_sums, self._run_totals, self._total, self._steps, *metric_totals]

    def reset(self) -> None:
        """Resets the running sums and the metrics."""
        for variable in self._sums:
            variable.assign(ops.zeros_like(variable))
        for _, metric in self._other:
            metric.reset_state()

    def reset_nonfinite(self) -> None:
        """Resets `first_nonfinite` to -1."""
        self.first_nonfinite.assign(-ops.ones_like(self.first_nonfinite))

    def batches(self, names: Sequence[str], forward: ForwardBatch, active: Any = None) -> list[Any]:
        """Divides a batch among the groups and Keras tasks that compute its losses and metrics.

        Args:
            names: the outputs that were computed.
            forward: labels, outputs and weights.
            active: `(all tasks,)` booleans if some of the computed tasks may be dropped, else `None`.

        Returns:
            `(TaskGroup or KerasTask, its batch)` for each that has computed outputs.
        """
        result = []
        for evaluator in self._evaluators:
            running = [name for name in evaluator.tasks if name in names]
            if running:
                dropping = active is not None and running[0] in self.tasks
                on = ops.take(active, [self.tasks.index(name) for name in running]) if dropping else None
                result.append((evaluator, evaluator.batch(running, forward, on)))
        return result

    def loss_parts(self, batches: Sequence[Any], training: bool) -> list[tuple[Any, LossPart]]:
        """Returns `(batch, losses of its tasks)` for each entry of `batches` that has a loss."""
        return [
            (batch, evaluator.loss_part(batch, training, self._replicas))
            for evaluator, batch in batches
            if evaluator.has_loss
        ]

    def combine(self, parts: Sequence[tuple[Any, Any]]) -> Any:
        """Combines arrays `(tasks of a batch, ...)` to `(tasks, ...)`, with zeros for tasks that are not computed."""
        rows = [task for batch, _ in parts for task in batch.tasks]
        return _scatter([array for _, array in parts], rows, self.tasks)

    def statistics(self, batches: Sequence[Any], batch_size: Any) -> list[Any]:
        """Returns the batch size and the sums of all summed metrics over the batch, for `record`."""
        totals = [evaluator.metric_totals(batch) for evaluator, batch in batches]
        return [ops.cast(batch_size, running_dtype()), *itertools.chain.from_iterable(totals)]

    def record(
        self,
        batches: Sequence[Any],
        loss_totals: Any,
        total: Any,
        statistics: Sequence[Any],
        used: tuple[Any, Any] | None = None,
        step: Any = None,
    ) -> None:
        """Adds a batch to the sums. With several replicas, pass the globally reduced values.

        Args:
            batches: the batch, from `batches`.
            loss_totals: `(tasks, 2)` summed losses and numbers of samples of all tasks.
            total: in training, the total loss of the batch; in evaluation, only the losses added by layers.
            statistics: from `statistics`.
            used: `(weights, active)` of a training step, as for `record_run`; `None` in evaluation.
            step: number of the training step; `None` in evaluation.
        """
        size, *totals = statistics
        each = iter(totals)
        self.loss_sums.assign_add(loss_totals)
        self._total.assign_add(ops.stack([total * size, size]))
        if used is not None:
            self.record_run(*used)
            bad = ops.logical_and(ops.logical_not(ops.isfinite(loss_totals[:, 0])), self.first_nonfinite < 0)
            self.first_nonfinite.assign(ops.where(bad, ops.cast(step, "int32"), self.first_nonfinite))
        for evaluator, batch in batches:
            for variable in self._metric_totals[self._evaluators.index(evaluator)]:
                variable.assign_add(_scatter([next(each)], batch.tasks, evaluator.tasks))
            if isinstance(evaluator, KerasTask):
                evaluator.update_metrics(batch, self._replicas)

    def record_run(self, weights: Any, active: Any) -> None:
        """Adds a training step to the sums of task weights and of active tasks.

        Args:
            weights: `(tasks,)` weights of the losses.
            active: `(tasks,)` booleans: the tasks that were trained.
        """
        dtype = self._run_totals.dtype
        self._run_totals.assign_add(ops.stack([ops.cast(weights, dtype), ops.cast(active, dtype)], axis=-1))
        self._steps.assign_add(1)

    def summary(self, weights: Any, training: bool) -> tuple[Any, dict[str, Any]]:
        """Computes the logs from the running sums.

        Args:
            weights: `(tasks,)` weights of the tasks in the `loss` of an evaluation.
            training: whether to append `<task>_weight` and `<task>_active`.

        Returns:
            The values of `log_names(training)` as one vector, and the results of other metrics by log name. In
            training, the loss of a task that did not run is NaN. Without labelled samples a metric is NaN, a loss 0.
        """
        losses = ops.divide_no_nan(self.loss_sums[:, 0], self.loss_sums[:, 1])
        loss = ops.divide_no_nan(self._total[0], self._total[1])
        if training:
            losses = ops.where(self._run_totals[:, 1] > 0, losses, np.nan)
        else:
            weights = ops.cast(weights, losses.dtype)
            loss = loss + ops.sum(ops.where(weights > 0, weights * losses, 0.0))
        results = {name: metric.result() for name, metric in self._other}
        scalars = {name: value for name, value in results.items() if getattr(value, "shape", None) == ()}
        self._scalar_names = list(scalars)
        entries = [losses]
        for evaluator, totals in zip(self._evaluators, self._metric_totals):
            entries += [ops.cast(values, losses.dtype) for values in evaluator.metric_values(totals)]
        entries += [ops.reshape(ops.cast(value, losses.dtype), (1,)) for value in scalars.values()]
        values = ops.concatenate(entries)
        tail = []
        if training:
            run = self._run_totals / ops.cast(ops.maximum(self._steps, 1), losses.dtype)
            tail = [ops.reshape(ops.transpose(run), (-1,))]
        summary = ops.concatenate([ops.stack([loss, self._score(values)]), values, *tail])
        return summary, {name: value for name, value in results.items() if name not in scalars}

    def _score(self, values: Any) -> Any:
        """Returns the mean of the known primary metrics of the tasks, negated where lower is better."""
        names = [*self._names, *self._scalar_names]
        primary = [f"{task}_{self.specs[task].primary.metric}" for task in self.tasks]
        rows = [row for row, name in enumerate(primary) if name in names]  # without metrics that return a vector
        if not rows:
            return ops.cast(np.nan, values.dtype)
        signs = [1.0 if self.specs[self.tasks[row]].primary.higher_is_better else -1.0 for row in rows]
        scores = ops.take(values, [names.index(primary[row]) for row in rows]) * np.array(signs, running_dtype())
        labelled = ops.take(self.loss_sums[:, 1], rows) > 0
        known = ops.logical_and(labelled, ops.logical_not(ops.isnan(scores)))
        return ops.sum(ops.where(known, scores, 0.0)) / ops.sum(ops.cast(known, scores.dtype))

    def log_names(self, training: bool) -> list[str]:
        """Returns the name of each entry of the vector that `summary` returns."""
        names = ["loss", "mtl_score", *self._names, *self._scalar_names]
        if training:
            names += [f"{task}_weight" for task in self.tasks] + [f"{task}_active" for task in self.tasks]
        return names

    def write_metrics(self) -> None:
        """Copies the running sums of task groups to the metric objects, so that their `result()` is correct."""
        for total, metrics in self._summed_metrics():
            for metric, row in zip(metrics, ops.convert_to_numpy(total.value)):
                if isinstance(metric, SampleStatistics):
                    metric.set_sums(row)
                else:
                    _set_mean(metric, *row)

    def write_loss_trackers(
        self, total: keras.metrics.Mean, trackers: Mapping[str, keras.metrics.Mean], weights: np.ndarray | None
    ) -> None:
        """Copies the running sums of the losses to the means that Keras keeps of them.

        Args:
            total: the mean of `loss`.
            trackers: task -> the mean of its loss.
            weights: `(tasks,)` weights of the tasks in the `loss` of an evaluation; `None` in training.
        """
        sums, (loss, size) = (ops.convert_to_numpy(variable.value) for variable in (self.loss_sums, self._total))
        if weights is not None:
            for (value, count), weight in zip(sums, weights):
                loss += weight * value / count * size if weight and count else 0.0
        _set_mean(total, loss, size)
        for task, tracker in trackers.items():
            _set_mean(tracker, *sums[self.tasks.index(task)])

    def read_metrics(self) -> None:
        """Copies the state of the metric objects to the running sums: the reverse of `write_metrics`."""
        for total, metrics in self._summed_metrics():
            sums = [
                m.sums if isinstance(m, SampleStatistics) else ops.stack([m.total.value, m.count.value])
                for m in metrics
            ]
            total.assign(ops.stack(sums))
            for row, metric in enumerate(metrics):
                if isinstance(metric, SampleStatistics):
                    metric.read_from(total, row)

    def _summed_metrics(self) -> list[tuple[keras.Variable, Sequence[keras.metrics.Metric]]]:
        """Returns the sums `(tasks, statistics)` of each summed metric, and the metric objects of the tasks."""
        return [
            (total, metrics)
            for group, totals in zip(self.groups, self._metric_totals)
            for (_, metrics, _), total in zip(group.metrics, totals, strict=True)
        ]


def _set_mean(metric: keras.metrics.Mean, total: Any, count: Any) -> None:
    """Sets the sum and the number of the values of a `Mean`."""
    metric.total.assign(total)
    metric.count.assign(count)


def _scatter(parts: Sequence[Any], rows: Sequence[str], order: Sequence[str]) -> Any:
    """Concatenates arrays whose rows are named `rows`, and reorders these to `order`, with zeros for missing names."""
    stacked = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=0)
    if tuple(rows) == tuple(order):
        return stacked
    padded = ops.concatenate([stacked, ops.zeros_like(stacked[:1])], axis=0)
    return ops.take(padded, [rows.index(name) if name in rows else len(rows) for name in order], axis=0)
