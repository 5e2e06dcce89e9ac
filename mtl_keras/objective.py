"""What a multi-task model minimises and reports: task losses, metrics and their running sums."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.batches import GroupBatch, Predictions
from mtl_keras.fusion import TaskGroup, TaskSpec

Batches = list[tuple[TaskGroup, GroupBatch]]


class Objective:
    """All tasks of a model, grouped, with the sums that an epoch's logs are made of.

    Args:
        specs: how each task is trained and judged, in the model's order.

    Attributes:
        tasks: the tasks' names: the order of the rows of every `(tasks, ...)` array here.
        names: the log entries that `summary` returns, in order; without `_weight` and `_active`, which only
            training has.
        first_nonfinite: `(tasks,)` integers: the optimizer step at which a task's training loss was
            NaN or infinite for the first time, or -1.
    """

    def __init__(self, specs: Sequence[TaskSpec]) -> None:
        self.tasks = tuple(spec.name for spec in specs)
        grouped: dict[str, list[TaskSpec]] = {}
        for spec in specs:
            grouped.setdefault(spec.key, []).append(spec)
        self.groups = [TaskGroup(members) for members in grouped.values()]
        self._other = [(spec.name, *entry) for spec in specs for entry in spec.other_metrics]
        self.names = [f"{task}_loss" for task in self.tasks]
        for group in self.groups:
            self.names += [f"{task}_{name}" for name, _, _ in group.metrics for task in group.tasks]
        self.names += [f"{task}_{name}" for task, name, _, _ in self._other]
        twice = [name for name, count in Counter(self.log_names(training=True)).items() if count > 1]
        if twice:
            raise ValueError(f"Log entries must have distinct names. Received twice: {', '.join(twice)}")
        primary = [primary_metric(spec.metrics) for spec in specs]
        self._primary = [self.names.index(f"{task}_{name}") for task, (name, _) in zip(self.tasks, primary)]
        self._signs = np.array([1.0 if higher_is_better else -1.0 for _, higher_is_better in primary], "float32")
        self._build_state()

    def _build_state(self) -> None:
        count = len(self.tasks)
        self._loss_totals = _zeros(count, 2)
        self._run_totals = _zeros(count, 2)
        self._total = _zeros(2)
        self._steps = keras.Variable(0, trainable=False, dtype="int32", name="steps")
        self.first_nonfinite = keras.Variable(-np.ones(count, "int32"), trainable=False, dtype="int32")
        self._metric_totals = [[_zeros(len(g.tasks), size) for size in g.statistics_sizes] for g in self.groups]

    @property
    def variables(self) -> list[keras.Variable]:
        """All that is remembered between two steps of an epoch."""
        others = [variable for _, _, metric, _ in self._other for variable in metric.variables]
        return [*self._sums, self.first_nonfinite, *others]

    @property
    def _sums(self) -> list[keras.Variable]:
        metric_totals = itertools.chain.from_iterable(self._metric_totals)
        return [self._loss_totals, self._run_totals, self._total, self._steps, *metric_totals]

    def reset(self) -> None:
        """Forgets what was recorded."""
        for variable in self._sums:
            variable.assign(ops.zeros_like(variable))
        for _, _, metric, _ in self._other:
            metric.reset_state()

    def forget_nonfinite(self) -> None:
        """Starts looking for non-finite losses anew."""
        self.first_nonfinite.assign(-ops.ones_like(self.first_nonfinite))

    def batches(
        self,
        tasks: Sequence[str],
        y: Mapping[str, Any],
        predictions: Predictions,
        sample_weight: Mapping[str, Any] | None,
        active: Any = None,
    ) -> Batches:
        """Puts the batch of the tasks that run side by side, group by group.

        Args:
            tasks: the tasks whose predictions were computed.
            y: task -> labels `(batch, ...)`.
            predictions: outputs of the forward pass.
            sample_weight: task -> `(batch,)`, or `None`.
            active: `(all tasks,)` booleans, if some of `tasks` are dropped all the same.
        """
        result = []
        for group in self.groups:
            running = [task for task in group.tasks if task in tasks]
            if running:
                on = None if active is None else ops.take(active, [self.tasks.index(task) for task in running])
                result.append((group, group.batch(running, y, predictions, sample_weight, on)))
        return result

    def loss_parts(self, batches: Batches) -> list[Any]:
        """Returns, for each of `batches`, the `(its tasks, 2)` summed losses and labelled samples."""
        return [group.loss_totals(batch) for group, batch in batches]

    def loss_totals(self, batches: Batches, parts: Sequence[Any] | None = None) -> Any:
        """Returns `(tasks, 2)`: each task's summed loss and labelled samples in a batch; 0 if it does not run.

        Args:
            batches: the batch, from `batches`.
            parts: what `loss_parts` returned for it, if that is known.
        """
        rows = [task for _, batch in batches for task in batch.tasks]
        return _scatter(self.loss_parts(batches) if parts is None else parts, rows, self.tasks)

    def statistics(self, batches: Batches, batch_size: Any) -> list[Any]:
        """Returns what `record` takes: sums over samples, the number of them first."""
        totals = [group.metric_totals(batch) for group, batch in batches]
        return [ops.cast(batch_size, "float32"), *itertools.chain.from_iterable(totals)]

    def record(
        self,
        batches: Batches,
        loss_totals: Any,
        total: Any,
        statistics: Sequence[Any],
        used: tuple[Any, Any] | None = None,
        step: Any = None,
    ) -> None:
        """Adds a batch to the sums; where replicas have a part of it each, give what is said of all of it.

        Args:
            batches: the batch, from `batches`.
            loss_totals: `(tasks, 2)`, from `loss_totals`.
            total: what this batch adds to the logged `loss`.
            statistics: from `statistics`.
            used: of a training step, the `(tasks,)` weights of the losses, and which tasks ran: `(tasks,)` booleans.
            step: number of the training step.
        """
        size, *totals = statistics
        each = iter(totals)
        self._loss_totals.assign_add(loss_totals)
        self._total.assign_add(ops.stack([total * size, size]))
        if used is not None:
            weights, active = used
            self._run_totals.assign_add(ops.stack([weights, ops.cast(active, "float32")], axis=-1))
            bad = ops.logical_and(ops.logical_not(ops.isfinite(loss_totals[:, 0])), self.first_nonfinite < 0)
            self.first_nonfinite.assign(ops.where(bad, ops.cast(step, "int32"), self.first_nonfinite))
            self._steps.assign_add(1)
        for group, batch in batches:
            for variable in self._metric_totals[self.groups.index(group)]:
                variable.assign_add(_scatter([next(each)], batch.tasks, group.tasks))
            for task, _, metric, weighted in self._other:
                if task in batch.tasks:
                    metric.update_state(*batch.one(task, weighted))

    def summary(self, weights: Any, training: bool) -> Any:
        """Returns the values of the logs of all that was recorded, as one vector.

        Args:
            weights: `(tasks,)` weights of the tasks in the `loss` of an evaluation.
            training: whether `<task>_weight` and `<task>_active` follow.

        Returns:
            Values of `log_names(training)`. A task that did not run has the loss NaN; a metric without labelled
            samples is NaN, a loss 0.
        """
        losses = ops.divide_no_nan(self._loss_totals[:, 0], self._loss_totals[:, 1])
        loss = ops.divide_no_nan(self._total[0], self._total[1])
        if training:
            losses = ops.where(self._run_totals[:, 1] > 0, losses, np.float32("nan"))
        else:
            loss = loss + ops.sum(ops.where(weights > 0, weights * losses, 0.0))
        entries = [losses]
        for group, totals in zip(self.groups, self._metric_totals):
            entries += group.metric_values(totals)
        entries += [_scalar(task, name, metric.result()) for task, name, metric, _ in self._other]
        values = ops.concatenate(entries)
        scores = ops.take(values, self._primary) * self._signs
        known = ops.logical_and(self._loss_totals[:, 1] > 0, ops.logical_not(ops.isnan(scores)))
        score = ops.sum(ops.where(known, scores, 0.0)) / ops.sum(ops.cast(known, "float32"))
        tail = []
        if training:
            run = self._run_totals / ops.cast(ops.maximum(self._steps, 1), "float32")
            tail = [ops.reshape(ops.transpose(run), (-1,))]
        return ops.concatenate([ops.stack([loss, score]), values, *tail])

    def log_names(self, training: bool) -> list[str]:
        """Returns the names of the entries of `summary`."""
        names = ["loss", "mtl_score", *self.names]
        if training:
            names += [f"{task}_weight" for task in self.tasks] + [f"{task}_active" for task in self.tasks]
        return names


def primary_metric(metrics: Sequence[tuple[str, keras.metrics.Metric, bool]]) -> tuple[str, bool]:
    """Returns the name of a task's primary metric and whether higher is better.

    Args:
        metrics: `(name, metric, weighted)` of each metric. The first is primary; without any it is the loss.
    """
    if not metrics:
        return "loss", False
    name, metric, _ = metrics[0]
    return name, getattr(metric, "_direction", "up") != "down"


def _scalar(task: str, name: str, value: Any) -> Any:
    """A metric's result as `(1,)`."""
    if len(value.shape):
        raise ValueError(
            f"Metric {name!r} of task {task!r} must give one number, e.g. by `average='macro'`. "
            f"Received: a result of shape {tuple(value.shape)}"
        )
    return ops.reshape(ops.cast(value, "float32"), (1,))


def _zeros(*shape: int) -> keras.Variable:
    return keras.Variable(np.zeros(shape, "float32"), trainable=False, dtype="float32")


def _scatter(parts: Sequence[Any], rows: Sequence[str], order: Sequence[str]) -> Any:
    """Puts rows named `rows` in the order `order`, with zeros for those that are not there."""
    stacked = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=0)
    if tuple(rows) == tuple(order):
        return stacked
    padded = ops.concatenate([stacked, ops.zeros_like(stacked[:1])], axis=0)
    return ops.take(padded, [rows.index(name) if name in rows else len(rows) for name in order], axis=0)
