"""`LiveWeighting`: a weighting at work in a model, its state in variables."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from mtl_keras.weightings.base import LossWeighting, State


class LiveWeighting:
    """Applies a weighting step by step and epoch by epoch, and keeps its state.

    Args:
        weighting: the weighting.
        tasks: the names of the tasks, which it does not see: they say which row of a saved state is whose.

    Attributes:
        PREFIX: begins the names of what is saved.
    """

    PREFIX: ClassVar[str] = "weighting_"

    def __init__(self, weighting: LossWeighting, tasks: Sequence[str]) -> None:
        self._weighting = weighting
        self._rows = np.argsort(tasks)
        self._variables = {
            name: keras.Variable(value, trainable=False, dtype="float32", name=self.PREFIX + name)
            for name, value in weighting.initial_state(len(tasks)).items()
        }

    def weights(self, losses: Any, preference: Any) -> Any:
        """Returns the weights `(tasks,)` of a step; see `LossWeighting.__call__`."""
        return ops.stop_gradient(self._weighting(ops.stop_gradient(losses), preference, self._state()))

    def after_step(self, losses: Any, preference: Any, moved: Any) -> None:
        """Remembers a training step, unless the network did not move in it (its gradients overflowed).

        Args:
            losses: `(tasks,)`, as for `weights`.
            preference: `(tasks,)`, as for `weights`.
            moved: scalar boolean.
        """
        before = self._state()
        for name, value in self._weighting.after_step(losses, preference, before).items():
            if value is not before[name]:
                self._variables[name].assign(ops.where(moved, value, before[name]))

    def after_epoch(self, losses: Sequence[float]) -> None:
        """Remembers an epoch, of whose mean losses that of a task that did not run is NaN."""
        state = self._weighting.after_epoch(ops.convert_to_tensor(losses, "float32"), self._state())
        for name, value in state.items():
            self._variables[name].assign(value)

    def save(self, store: MutableMapping[str, Any]) -> None:
        """Writes the state into a store of arrays, its rows in the alphabetical order of the tasks."""
        for name, variable in self._variables.items():
            store[self.PREFIX + name] = ops.convert_to_numpy(variable.value)[self._rows]

    def load(self, store: Mapping[str, Any]) -> None:
        """Goes on from what `save` wrote; if there is nothing, or another weighting's state, from where it is."""
        if set(store) >= {self.PREFIX + name for name in self._variables}:
            for name, variable in self._variables.items():
                variable.assign(np.array(store[self.PREFIX + name])[np.argsort(self._rows)])

    def _state(self) -> State:
        return {name: variable.value for name, variable in self._variables.items()}
