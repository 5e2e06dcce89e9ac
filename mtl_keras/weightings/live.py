"""`LiveWeighting`: a weighting at work in a model, its state in variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from mtl_keras.gradients import shared_variables
from mtl_keras.weightings.base import State, Weighting
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.jacobian import JacobianWeighting
from mtl_keras.weightings.static import Static


class LiveWeighting:
    """Keeps the state of a weighting from step to step and from epoch to epoch.

    Args:
        weighting: the weighting.
        tasks: the names of the tasks, which it does not see: they say which row of a saved state is whose.
        shared: the variables that the tasks share, for a `JacobianWeighting`.

    Attributes:
        weighting: the weighting.
        coordinates: the variables whose gradients stand side by side in a Jacobian, in this order.
        PREFIX: begins the names of what is saved.
    """

    PREFIX: ClassVar[str] = "weighting_"

    def __init__(self, weighting: Weighting, tasks: Sequence[str], shared: Sequence[keras.Variable] = ()) -> None:
        self.weighting = weighting
        self.coordinates = list(shared)
        self._rows = np.argsort(tasks)
        if isinstance(weighting, JacobianWeighting):
            size = sum(int(np.prod(variable.shape)) for variable in shared)
            initial = dict(weighting.initial_state(len(tasks), size))
        else:
            initial = dict(weighting.initial_state(len(tasks)))
        if isinstance(weighting, GramianWeighting) and weighting.update_every > 1:
            # What the steps between two updates need: the weights, of which tasks they are, and how old they are.
            initial |= {name: np.zeros(len(tasks), "float32") for name in ("last_weights", "last_active", "age")}
        self._variables = {
            name: keras.Variable(value, trainable=False, dtype="float32", name=self.PREFIX + name)
            for name, value in initial.items()
        }

    def state(self) -> State:
        """Returns what is remembered."""
        return {name: variable.value for name, variable in self._variables.items()}

    def remember(self, state: State, moved: Any = True) -> None:
        """Keeps a new state, unless the network did not move in the step (its gradients overflowed).

        Args:
            state: what was changed of `state()`.
            moved: scalar boolean.
        """
        for name, value in state.items():
            variable = self._variables[name]
            if value is not variable.value:
                variable.assign(ops.where(moved, ops.cast(value, "float32"), variable.value))

    def after_epoch(self, losses: Sequence[float]) -> None:
        """Remembers an epoch, of whose mean losses that of a task that did not run is NaN."""
        self.remember(self.weighting.after_epoch(ops.convert_to_tensor(losses, "float32"), self.state()))

    def save(self, store: MutableMapping[str, Any]) -> None:
        """Writes the state into a store of arrays, its rows in the alphabetical order of the tasks."""
        for name, variable in self._variables.items():
            store[self.PREFIX + name] = ops.convert_to_numpy(variable.value)[self._rows]

    def load(self, store: Mapping[str, Any]) -> None:
        """Goes on from what `save` wrote; if there is nothing, or another weighting's state, from where it is."""
        saved = {name: store[self.PREFIX + name] for name in self._variables if self.PREFIX + name in store}
        same = [np.shape(value) == self._variables[name].shape for name, value in saved.items()]
        if len(saved) == len(self._variables) and all(same):
            for name, value in saved.items():
                self._variables[name].assign(np.array(value)[np.argsort(self._rows)])


def live_weighting(
    weighting: Weighting, outputs: Mapping[str, Any], trained: Iterable[keras.Variable]
) -> LiveWeighting | None:
    """Returns a weighting ready to work, `None` for static weights: the training step has nothing to do for those.

    Args:
        weighting: the weighting.
        outputs: task name -> symbolic output.
        trained: the variables of the model that are trained.
    """
    if weighting == Static():
        return None
    return LiveWeighting(weighting, list(outputs), shared_variables(outputs, trained))
