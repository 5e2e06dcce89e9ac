"""What a weighting is told that sees the tasks' gradients themselves, coordinate by coordinate."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from keras import ops

from mtl_keras.weightings.base import State, Weighting, floating, one_each


class JacobianWeighting(Weighting):
    """A method that combines the gradients of the tasks in a way that their inner products do not tell.

    The gradients are those with respect to the shared variables, all of them in one row a task: the Jacobian. A task
    with the preference p_t counts as if its loss were p_t times as large. One whose preference is 0 (it is dropped, or
    the batch has no label for it) has no part in the combined gradient.

    What it remembers may hold a number for each coordinate of each task.
    """

    def initial_state(self, tasks: int, size: int = 0) -> State:
        """Returns what is remembered before the first step; `{}` if nothing ever is.

        Args:
            tasks: the number of tasks.
            size: the number of coordinates of the shared variables.
        """
        return {}

    def __call__(self, jacobian: Any, losses: Any = None, preference: Any = None, state: State | None = None) -> Any:
        """Returns the combined gradient `(coordinates,)`.

        Args:
            jacobian: `(tasks, coordinates)` gradients of the unweighted losses.
            losses: `(tasks,)` unweighted losses; None for 1 each. Few methods read them.
            preference: `(tasks,)` numbers >= 0: the task weights of the step; None for 1 each.
            state: from `initial_state`, `step` or `after_epoch`; None for the initial one.
        """
        return self.step(jacobian, losses, preference, state)[0]

    def step(
        self, jacobian: Any, losses: Any = None, preference: Any = None, state: State | None = None
    ) -> tuple[Any, Any, State]:
        """Returns the combined gradient `(coordinates,)`, weights `(tasks,)` and what is remembered after the step.

        The weights are those that the method gave the gradients, as far as it can be said in one number a task; they
        are logged. A Jacobian that is not finite changes no state.
        """
        jacobian = floating("jacobian", jacobian, 2)
        preference = one_each("preference", preference, jacobian[:, 0])
        losses = one_each("losses", losses, jacobian[:, 0])
        state = self.initial_state(*jacobian.shape) if state is None else state
        active = preference > 0
        scaled = ops.where(active[:, None], jacobian * preference[:, None], 0.0)
        vector, weights, new = self.combine(scaled, ops.where(active, losses * preference, 1.0), active, state)
        finite = ops.all(ops.isfinite(ops.sum(scaled, axis=-1)))
        kept = {
            name: value if value is state[name] else ops.where(finite, value, state[name])
            for name, value in new.items()
        }
        return vector, ops.where(active, weights * preference, 0.0), kept

    @abstractmethod
    def combine(self, jacobian: Any, losses: Any, active: Any, state: State) -> tuple[Any, Any, State]:
        """Returns the combined gradient `(coordinates,)`, weights `(tasks,)` and what is remembered after the step.

        Args:
            jacobian: `(tasks, coordinates)`; rows of tasks that are not active are 0.
            losses: `(tasks,)`; 1 for tasks that are not active.
            active: `(tasks,)` booleans. What is remembered of other tasks must not change.
            state: what was remembered after the step before.
        """
