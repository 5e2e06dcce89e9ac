"""Backward passes for weightings that need the gradient of each task: to the cut, then through the shared part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.keras_private import get_keras_mask, set_keras_mask
from mtl_keras.training.gradients import SharedGroup
from mtl_keras.training.graph import Cut
from mtl_keras.training.groups import ForwardBatch, trained_part
from mtl_keras.training.step import Scope


class ForwardPass:
    """Runs the forward pass of a batch through the trunk and the heads of a cut network, and computes the losses.

    Args:
        scope: the settings of the training step.
        cut: the network, cut at the end of its shared part.
        tape: a persistent tape that is recording.
        data: the batch.
        counted: `(tasks,)` booleans if some of the tasks may be dropped at run time, else `None`.

    Attributes:
        batches: the results of `Objective.batches` for each unit, in one list.
        totals: `(tasks, 2)`: each task's summed loss and number of labelled samples, over all replicas.
        losses: names of tasks, and this replica's part of their losses `(tasks of the entry,)`.
        units: for each entry of `losses`, the index of its unit.
    """

    def __init__(self, scope: Scope, cut: Cut, tape: tf.GradientTape, data: Any, counted: Any) -> None:
        self.scope, self.cut, self.tape = scope, cut, tape
        x, y, sample_weight = scope.model.unpack(data)
        self.outside = keras.tree.flatten(cut.trunk(x, training=True))
        # The heads read copies. Otherwise, if one tensor at the cut is computed from another, the gradient with respect
        # to the second would contain that of the first.
        self.inside = [_copy(tensor) for tensor in self.outside]
        tape.watch([self.inside[place] for place in cut.features])
        tensors = {}
        for unit, head, needed in zip(scope.units, cut.heads, cut.needed, strict=True):
            read = [self.inside[place] for place in needed]
            tensors[unit.tasks[0]] = head(read, training=True) if head else read[0]
        forward = ForwardBatch(scope.units, tensors, y, sample_weight, scope.model.checks_labels)
        objective = scope.objective
        # Losses are computed unit by unit. If similar tasks had one array of losses, the backward pass of a task would
        # also run, with zeros, through the heads of the others.
        self.batches: list[Any] = []
        self.units: list[int] = []
        parts: list[Any] = []
        for place, unit in enumerate(scope.units):
            found = objective.batches(unit.tasks, forward, counted)
            self.batches += found
            parts += objective.loss_parts(found, training=True)
            self.units += [place] * (len(parts) - len(self.units))
        totals = objective.combine([(batch, part.totals) for batch, part in parts])
        with tape.stop_recording():
            (self.totals,) = scope.replicas.all_reduce_sum([totals])
        self.losses = [(batch.tasks, trained_part(objective.tasks, batch, part, self.totals)) for batch, part in parts]


class TaskGradients:
    """Computes the gradient of each task's loss: to the cut when created, through the shared part when requested.

    Args:
        forward: the forward pass.
        private: the private variables.
        preference: `(tasks,)` factors of the gradients of private variables. Gradients at the cut are not multiplied,
            because the weights of the shared part contain the preference.
        scale: `(tasks,)` factors of all gradients of a task: the loss scale times its share of the labelled samples.

    Attributes:
        private: the gradient of each private variable, this replica's part.
    """

    def __init__(self, forward: ForwardPass, private: Sequence[keras.Variable], preference: Any, scale: Any) -> None:
        self._forward = forward
        self._names = forward.scope.objective.tasks
        found_private: list[list[Any]] = [[] for _ in private]
        self._at_cut: dict[int, dict[int, Any]] = {}
        owned = {id(entry.variable): set(np.flatnonzero(entry.reached.any(axis=0))) for entry in forward.scope.owned}
        features = set(forward.cut.features)
        for (names, losses), unit in zip(forward.losses, forward.units, strict=True):
            tasks = [self._names.index(task) for task in names]
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

    def shared_gradients(self, groups: Sequence[SharedGroup]) -> list[Any]:
        """Returns the gradients of each task for the shared variables, by one backward pass per task.

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
        return self._forward.scope.replicas.all_reduce_sum(
            [group.matrix(rows[place]) for place, group in enumerate(groups)]
        )

    def weighted_sum(self, group: SharedGroup, weights: Any) -> list[Any]:
        """Returns the gradients of the weighted sum of the losses for a group's variables, by one backward pass.

        They are this replica's part, not summed over the replicas.

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

    def representation_gradients(self) -> Any:
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
        """Returns dense gradients of `target`, weighted by `seed`, with respect to `sources`; 0 if not connected."""
        zero = tf.UnconnectedGradients.ZERO
        found = self._forward.tape.gradient(target, sources, seed, unconnected_gradients=zero)
        # Gradients of embeddings are `tf.IndexedSlices`.
        return [tf.convert_to_tensor(gradient) for gradient in found]


def _copy(tensor: Any) -> Any:
    """Returns a copy of a tensor, with its Keras mask and logits."""
    copy = tf.identity(tensor)
    mask = get_keras_mask(tensor)
    if mask is not None:
        set_keras_mask(copy, mask)
    if hasattr(tensor, "_keras_logits"):
        copy._keras_logits = tensor._keras_logits
    return copy
