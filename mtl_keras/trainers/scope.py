"""What a compiled training step works on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mtl_keras import subgraph
from mtl_keras.freezing import Freezer
from mtl_keras.gradient_statistics import GradientStatistics
from mtl_keras.objective import Objective
from mtl_keras.subgraph import Ownership, Unit
from mtl_keras.weightings.live import LiveWeighting


@dataclass(frozen=True)
class Scope:
    """What a compiled training step works on.

    Args:
        model: the compiled `MultiTaskModel`.
        objective: its losses and metrics.
        units: what it computes.
        owned: who reaches each variable that it computes with.
        masked: whether some of its tasks may be dropped at run time.
        freezer: puts back the state of what is dropped, or `None` if nothing has to be.
        weighting: makes weights of task weights; `None` to take these.
        monitor: takes down the inner products of the tasks' gradients, or `None`.
        contested: whether there is a variable to train that several of all tasks share.
    """

    model: Any
    objective: Objective
    units: Sequence[Unit]
    owned: Sequence[Ownership]
    masked: bool = False
    freezer: Freezer | None = None
    weighting: LiveWeighting | None = None
    monitor: GradientStatistics | None = None
    contested: bool = True

    @property
    def tasks(self) -> list[str]:
        """The tasks that it computes."""
        return [task for unit in self.units for task in unit.tasks]

    @property
    def columns(self) -> list[bool]:
        """For each task of the model, whether it is computed."""
        return [task in self.tasks for task in self.objective.tasks]

    @property
    def statistics(self) -> list[keras.Variable]:
        """The variables that it moves without training them: moving statistics and random seeds."""
        return [entry.variable for entry in self.owned if not entry.variable.trainable]

    @property
    def trained(self) -> set[int]:
        """The `id`s of the variables that are trained."""
        return {id(variable) for variable in self.model.trainable_variables}

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that it trains."""
        trained = self.trained
        return [entry.variable for entry in self.owned if id(entry.variable) in trained]

    def loss_scale(self) -> Any:
        """What losses are multiplied by before gradients are taken, a scalar: more than 1 under mixed precision."""
        return self.model.optimizer.scale_loss(tf.ones(()))

    def additional_loss(self, parts: Iterable[keras.Model], active: Any) -> Any:
        """Regularizers and `add_loss` of the layers that ran.

        Args:
            parts: the models that were called.
            active: `(tasks,)` booleans: the layers of other tasks do not count.
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
        for layer, reached_by in subgraph.reach(self.model.outputs_by_task).items():
            if isinstance(layer, keras.Layer) and layer in layers:
                on = tf.reduce_any(tf.gather(active, [i for i, name in enumerate(names) if name in reached_by]))
                for loss in layer.losses:
                    total += tf.where(on, tf.reduce_sum(tf.cast(loss, "float32")), 0.0)
        return total


def batch_size(x: Any) -> Any:
    """Returns the number of samples of the inputs of a batch."""
    return tf.shape(keras.tree.flatten(x)[0])[0]
