"""A batch taken through the network, and its losses taken back, task by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.batches import Predictions
from mtl_keras.gradients import SharedGroup
from mtl_keras.subgraph import Cut
from mtl_keras.trainers import replicas
from mtl_keras.trainers.scope import Scope


class ForwardPass:
    """The losses of a batch.

    Args:
        scope: what the training step works on.
        cut: where the shared part of its network ends.
        tape: records; must be persistent.
        data: the batch.
        counting: `(tasks,)` booleans, if some of the tasks may be dropped at run time.

    Attributes:
        batches: the batch of each unit, as `Objective.batches` gives it.
        totals: `(tasks, 2)`: each task's summed loss and labelled samples, on all replicas together.
        losses: for each of `batches`, what its samples add to the losses of its tasks.
    """

    def __init__(self, scope: Scope, cut: Cut, tape: tf.GradientTape, data: Any, counting: Any) -> None:
        self.scope, self.cut, self.tape = scope, cut, tape
        x, y, sample_weight = scope.model.unpack(data)
        self.outside = keras.tree.flatten(cut.trunk(x, training=True))
        # Through copies, so that the derivative by one tensor of the cut is not also that by those made from it.
        self.inside = [_copy(tensor) for tensor in self.outside]
        tape.watch([self.inside[place] for place in cut.features])
        tensors = {}
        for unit, head, needed in zip(scope.units, cut.heads, cut.needed, strict=True):
            read = [self.inside[place] for place in needed]
            tensors[unit.tasks[0]] = head(read, training=True) if head else read[0]
        predictions = Predictions(scope.units, tensors)
        # Unit by unit: the losses of alike tasks in one array would take zeros back through each other's heads.
        self.batches: list[Any] = []
        self.units: list[int] = []
        for place, unit in enumerate(scope.units):
            found = scope.objective.batches(unit.tasks, y, predictions, sample_weight, counting)
            self.batches += found
            self.units += [place] * len(found)
        parts = scope.objective.loss_parts(self.batches)
        totals = scope.objective.loss_totals(self.batches, parts)
        counts = [part[:, 1] for part in parts]
        if replicas.count() > 1:
            with tape.stop_recording():
                (totals,) = replicas.summed([totals])
            names = scope.objective.tasks
            places = [[names.index(task) for task in batch.tasks] for _, batch in self.batches]
            counts = [tf.gather(totals[:, 1], tasks) for tasks in places]
        self.totals = totals
        self.losses = [tf.math.divide_no_nan(part[:, 0], known) for part, known in zip(parts, counts, strict=True)]


class Backward:
    """The gradients of a batch's losses with respect to what lies behind the cut, and the way from there.

    Args:
        forward: the forward pass.
        private: the variables that one task has to itself.
        preference: `(tasks,)` what a task's own gradients are multiplied by.
        scale: `(tasks,)` what all of a task's gradients are multiplied by.

    Attributes:
        private: the gradient of each private variable, this replica's share.
    """

    def __init__(self, forward: ForwardPass, private: Sequence[keras.Variable], preference: Any, scale: Any) -> None:
        self._forward = forward
        self._names = forward.scope.objective.tasks
        found_private: list[list[Any]] = [[] for _ in private]
        self._at_cut: dict[int, dict[int, Any]] = {}
        owned = {id(entry.variable): set(np.flatnonzero(entry.reached.any(axis=0))) for entry in forward.scope.owned}
        features = set(forward.cut.features)
        for (_, batch), unit, losses in zip(forward.batches, forward.units, forward.losses, strict=True):
            tasks = [self._names.index(task) for task in batch.tasks]
            cut = [place for place in forward.cut.needed[unit] if place in features]
            own = [place for place, variable in enumerate(private) if owned[id(variable)] & set(tasks)]
            tensors = [forward.inside[place] for place in cut]
            variables = [private[place].value for place in own]
            seeds = tf.gather(scale, tasks)
            if len(tasks) == 1:
                found = self._gradient(losses, [*tensors, *variables], seeds)
                self._at_cut[tasks[0]] = dict(zip(cut, found, strict=False))
                mine = [gradient * preference[tasks[0]] for gradient in found[len(cut) :]]
            else:
                for row, task in enumerate(tasks):
                    seed = seeds * tf.one_hot(row, len(tasks))
                    self._at_cut[task] = dict(zip(cut, self._gradient(losses, tensors, seed), strict=True))
                mine = self._gradient(losses, variables, seeds * tf.gather(preference, tasks))
            for place, gradient in zip(own, mine, strict=True):
                found_private[place].append(gradient)
        self.private = [tf.add_n(parts) for parts in found_private]

    def through(self, groups: Sequence[SharedGroup]) -> list[Any]:
        """Takes each task's gradients through the shared part, one backward pass a task.

        Returns:
            For each group, `(tasks of the group, coordinates)` gradients, summed over the replicas.
        """
        rows: dict[int, list[list[Any]]] = {}
        for task in sorted({task for group in groups for task in group.tasks}):
            mine = [place for place, group in enumerate(groups) if task in group.tasks]
            sources = [variable.value for place in mine for variable in groups[place].variables]
            at_cut = self._at_cut[task]
            targets = [self._forward.outside[place] for place in at_cut]
            found = iter(self._gradient(targets, sources, list(at_cut.values())))
            for place in mine:
                rows.setdefault(place, []).append([next(found) for _ in groups[place].variables])
        return replicas.summed([group.matrix(rows[place]) for place, group in enumerate(groups)])

    def added(self, group: SharedGroup, weights: Any) -> list[Any]:
        """Returns the gradient of each variable of a group of the weighted sum of the losses, by one backward pass.

        That is this replica's share of the gradient.

        Args:
            group: the variables.
            weights: `(tasks of the group,)`.
        """
        sums: dict[int, Any] = {}
        for row, task in enumerate(group.tasks):
            for place, gradient in self._at_cut[task].items():
                weighted = gradient * tf.cast(weights[row], gradient.dtype)
                sums[place] = sums[place] + weighted if place in sums else weighted
        targets = [self._forward.outside[place] for place in sums]
        return self._gradient(targets, [variable.value for variable in group.variables], list(sums.values()))

    def at_the_cut(self) -> Any:
        """Returns the gradients `(tasks, coordinates)` float32 with respect to this replica's tensors of the cut."""
        rows = []
        for task in range(len(self._names)):
            at_cut = self._at_cut.get(task, {})
            parts = [
                at_cut[place] if place in at_cut else tf.zeros_like(self._forward.inside[place])
                for place in self._forward.cut.features
            ]
            rows.append(tf.concat([tf.cast(tf.reshape(part, (-1,)), tf.float32) for part in parts], axis=0))
        return tf.stack(rows)

    def _gradient(self, target: Any, sources: list[Any], seed: Any) -> list[Any]:
        zero = tf.UnconnectedGradients.ZERO
        found = self._forward.tape.gradient(target, sources, seed, unconnected_gradients=zero)
        # Those of embeddings come as a list of rows.
        return [tf.convert_to_tensor(gradient) for gradient in found]


def _copy(tensor: Any) -> Any:
    copy = tf.identity(tensor)
    mask = getattr(tensor, "_keras_mask", None)
    if mask is not None:
        copy._keras_mask = mask
    return copy
