"""The training step of weightings that see the gradients of the tasks: a backward pass a task, combined linearly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras import gradients, subgraph
from mtl_keras.trainers import replicas
from mtl_keras.trainers.forward_pass import Backward, ForwardPass
from mtl_keras.trainers.scope import Scope, batch_size
from mtl_keras.weightings.base import State
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.jacobian import JacobianWeighting

Matrices = list[list[Any]] | None


@dataclass(frozen=True)
class _Seen:
    """What a weighting is asked with: the gradients of each part of the batch, and what goes with them.

    Args:
        back: of each part of the batch; multiplied by the loss scale and by the part's share of the samples.
        shares: for each part, `(tasks,)` share of a task's labelled samples.
        losses: `(tasks,)`.
        preference: `(tasks,)`.
        active: `(tasks,)` booleans.
        scale: the loss scale.
        state: what the weighting remembers.
    """

    back: Sequence[Backward]
    shares: Sequence[Any]
    losses: Any
    preference: Any
    active: Any
    scale: Any
    state: State


class TaskGradientsStep:
    """A training step of a `GramianWeighting` or a `JacobianWeighting`.

    The network is cut where its shared part ends. Each task's loss is taken back to the cut, with the gradients of
    the task's own variables on the way, and from there through the shared part, by itself or, where that will do,
    added up with the others.

    Args:
        scope: what it works on.

    Raises:
        ValueError: if its weighting sees no gradients.
    """

    def __init__(self, scope: Scope) -> None:
        live = scope.weighting
        if live is None or not isinstance(live.weighting, (GramianWeighting, JacobianWeighting)):
            raise ValueError(f"Not a weighting that sees gradients. Received: {live and live.weighting!r}")
        self._scope, self._live, self._weighting = scope, live, live.weighting
        outputs = scope.model.outputs_by_task
        self._cut = subgraph.cut(scope.model.inputs_struct, scope.units, outputs)
        self._groups = gradients.shared_groups(scope.owned, scope.trained, scope.columns)
        self._shared = [variable for group in self._groups for variable in group.variables]
        known = {id(variable) for variable in self._shared}
        self._private = [variable for variable in scope.variables if id(variable) not in known]
        self._sees_parameters = not getattr(live.weighting, "representation", False)

    def __call__(self, data: Any, task_weights: Any) -> None:
        """Trains on a batch.

        Args:
            data: the batch.
            task_weights: `(tasks,)`.
        """
        scope, weighting = self._scope, self._weighting
        objective, optimizer = scope.objective, scope.model.optimizer
        size = batch_size(data)
        data, there = replicas.filled(data)
        running = task_weights > 0
        step = tf.identity(optimizer.iterations)
        kept = scope.freezer.remember() if scope.freezer else []
        in_halves = isinstance(weighting, GramianWeighting) and weighting.two_halves
        parts = _halves(data) if in_halves else [data]
        models = [self._cut.trunk, *(head for head in self._cut.heads if head)]
        counting = replicas.counting(running if scope.masked else None, there, len(objective.tasks))
        variables = [*self._shared, *self._private]
        # Of what is frozen nothing is recorded, and so nothing taken back.
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            passes = [ForwardPass(scope, self._cut, tape, part, counting) for part in parts]
            own_additional = replicas.share(scope.additional_loss(models, running))
            scale = scope.loss_scale()
            scaled = own_additional * scale
        (additional,) = replicas.summed([own_additional])
        totals = tf.add_n([one.totals for one in passes])
        losses = tf.math.divide_no_nan(totals[:, 0], totals[:, 1])
        # A task without a label in the batch has the loss 0, which is not for a weighting to see.
        active = tf.logical_and(running, totals[:, 1] > 0)
        preference = tf.where(active, task_weights, 0.0)
        shares = [tf.math.divide_no_nan(one.totals[:, 1], totals[:, 1]) for one in passes]
        back = [Backward(one, self._private, preference, scale * share) for one, share in zip(passes, shares)]
        seen = _Seen(back, shares, losses, preference, active, scale, self._live.state())
        weights, shared, new = self._shared_gradients(seen)
        # One task alone is not weighed against others.
        weights = tf.where(tf.reduce_sum(tf.cast(active, tf.int32)) > 1, weights, preference)
        private = [tf.add_n([one.private[place] for one in back]) for place in range(len(self._private))]
        batches = [batch for one in passes for batch in one.batches]
        statistics = objective.statistics(batches, size)
        # The gradients of the shared variables are sums over the replicas already, if the weighting saw them.
        known, own = (shared, private) if self._sees_parameters else ([], [*shared, *private])
        own, statistics = replicas.exchange(own, scope.statistics, statistics)
        found = [*known, *own]
        if any(model.losses for model in models):
            zero = tf.UnconnectedGradients.ZERO
            extra = tape.gradient(scaled, [variable.value for variable in variables], unconnected_gradients=zero)
            extra = replicas.summed([tf.convert_to_tensor(other) for other in extra])
            found = [one + other for one, other in zip(found, extra, strict=True)]
        optimizer.apply(found, variables)
        if scope.freezer:
            scope.freezer.restore(kept, running)
        self._live.remember(new, optimizer.iterations > step)
        total = tf.reduce_sum(weights * losses) + additional
        objective.record(batches, totals, total, statistics, (weights, running), step)

    def _shared_gradients(self, seen: _Seen) -> tuple[Any, list[Any], State]:
        """Returns the weights `(tasks,)`, the gradients of the shared variables, and what is remembered."""
        weighting, monitor = self._weighting, self._scope.monitor
        if not self._scope.contested:  # nothing is shared, or all of it is frozen
            return seen.preference, [], seen.state
        matrices = None
        if monitor is not None:
            matrices = [one.through(self._groups) for one in seen.back]
            whole = _added(matrices)
            monitor.add(gradients.gramian(self._groups, whole, whole, seen.active) / seen.scale**2, seen.active)
        if isinstance(weighting, JacobianWeighting):
            return self._combined(weighting, seen, matrices or [one.through(self._groups) for one in seen.back])
        gramian = None
        if replicas.count() > 1:
            # All replicas have to take part in the sums, which a branch of a condition does not allow.
            matrices = matrices or self._matrices(seen)
            gramian = self._gramian(seen, matrices)
        if weighting.update_every == 1:
            return self._weighed(weighting, seen, matrices, gramian)
        return self._now_and_then(weighting, seen, matrices, gramian)

    def _matrices(self, seen: _Seen) -> Matrices:
        """The gradients of each task, for each part of the batch; `None` where the weighting does not see them."""
        return [one.through(self._groups) for one in seen.back] if self._sees_parameters else None

    def _gramian(self, seen: _Seen, matrices: Matrices) -> Any:
        """The inner products `(tasks, tasks)` that the weighting is asked with."""
        if not self._sees_parameters or matrices is None:
            (back,) = seen.back
            rows = back.at_the_cut()
            (product,) = replicas.summed([rows @ tf.transpose(rows)])
            return product / seen.scale**2
        gramian = gradients.gramian(self._groups, matrices[0], matrices[-1], seen.active) / seen.scale**2
        return tf.math.divide_no_nan(gramian, seen.shares[0][:, None] * seen.shares[-1][None, :])

    def _weighed(
        self, weighting: GramianWeighting, seen: _Seen, matrices: Matrices, gramian: Any
    ) -> tuple[Any, list[Any], State]:
        """Asks the weighting, and adds the gradients up with its weights."""
        matrices = matrices or self._matrices(seen)
        gramian = self._gramian(seen, matrices) if gramian is None else gramian
        weights, new = weighting.step(gramian, seen.losses, seen.preference, seen.state)
        return weights, self._added_up(seen, weights, matrices), new

    def _now_and_then(
        self, weighting: GramianWeighting, seen: _Seen, matrices: Matrices, gramian: Any
    ) -> tuple[Any, list[Any], State]:
        """Asks the weighting in every so many steps, and whenever other tasks run; else uses the weights again."""
        names = list(seen.state)

        def fresh() -> list[Any]:
            weights, shared, new = self._weighed(weighting, seen, matrices, gramian)
            merged = {**new, "last_weights": weights, "last_active": seen.active, "age": tf.zeros_like(weights)}
            return [weights, *shared, *(tf.cast(merged[name], tf.float32) for name in names)]

        def reused() -> list[Any]:
            weights = tf.identity(seen.state["last_weights"])
            merged = {**seen.state, "age": seen.state["age"] + 1}
            return [weights, *self._added_up(seen, weights, matrices), *(tf.identity(merged[name]) for name in names)]

        same = tf.reduce_all(tf.equal(tf.cast(seen.active, tf.float32), seen.state["last_active"]))
        result = tf.cond(same & (seen.state["age"][0] + 1 < weighting.update_every), reused, fresh)
        count = 1 + len(self._shared)
        return result[0], result[1:count], dict(zip(names, result[count:], strict=True))

    def _added_up(self, seen: _Seen, weights: Any, matrices: Matrices) -> list[Any]:
        """The gradients of the shared variables of the weighted sum of the losses.

        Of gradients of each task that are known, or by one backward pass: then they are this replica's share.
        """
        found = []
        for place, group in enumerate(self._groups):
            row = group.weights(weights, seen.preference, seen.active)
            if self._sees_parameters and matrices is not None:
                found += group.gradients((row[None, :] @ _added(matrices)[place])[0])
            else:
                parts = [one.added(group, row) for one in seen.back]
                found += [tf.add_n(list(same)) for same in zip(*parts, strict=True)]
        return found

    def _combined(
        self, weighting: JacobianWeighting, seen: _Seen, matrices: list[list[Any]]
    ) -> tuple[Any, list[Any], State]:
        """Asks a weighting that sees the gradients themselves."""
        tasks = len(self._scope.objective.tasks)
        rows: dict[int, Any] = {}
        alone: list[Any] = []
        contested: list[Any] = []
        for group, matrix in zip(self._groups, _added(matrices), strict=True):
            several = group.contested(seen.active)
            contested += [several] * len(group.variables)
            alone += group.gradients((group.take(seen.preference)[None, :] @ matrix)[0])
            spread = tf.where(several, group.spread(matrix, tasks), 0.0) / seen.scale
            ends = np.cumsum([_size(variable) for variable in group.variables]).tolist()
            for variable, end in zip(group.variables, ends, strict=True):
                rows[id(variable)] = spread[:, end - _size(variable) : end]
        # Every coordinate has its place, whether its variable is shared now or not: what is remembered stays with it.
        layout = self._live.coordinates
        blocks = [rows[id(one)] if id(one) in rows else tf.zeros((tasks, _size(one))) for one in layout]
        jacobian = tf.concat(blocks, axis=1)
        vector, weights, new = weighting.step(jacobian, seen.losses, seen.preference, seen.state)
        parts = {id(one): part for one, part in zip(layout, gradients.cut_up(vector * seen.scale, layout), strict=True)}
        found = [
            tf.where(several, parts[id(variable)], own)
            for variable, own, several in zip(self._shared, alone, contested, strict=True)
        ]
        return weights, found, new


def _size(variable: keras.Variable) -> int:
    return int(np.prod(variable.shape))


def _added(matrices: Sequence[Sequence[Any]]) -> list[Any]:
    """Adds up, group by group, the gradients of the parts of a batch."""
    return [tf.add_n(list(parts)) for parts in zip(*matrices, strict=True)]


def _halves(data: Any) -> list[Any]:
    """Every other sample of a batch, and the rest; a sample that is alone is in both."""
    size = batch_size(data)
    return [_taken(data, tf.range(0, size, 2)), _taken(data, tf.range(tf.minimum(1, size - 1), size, 2))]


def _taken(data: Any, places: Any) -> Any:
    return keras.tree.map_structure(lambda part: None if part is None else tf.gather(part, places), data)
