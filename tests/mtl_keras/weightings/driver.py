"""Runs a weighting through steps and epochs, as a training loop does."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mtl_keras import weightings
from mtl_keras.weightings import Previous, State, Weighting
from tests.mtl_keras.weightings.reference import JACOBIANS, LOSSES

# Four tasks, so that there are enough of them for every method when one is dropped. The last is in conflict with the
# second in every step, and with others in some.
FOUR_LOSSES = np.column_stack([LOSSES, [0.75, 0.8125, 0.625, 0.6875, 0.5, 0.53125]])
FOUR_JACOBIANS = np.concatenate([JACOBIANS, np.roll(JACOBIANS[:, :1], 5, axis=2) - JACOBIANS[:, 1:2]], axis=1)


class Step(NamedTuple):
    """What came of a step: weights `(tasks,)`, the combined gradient `(coordinates,)`, and what is remembered."""

    weights: np.ndarray
    vector: np.ndarray
    state: State


class Driver:
    """A method, traced once for each number of tasks, its state in float32 as in a model.

    Gramians are in float64, those of two halves of a batch not symmetric; losses and Jacobians are in float32.

    Args:
        spec: of the method.
    """

    def __init__(self, spec: str) -> None:
        self.weighting: Any = weightings.get(spec)
        # As Keras traces the steps of a model.
        self._traced = tf.function(self._step, autograph=False)
        self._epoch = tf.function(self.weighting.after_epoch, autograph=False)

    def initial(self, tasks: int, coordinates: int = 16) -> State:
        state = dict(self.weighting.initial_state(tasks, coordinates))
        if "losses_after" in self.weighting.needs:
            state |= {name: np.zeros(tasks, "float32") for name in Previous._fields}
        return state

    def step(
        self,
        jacobian: Any,
        losses: Any = None,
        preference: Any = None,
        state: State | None = None,
        after: Any = None,
        eager: bool = False,
    ) -> Step:
        jacobian = np.asarray(jacobian, "float64")
        losses = np.ones(len(jacobian)) if losses is None else np.asarray(losses)
        preference = np.ones(len(jacobian)) if preference is None else np.asarray(preference)
        after = 0.9 * losses if after is None else np.asarray(after)
        state = self.initial(*jacobian.shape) if state is None else state
        other = jacobian * (1 + 0.1 * np.sin(np.arange(jacobian.shape[1])))
        gramian = jacobian @ (other if "two_halves" in self.weighting.needs else jacobian).T
        rest = [x.astype("float32") for x in (jacobian, losses, after, preference)]
        step = self._step if eager else self._traced
        weights, vector, new = step(tf.constant(gramian), *map(tf.constant, rest), dict(state))
        weights = np.array(weights)
        combined = weights @ jacobian if vector is None else np.array(vector)
        return Step(weights, combined, {name: np.array(value) for name, value in new.items()})

    def settled(self, state: State) -> State:
        """Returns the state once the last step has been learned from, which "losses_after" defers to the next."""
        tasks = len(state["after"]) if "after" in state else 0
        return self.step(np.zeros((tasks, 16)), preference=np.zeros(tasks), state=state).state if tasks else state

    def train(self, jacobians: Any, losses: Any, preference: Any = None, state: State | None = None) -> list[Step]:
        """Takes epochs of one step each."""
        found = []
        for number, (jacobian, row) in enumerate(zip(jacobians, losses, strict=True)):
            after = losses[number + 1] if number + 1 < len(losses) else 0.9 * row
            step = self.step(jacobian, row, preference, state, after)
            ran = row if preference is None else np.where(np.array(preference) > 0, row, np.nan)
            state = self.epoch(ran, step.state)
            found.append(step._replace(state=state))
        return found

    def epoch(self, losses: Any, state: State) -> State:
        if type(self.weighting).after_epoch is Weighting.after_epoch:
            return state
        new = self._epoch(tf.constant(losses, "float32"), dict(state))
        return {name: np.array(value).astype("float32") for name, value in new.items()}

    def hlo(self, tasks: int) -> str:
        """Returns the program that XLA makes of a step; compiling it to machine code would take much longer."""
        compiled = tf.function(self._step, autograph=False, jit_compile=True)
        gramian, row = tf.eye(tasks, dtype="float64"), tf.ones([tasks])
        state = {name: tf.constant(value) for name, value in self.initial(tasks).items()}
        args = (gramian, tf.ones([tasks, 16]), row, row, row, state)
        return str(compiled.experimental_get_compiler_ir(*args)(stage="hlo"))

    def _step(
        self, gramian: Any, jacobian: Any, losses: Any, after: Any, preference: Any, state: Mapping[str, Any]
    ) -> Any:
        needs, previous, kept = self.weighting.needs, None, {}
        if "losses_after" in needs:
            state = dict(state)
            previous = Previous(*(state.pop(name) for name in Previous._fields))
            rows = [tf.where(preference > 0, row, 0.0) for row in (losses, after, preference)]
            kept = dict(zip(Previous._fields, rows, strict=True))
        step = self.weighting.step(
            state,
            losses=losses,
            preference=preference,
            gramian=gramian if "gramian" in needs else None,
            jacobian=jacobian if "jacobian" in needs else None,
            previous=previous,
        )
        return step.weights, step.direction, {**step.state, **kept}


@functools.cache
def driver(spec: str) -> Driver:
    """Returns the driver of a method, traced once for all tests."""
    return Driver(spec)
