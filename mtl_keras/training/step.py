"""One training or evaluation step: forward, weigh, backward, apply."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mtl_keras.distribution import Replicas, batch_size
from mtl_keras.training import graph
from mtl_keras.training.dropped import DroppedState
from mtl_keras.training.gradients import GradientStatistics, SharedGroup, gramian, shared_groups
from mtl_keras.training.graph import Ownership, Unit
from mtl_keras.training.groups import ForwardBatch, trained_part
from mtl_keras.training.look_ahead import AffinityStatistics, LookAhead, replayed, values_of
from mtl_keras.training.objective import Objective
from mtl_keras.training.state import LiveWeighting


@dataclass(frozen=True)
class Scope:
    """The settings of a compiled step, and the objects that it works with.

    Args:
        model: the compiled `MultiTaskModel`.
        objective: its losses and metrics.
        replicas: the replicas that run the step together.
        units: the units that it computes.
        owned: the tasks that reach each variable of the step.
        masked: whether some of its tasks may be dropped at run time.
        dropped: restores the state of dropped tasks, or `None` if there is nothing to restore.
        weighting: computes the weights of a step; `None` to use the task weights.
        monitor: collects the inner products of the tasks' gradients, or `None`.
        affinity: collects how a step on one task changes the losses of all, or `None`.
    """

    model: Any
    objective: Objective
    replicas: Replicas
    units: Sequence[Unit]
    owned: Sequence[Ownership]
    masked: bool = False
    dropped: DroppedState | None = None
    weighting: LiveWeighting | None = None
    monitor: GradientStatistics | None = None
    affinity: AffinityStatistics | None = None

    @property
    def names(self) -> list[str]:
        """Names of the outputs that the step computes."""
        return [name for unit in self.units for name in unit.tasks]

    @property
    def columns(self) -> list[bool]:
        """For each task of the model, whether the step computes it."""
        return [task in self.names for task in self.objective.tasks]

    @property
    def statistics(self) -> list[keras.Variable]:
        """The variables that the step updates without gradients: moving statistics and random seeds."""
        return [entry.variable for entry in self.owned if not entry.variable.trainable]

    @property
    def untrained(self) -> list[keras.Variable]:
        """All variables that a forward pass updates: `statistics`, and the metrics of layers."""
        metrics = (variable for metric in self.objective.layer_metrics for variable in metric.variables)
        return [*self.statistics, *metrics]

    @property
    def trained(self) -> set[int]:
        """The `id`s of the trainable variables of the model."""
        return {id(variable) for variable in self.model.trainable_variables}

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that the step trains."""
        trained = self.trained
        return [entry.variable for entry in self.owned if id(entry.variable) in trained]

    def batches(self, network: keras.Model, data: Any, active: Any, not_empty: Any, training: bool) -> list[Any]:
        """Runs the forward pass of a batch; returns the result of `Objective.batches`.

        Args:
            network: the model that computes `units`.
            data: inputs, labels and sample weights.
            active: `(tasks,)` booleans.
            not_empty: from `Replicas.pad_empty_batch`: whether the samples of the batch count.
            training: whether this is a training step.
        """
        x, y, sample_weight = self.model.unpack(data)
        tensors = network(x, training=training)
        forward = ForwardBatch(self.units, tensors, y, sample_weight, self.model.checks_labels)
        counted = self.replicas.counted_tasks(active if self.masked else None, not_empty, len(self.objective.tasks))
        return self.objective.batches(self.names, forward, counted)

    def additional_loss(self, parts: Iterable[keras.Model], active: Any) -> Any:
        """Returns the sum, a scalar, of the losses of regularizers and `add_loss` of the layers that ran.

        Args:
            parts: the models that were called.
            active: `(tasks,)` booleans. Layers that only other tasks use are left out.
        """
        parts = list(parts)
        losses = [loss for part in parts for loss in part.losses]
        if not losses:
            return tf.zeros(())
        if not self.masked:
            return tf.add_n([tf.reduce_sum(tf.cast(loss, "float32")) for loss in losses])
        layers = {layer for part in parts for layer in part.layers}
        names = self.objective.tasks
        total = tf.zeros(())
        for layer, reached_by in graph.reach(self.model.outputs_by_task).items():
            if isinstance(layer, keras.Layer) and layer in layers:
                reached = [i for i, name in enumerate(names) if name in reached_by]
                always = any(name not in names for name in reached_by)
                on = tf.constant(True) if always else tf.reduce_any(tf.gather(active, reached))
                for loss in layer.losses:
                    total += tf.where(on, tf.reduce_sum(tf.cast(loss, "float32")), 0.0)
        return total

    def shared_groups(self) -> list[SharedGroup]:
        """Returns the variables that the tasks of the step share."""
        return shared_groups(self.owned, self.trained, self.columns)

    def look_ahead(self) -> LookAhead | None:
        """Returns what measures affinities in the step; `None` if they are not measured."""
        if self.affinity is None:
            return None
        return LookAhead(self.affinity, self.model, self.replicas, self.shared_groups())

    def loss_scale(self) -> Any:
        """Returns the factor, a scalar, of losses in the backward pass; not 1 in mixed precision with float16."""
        return self.model.optimizer.scale_loss(tf.ones(()))

    def apply(self, gradients: Sequence[Any], variables: Sequence[keras.Variable], active: Any, saved: Any) -> None:
        """Applies the gradients, and restores the state of dropped tasks.

        Args:
            gradients: sums over the replicas.
            variables: the variables of the gradients.
            active: `(tasks,)` booleans.
            saved: from `DroppedState.save`.
        """
        if variables:
            self.model.optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))
        if self.dropped:
            self.dropped.restore(saved, active)


def test_step(scope: Scope) -> Callable[[Any, Any], None]:
    """Returns an evaluation step, a function `(batch, task weights (tasks,))`."""
    objective, replicas = scope.objective, scope.replicas
    forward = graph.sub_model(scope.model.inputs_struct, scope.units)

    def step(data: Any, task_weights: Any) -> None:
        size = batch_size(data)
        data, not_empty = replicas.pad_empty_batch(data)
        batches = scope.batches(forward, data, task_weights > 0, not_empty, training=False)
        parts = objective.loss_parts(batches, training=False)
        additional = replicas.share(scope.additional_loss([forward], task_weights > 0))
        totals = objective.combine([(batch, part.totals) for batch, part in parts])
        found = [totals, additional, *objective.statistics(batches, size)]
        totals, additional, *statistics = replicas.all_reduce_sum(found)
        objective.record(batches, totals, tf.cast(additional, totals.dtype), statistics)

    return step


class LossesStep:
    """A training step with a single backward pass, for the weighted sum of the losses.

    Args:
        scope: the settings of the step.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._forward = graph.sub_model(scope.model.inputs_struct, scope.units)
        self._variables = scope.variables
        self._not_trained = scope.statistics
        self._groups, self._look_ahead = scope.shared_groups(), scope.look_ahead()

    def __call__(self, data: Any, task_weights: Any) -> None:
        """Trains on a batch.

        Args:
            data: the batch.
            task_weights: `(tasks,)`.
        """
        scope = self._scope
        objective, optimizer, live, replicas = scope.objective, scope.model.optimizer, scope.weighting, scope.replicas
        size = batch_size(data)
        data, not_empty = replicas.pad_empty_batch(data)
        active = task_weights > 0
        step = tf.identity(optimizer.iterations)
        saved = scope.dropped.save() if scope.dropped else []
        sees_update = live is not None and "losses_after" in live.weighting.needs
        before = values_of(scope.untrained) if sees_update or self._look_ahead else []
        trained = [variable.value for variable in self._variables]
        # Frozen variables are not watched, so no gradient flows to them.
        with tf.GradientTape(persistent=bool(scope.monitor or scope.affinity), watch_accessed_variables=False) as tape:
            tape.watch(trained)
            batches = scope.batches(self._forward, data, active, not_empty, training=True)
            parts = objective.loss_parts(batches, training=True)
            own_totals = objective.combine([(batch, part.totals) for batch, part in parts])
            own_additional = replicas.share(scope.additional_loss([self._forward], active))
            with tape.stop_recording():
                totals, additional = replicas.all_reduce_sum([own_totals, own_additional])
            losses = tf.math.divide_no_nan(totals[:, 0], totals[:, 1])
            # This replica's part of the losses.
            own = tf.math.divide_no_nan(own_totals[:, 0], totals[:, 1]) if replicas.count > 1 else losses
            if any(part.trained is not None for _, part in parts):
                own = objective.combine(
                    [(batch, trained_part(objective.tasks, batch, part, totals)) for batch, part in parts]
                )
            weights, result = tf.cast(task_weights, own.dtype), None
            if live:
                # A task without a label in the batch has the loss 0, which must not change the weighting.
                preference = tf.where(totals[:, 1] > 0, weights, tf.zeros_like(weights))
                result = live.step(losses=tf.stop_gradient(losses), preference=preference)
                weights = tf.stop_gradient(result.weights)
            own_total = tf.reduce_sum(weights * own) + tf.cast(own_additional, own.dtype)
            scaled = optimizer.scale_loss(own_total)
        gradients = tape.gradient(scaled, trained)
        counted = tf.logical_and(active, totals[:, 1] > 0)
        if scope.monitor is not None:
            self._monitor_gradients(scope.monitor, tape, own, counted)
        if self._look_ahead:
            task_gradient = functools.partial(self._task_gradient, tape, own)
            losses_again = functools.partial(self._losses_again, data, before, active, not_empty)
            self._look_ahead.measure(losses, counted, task_gradient, losses_again)
        statistics = objective.statistics(batches, size)
        gradients, statistics = replicas.all_reduce_step(gradients, self._not_trained, statistics)
        scope.apply(gradients, self._variables, active, saved)
        if live and result:
            after = self._losses_again(data, before, active, not_empty) if sees_update else None
            live.store(result.state, optimizer.iterations > step, (losses, after, preference))
        total = tf.reduce_sum(weights * losses) + tf.cast(additional, losses.dtype)
        objective.record(batches, totals, total, statistics, (weights, active), step)

    def _monitor_gradients(self, monitor: GradientStatistics, tape: tf.GradientTape, own: Any, active: Any) -> None:
        """Adds the inner products of the tasks' gradients to `monitor`; the step itself does not need them."""
        scope = self._scope
        scale = scope.loss_scale()
        matrices = []
        for group in self._groups:
            sources = [variable.value for variable in group.variables]
            rows = []
            for task in group.tasks:
                seed = tf.cast(scale, own.dtype) * tf.one_hot(task, len(scope.objective.tasks), dtype=own.dtype)
                rows.append(tape.gradient(own, sources, seed, unconnected_gradients=tf.UnconnectedGradients.ZERO))
            matrices.append(group.matrix(rows) / scale)
        matrices = scope.replicas.all_reduce_sum(matrices)
        monitor.add(gramian(self._groups, matrices, matrices, active), active)

    def _task_gradient(self, tape: tf.GradientTape, own: Any, weights: Any) -> list[Any]:
        """Returns this replica's gradients, times the loss scale, of a weighted sum of losses for shared variables."""
        sources = [variable.value for group in self._groups for variable in group.variables]
        seed = tf.cast(self._scope.loss_scale() * weights, own.dtype)
        return list(tape.gradient(own, sources, seed, unconnected_gradients=tf.UnconnectedGradients.ZERO))

    def _losses_again(self, data: Any, before: Sequence[Any], active: Any, not_empty: Any) -> Any:
        """Returns the losses `(tasks,)` of the batch after a step, computed with the same dropout masks as before.

        Args:
            data: the batch.
            before: the values of `Scope.untrained` before the forward pass of the step.
            active: `(tasks,)` booleans.
            not_empty: from `Replicas.pad_empty_batch`.
        """
        scope, objective = self._scope, self._scope.objective
        with replayed(scope.untrained, before):
            batches = scope.batches(self._forward, data, active, not_empty, training=True)
            parts = objective.loss_parts(batches, training=True)
            (totals,) = scope.replicas.all_reduce_sum([objective.combine([(one, part.totals) for one, part in parts])])
        return tf.math.divide_no_nan(totals[:, 0], totals[:, 1])
