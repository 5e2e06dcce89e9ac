"""The training step of weightings that need gradients, with one backward pass per task."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.distribution import batch_size
from mtl_keras.training import graph
from mtl_keras.training.backward import ForwardPass, TaskGradients
from mtl_keras.training.gradients import SharedGroup, gramian, unflatten
from mtl_keras.training.look_ahead import replayed, values_of
from mtl_keras.training.state import LiveWeighting
from mtl_keras.training.step import Scope
from mtl_keras.weightings import State


@dataclass(frozen=True)
class _StepValues:
    """The losses and gradients from which the weights of a step are computed.

    Args:
        gradients: for each part of the batch, the gradients of the tasks, multiplied by the loss scale and by `shares`.
        shares: for each part of the batch, `(tasks,)` its share of each task's labelled samples.
        losses: `(tasks,)`.
        preference: `(tasks,)`.
        active: `(tasks,)` booleans.
        scale: the loss scale.
    """

    gradients: Sequence[TaskGradients]
    shares: Sequence[Any]
    losses: Any
    preference: Any
    active: Any
    scale: Any


class GradientsStep:
    """A training step of a weighting that needs gradients, with one backward pass per task.

    The network is cut at the end of its shared part. One backward pass per task goes from its loss to the cut, and
    gives the gradients of its private variables. Through the shared part there is one pass per task or, if the weights
    are known already, a single pass for the weighted sum.

    Args:
        scope: the settings of the step.
        live: the weighting and its state.
        contested: whether any trainable variable is shared by several tasks of the model, active or not.
    """

    def __init__(self, scope: Scope, live: LiveWeighting, contested: bool) -> None:
        self._scope, self._live, self._needs = scope, live, live.weighting.needs
        self._contested = contested
        outputs = scope.model.outputs_by_task
        self._cut = graph.cut(scope.model.inputs_struct, scope.units, outputs)
        self._groups, self._look_ahead = scope.shared_groups(), scope.look_ahead()
        self._shared = [variable for group in self._groups for variable in group.variables]
        known = {id(variable) for variable in self._shared}
        reached = {id(entry.variable) for entry in scope.owned if entry.reached[:, scope.columns].any()}
        self._private = [one for one in scope.variables if id(one) in reached and id(one) not in known]
        # Variables of outputs without a loss: only regularizers train them.
        self._others = [one for one in scope.variables if id(one) not in reached]
        self._sees_parameters = "representation" not in self._needs

    def __call__(self, data: Any, task_weights: Any) -> None:
        """Trains on a batch.

        Args:
            data: the batch.
            task_weights: `(tasks,)`.
        """
        scope, replicas = self._scope, self._scope.replicas
        objective, optimizer = scope.objective, scope.model.optimizer
        size = batch_size(data)
        data, not_empty = replicas.pad_empty_batch(data)
        running = task_weights > 0
        step = tf.identity(optimizer.iterations)
        saved = scope.dropped.save() if scope.dropped else []
        before = values_of(scope.untrained) if self._look_ahead else []
        parts = _halves(data) if "two_halves" in self._needs else [data]
        models = [self._cut.trunk, *(head for head in self._cut.heads if head)]
        counted = replicas.counted_tasks(running if scope.masked else None, not_empty, len(objective.tasks))
        variables = [*self._shared, *self._private, *self._others]
        # Frozen variables are not watched, so no gradient flows to them.
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            passes = [ForwardPass(scope, self._cut, tape, part, counted) for part in parts]
            own_additional = replicas.share(scope.additional_loss(models, running))
            scale = scope.loss_scale()
            scaled = own_additional * scale
        (additional,) = replicas.all_reduce_sum([own_additional])
        totals = tf.add_n([one.totals for one in passes])
        losses = tf.math.divide_no_nan(totals[:, 0], totals[:, 1])
        # A task without a label in the batch has the loss 0, which must not change the weighting.
        active = tf.logical_and(running, totals[:, 1] > 0)
        preference = tf.where(active, task_weights, 0.0)
        shares = [tf.math.divide_no_nan(one.totals[:, 1], totals[:, 1]) for one in passes]
        gradients = [TaskGradients(one, self._private, preference, scale * share) for one, share in zip(passes, shares)]
        values = _StepValues(gradients, shares, losses, preference, active, scale)
        weights, shared, new = self._shared_gradients(values)
        if self._look_ahead:
            task_gradient = functools.partial(self._task_gradient, values)
            losses_again = functools.partial(self._losses_again, parts, before, counted)
            self._look_ahead.measure(losses, active, task_gradient, losses_again)
        # A single active task keeps its preference as weight.
        weights = tf.where(tf.reduce_sum(tf.cast(active, tf.int32)) > 1, weights, preference)
        private = [tf.add_n([one.private[place] for one in gradients]) for place in range(len(self._private))]
        batches = [batch for one in passes for batch in one.batches]
        statistics = objective.statistics(batches, size)
        # If the weighting uses the gradients of shared variables, they are already summed over the replicas.
        known, own = (shared, private) if self._sees_parameters else ([], [*shared, *private])
        own, statistics = replicas.all_reduce_step(own, scope.statistics, statistics)
        found = [*known, *own, *([None] * len(self._others))]
        if any(model.losses for model in models):
            extra = tape.gradient(scaled, [variable.value for variable in variables])
            extra = replicas.all_reduce_sum([None if other is None else tf.convert_to_tensor(other) for other in extra])
            both = zip(found, extra, strict=True)
            found = [one if other is None else other if one is None else one + other for one, other in both]
        scope.apply(found, variables, running, saved)
        self._live.store(new, optimizer.iterations > step)
        total = tf.reduce_sum(weights * losses) + additional
        objective.record(batches, totals, total, statistics, (weights, running), step)

    def _shared_gradients(self, values: _StepValues) -> tuple[Any, list[Any], State]:
        """Returns the weights `(tasks,)`, the gradients of the shared variables, and the new state."""
        monitor = self._scope.monitor
        # No trainable variable is shared; or one task runs alone, so that there is no shared representation.
        if not self._contested or not (self._groups or self._sees_parameters):
            return values.preference, [], {}
        matrices = None
        if monitor is not None:
            matrices = self._task_gradients(values)
            whole = _sum_parts(matrices)
            monitor.add(gramian(self._groups, whole, whole, values.active) / values.scale**2, values.active)
        if "jacobian" in self._needs:
            return self._jacobian_step(values, matrices or self._task_gradients(values))
        product = None
        if self._scope.replicas.count > 1:
            # Sums over replicas are not possible in a branch of a condition, so they are computed before it.
            matrices = matrices or self._parameter_gradients(values)
            product = self._gramian(values, matrices)
        if self._live.weighting.update_every == 1:
            return self._weighted_step(values, matrices, product)
        return self._every_n_steps(values, matrices, product)

    def _task_gradients(self, values: _StepValues) -> list[list[Any]]:
        """Returns the gradients of each task, for each part of the batch."""
        return [one.shared_gradients(self._groups) for one in values.gradients]

    def _parameter_gradients(self, values: _StepValues) -> list[list[Any]] | None:
        """Returns the result of `_task_gradients`, or `None` for a weighting that uses the representation instead."""
        return self._task_gradients(values) if self._sees_parameters else None

    def _gramian(self, values: _StepValues, matrices: list[list[Any]] | None) -> Any:
        """Returns the Gramian `(tasks, tasks)` for the weighting, without loss scale and shares of the batch."""
        if not self._sees_parameters or matrices is None:
            (gradients,) = values.gradients
            rows = gradients.representation_gradients()
            (product,) = self._scope.replicas.all_reduce_sum([rows @ tf.transpose(rows)])
            return product / values.scale**2
        product = gramian(self._groups, matrices[0], matrices[-1], values.active) / values.scale**2
        return tf.math.divide_no_nan(product, values.shares[0][:, None] * values.shares[-1][None, :])

    def _weighted_step(self, values: _StepValues, matrices: Any, product: Any) -> tuple[Any, list[Any], State]:
        """Returns the weights of this step, the weighted sum of the gradients, and the new state."""
        matrices = matrices or self._parameter_gradients(values)
        product = self._gramian(values, matrices) if product is None else product
        step = self._live.step(losses=values.losses, preference=values.preference, gramian=product)
        return step.weights, self._weighted_sum(values, step.weights, matrices), step.state

    def _every_n_steps(self, values: _StepValues, matrices: Any, product: Any) -> tuple[Any, list[Any], State]:
        """Computes new weights every `update_every` steps and when task weights change; else reuses the last."""
        state = self._live.state()
        names = list(state)

        def fresh() -> list[Any]:
            weights, shared, new = self._weighted_step(values, matrices, product)
            merged = {**state, **new, "last_weights": weights, "last_preference": values.preference, "age": weights * 0}
            return [weights, *shared, *(tf.cast(merged[name], tf.float32) for name in names)]

        def reused() -> list[Any]:
            weights = tf.identity(state["last_weights"])
            merged = {**state, "age": state["age"] + 1}
            shared = self._weighted_sum(values, weights, matrices)
            return [weights, *shared, *(tf.identity(merged[name]) for name in names)]

        same = tf.reduce_all(tf.equal(values.preference, state["last_preference"]))
        young = state["age"][0] + 1 < self._live.weighting.update_every
        result = tf.cond(same & young, reused, fresh)
        count = 1 + len(self._shared)
        return result[0], result[1:count], dict(zip(names, result[count:], strict=True))

    def _weighted_sum(self, values: _StepValues, weights: Any, matrices: Any) -> list[Any]:
        """Returns the gradients of the weighted sum of the losses for the shared variables.

        If the gradients of each task are known, they are combined; the result is summed over the replicas. Otherwise
        one backward pass computes this replica's part.
        """
        found = []
        for place, group in enumerate(self._groups):
            row = group.weights(weights, values.preference, values.active)
            if self._sees_parameters and matrices is not None:
                found += group.gradients((row[None, :] @ _sum_parts(matrices)[place])[0])
            else:
                found += self._by_one_pass(values, group, row)
        return found

    def _by_one_pass(self, values: _StepValues, group: SharedGroup, weights: Any) -> list[Any]:
        """Returns this replica's gradients of the losses weighted by `weights` `(tasks of the group,)`."""
        parts = [one.weighted_sum(group, weights) for one in values.gradients]
        return [tf.add_n(list(same)) for same in zip(*parts, strict=True)]

    def _task_gradient(self, values: _StepValues, weights: Any) -> list[Any]:
        """Returns this replica's gradients, times the loss scale, of a weighted sum of losses for shared variables."""
        return [part for group in self._groups for part in self._by_one_pass(values, group, group.take(weights))]

    def _losses_again(self, parts: Sequence[Any], before: Sequence[Any], counted: Any) -> Any:
        """Returns the losses `(tasks,)` of the batch after a step, computed with the same dropout masks as before.

        Args:
            parts: the parts of the batch.
            before: the values of `Scope.untrained` before the forward passes of the step.
            counted: from `Replicas.counted_tasks`.
        """
        scope = self._scope
        with (
            replayed(scope.untrained, before),
            tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape,
        ):
            totals = tf.add_n([ForwardPass(scope, self._cut, tape, part, counted).totals for part in parts])
        return tf.math.divide_no_nan(totals[:, 0], totals[:, 1])

    def _jacobian_step(self, values: _StepValues, matrices: list[list[Any]]) -> tuple[Any, list[Any], State]:
        """Returns the weights, the direction that the weighting computes from the Jacobian, and the new state."""
        layout = self._live.coordinates
        jacobian, alone, contested = _jacobian(self._groups, _sum_parts(matrices), values, layout)
        product = self._gramian(values, matrices) if "gramian" in self._needs else None
        step = self._live.step(losses=values.losses, preference=values.preference, gramian=product, jacobian=jacobian)
        pieces = unflatten(step.direction * values.scale, layout)
        parts = {id(one): part for one, part in zip(layout, pieces, strict=True)}
        found = [
            tf.where(is_contested, parts[id(variable)], own)
            for variable, own, is_contested in zip(self._shared, alone, contested, strict=True)
        ]
        return step.weights, found, step.state


def _jacobian(
    groups: Sequence[SharedGroup], matrices: Sequence[Any], values: _StepValues, layout: Sequence[keras.Variable]
) -> tuple[Any, list[Any], list[Any]]:
    """Returns the Jacobian of the shared variables, and the gradients of variables that one active task uses.

    Args:
        groups: the shared variables.
        matrices: for each group, the gradients `(tasks of the group, coordinates)`.
        values: the losses and gradients of the step.
        layout: the variables of the coordinates. A variable that is not shared in this step has zeros in its place,
            because the state of the weighting belongs to coordinates.

    Returns:
        The Jacobian `(tasks, coordinates)`; for each shared variable the gradient of the losses weighted by preference,
        and a scalar boolean: whether several active tasks share it.
    """
    tasks = values.active.shape[0]
    rows: dict[int, Any] = {}
    alone: list[Any] = []
    contested: list[Any] = []
    for group, matrix in zip(groups, matrices, strict=True):
        is_contested = group.contested(values.active)
        contested += [is_contested] * len(group.variables)
        alone += group.gradients((group.take(values.preference)[None, :] @ matrix)[0])
        spread = tf.where(is_contested, group.scatter(matrix, tasks), 0.0) / values.scale
        sizes = [int(np.prod(variable.shape)) for variable in group.variables]
        pieces = tf.split(spread, sizes, axis=1)
        rows |= {id(variable): piece for variable, piece in zip(group.variables, pieces, strict=True)}
    zeros = [tf.zeros((tasks, int(np.prod(one.shape)))) for one in layout if id(one) not in rows]
    blanks = iter(zeros)
    blocks = [rows[id(one)] if id(one) in rows else next(blanks) for one in layout]
    return tf.concat(blocks, axis=1), alone, contested


def _sum_parts(matrices: Sequence[Sequence[Any]]) -> list[Any]:
    """Sums the gradients over the parts of a batch, group by group."""
    return [tf.add_n(list(parts)) for parts in zip(*matrices, strict=True)]


def _halves(data: Any) -> list[Any]:
    """Returns the samples of a batch with even index, and those with odd index; a single sample is in both."""
    size = batch_size(data)
    return [_gather(data, tf.range(0, size, 2)), _gather(data, tf.range(tf.minimum(1, size - 1), size, 2))]


def _gather(data: Any, places: Any) -> Any:
    """Returns the samples of a batch at the given indices."""
    return keras.tree.map_structure(lambda part: None if part is None else tf.gather(part, places), data)
