"""The training step of weightings that see losses: one backward pass, of the weighted sum of the losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mtl_keras import subgraph
from mtl_keras.batches import Predictions
from mtl_keras.gradient_statistics import GradientStatistics
from mtl_keras.gradients import gramian, shared_groups
from mtl_keras.objective import Batches
from mtl_keras.trainers import replicas
from mtl_keras.trainers.scope import Scope, batch_size
from mtl_keras.weightings.base import LossWeighting


class WeightedLossStep:
    """A training step of fixed task weights, or of a `LossWeighting`.

    Args:
        scope: what it works on.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._forward = subgraph.sub_model(scope.model.inputs_struct, scope.units)
        self._variables = scope.variables
        self._not_trained = scope.statistics

    def __call__(self, data: Any, task_weights: Any) -> None:
        """Trains on a batch.

        Args:
            data: the batch.
            task_weights: `(tasks,)`.
        """
        scope = self._scope
        objective, optimizer, live = scope.objective, scope.model.optimizer, scope.weighting
        size = batch_size(data)
        data, there = replicas.filled(data)
        active = task_weights > 0
        step = tf.identity(optimizer.iterations)
        kept = scope.freezer.remember() if scope.freezer else []
        weighting = live.weighting if live and isinstance(live.weighting, LossWeighting) else None
        sees_update = weighting is not None and weighting.sees_update
        seeds = [tf.identity(variable.value) for variable in self._not_trained] if sees_update else []
        state = live.state() if live else {}
        trained = [variable.value for variable in self._variables]
        # Of what is frozen nothing is recorded, and so nothing taken back.
        with tf.GradientTape(persistent=scope.monitor is not None, watch_accessed_variables=False) as tape:
            tape.watch(trained)
            batches = self._batches(data, active, there)
            own_totals = objective.loss_totals(batches)
            own_additional = replicas.share(scope.additional_loss([self._forward], active))
            with tape.stop_recording():
                loss_totals, additional = replicas.summed([own_totals, own_additional])
            # What this replica's samples add to the losses.
            own = tf.math.divide_no_nan(own_totals[:, 0], loss_totals[:, 1])
            losses = own if replicas.count() == 1 else tf.math.divide_no_nan(loss_totals[:, 0], loss_totals[:, 1])
            # A task without a label in the batch has the loss 0, which is not for a weighting to see.
            preference = tf.where(loss_totals[:, 1] > 0, task_weights, 0.0) if weighting else task_weights
            weights = task_weights
            if weighting:
                weights = tf.stop_gradient(weighting(tf.stop_gradient(losses), preference, state))
            own_total = tf.reduce_sum(weights * own) + own_additional
            scaled = optimizer.scale_loss(own_total)
        gradients = tape.gradient(scaled, trained)
        if scope.monitor is not None:
            self._look(scope.monitor, tape, own, tf.logical_and(active, loss_totals[:, 1] > 0))
        statistics = objective.statistics(batches, size)
        gradients, statistics = replicas.exchange(gradients, self._not_trained, statistics)
        optimizer.apply(gradients, self._variables)
        if scope.freezer:
            scope.freezer.restore(kept, active)
        moved = optimizer.iterations > step
        if live and weighting:
            new = weighting.after_step(losses, preference, state)
            if sees_update:
                after = self._losses_again(data, seeds, active, there)
                new = weighting.after_update(losses, after, preference, new)
            live.remember(new, moved)
        total = own_total if replicas.count() == 1 else tf.reduce_sum(weights * losses) + additional
        objective.record(batches, loss_totals, total, statistics, (weights, active), step)

    def _batches(self, data: Any, active: Any, there: Any) -> Batches:
        """Takes a batch through the network."""
        scope = self._scope
        x, y, sample_weight = scope.model.unpack(data)
        predictions = Predictions(scope.units, self._forward(x, training=True))
        counting = replicas.counting(active if scope.masked else None, there, len(scope.objective.tasks))
        return scope.objective.batches(scope.tasks, y, predictions, sample_weight, counting)

    def _look(self, monitor: GradientStatistics, tape: tf.GradientTape, own: Any, active: Any) -> None:
        """Takes down the inner products of the tasks' gradients, which the step itself has no need of."""
        scope = self._scope
        groups = shared_groups(scope.owned, scope.trained, scope.columns)
        scale = scope.loss_scale()
        matrices = []
        for group in groups:
            sources = [variable.value for variable in group.variables]
            rows = []
            for task in group.tasks:
                seed = scale * tf.one_hot(task, len(scope.objective.tasks))
                rows.append(tape.gradient(own, sources, seed, unconnected_gradients=tf.UnconnectedGradients.ZERO))
            matrices.append(group.matrix(rows) / scale)
        matrices = replicas.summed(matrices)
        monitor.add(gramian(groups, matrices, matrices, active), active)

    def _losses_again(self, data: Any, seeds: Sequence[Any], active: Any, there: Any) -> Any:
        """Returns the losses `(tasks,)` of the batch after the step, with the dropout masks that it had before."""
        moved = [tf.identity(variable.value) for variable in self._not_trained]
        _assign(self._not_trained, seeds)
        (totals,) = replicas.summed([self._scope.objective.loss_totals(self._batches(data, active, there))])
        _assign(self._not_trained, moved)
        return tf.math.divide_no_nan(totals[:, 0], totals[:, 1])


def _assign(variables: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
