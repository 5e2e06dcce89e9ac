"""What a weighting is told that sees the inner products of the tasks' gradients."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.config import check_number
from mtl_keras.weightings.base import State, Weighting, floating, one_each


@dataclass(frozen=True, kw_only=True)
class GramianWeighting(Weighting):
    """A weighting that sees the Gramian of the tasks' gradients, and their losses, and nothing else.

    Entry (i, j) of the Gramian is the inner product of the gradients of tasks i and j with respect to the shared
    variables. A task with the preference p_t counts as if its loss were p_t times as large. One whose preference is 0
    (it is dropped, or the batch has no label for it) gets the weight 0, and has no part in the weights of the others.

    Weights are computed in float64, whatever the Gramian is: the systems of equations behind them are often
    ill-conditioned. A Gramian that is not finite gives finite weights, and changes no state.

    Args:
        update_every: weights are computed in every so many steps and used again in between, >= 1. Between updates a
            step costs what it does with fixed weights.
        representation: whether the gradients are those with respect to the shared representation (the tensors in which
            the shared part of the network ends) instead of the shared variables: one backward pass through the shared
            part instead of one a task. An approximation: the upper bound of Sener, Koltun, *Multi-Task Learning as
            Multi-Objective Optimization*, NeurIPS 2018, section 3.3.

    Raises:
        ValueError: for an `update_every` that is no whole number >= 1, or a representation with `two_halves`.

    Attributes:
        two_halves: whether the Gramian must be one of two independent samples, `J1 @ J2.T`: that of the gradients of
            one half of the batch with those of the other.
    """

    update_every: int = 1
    representation: bool = False

    two_halves: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if check_number("update_every", self.update_every, 1) % 1:
            raise ValueError(f"update_every must be a whole number. Received: update_every={self.update_every!r}")
        if not isinstance(self.representation, bool):
            raise ValueError(f"representation must be True or False. Received: representation={self.representation!r}")
        if self.representation and self.two_halves:
            raise ValueError(
                "representation=True is not possible where one half of the batch is compared with the other: their "
                f"representations are of different samples. Received: {type(self).__name__}(representation=True)"
            )

    def __call__(self, gramian: Any, losses: Any = None, preference: Any = None, state: State | None = None) -> Any:
        """Returns the weights `(tasks,)` by which the gradients of the tasks are multiplied before they are added.

        Args:
            gramian: `(tasks, tasks)` inner products of the gradients of the unweighted losses.
            losses: `(tasks,)` unweighted losses; None for 1 each. Few methods read them.
            preference: `(tasks,)` numbers >= 0: the task weights of the step; None for 1 each.
            state: from `initial_state`, `step` or `after_epoch`; None for the initial one.
        """
        return self.step(gramian, losses, preference, state)[0]

    def step(
        self, gramian: Any, losses: Any = None, preference: Any = None, state: State | None = None
    ) -> tuple[Any, State]:
        """Returns the weights, as `__call__` does, and what is remembered after the step; see there for arguments."""
        given = floating("gramian", gramian, 2)
        if given.shape[0] != given.shape[1]:
            raise ValueError(
                "gramian must be square: the inner products of the gradients, `jacobian @ jacobian.T`. "
                f"Received: gramian of shape {tuple(given.shape)}"
            )
        gramian = ops.cast(given, "float64")
        preference = one_each("preference", preference, gramian[0])
        losses = one_each("losses", losses, gramian[0])
        state = self.initial_state(given.shape[0]) if state is None else state
        active = preference > 0
        finite = ops.all(ops.isfinite(gramian))
        seen = ops.where(finite, gramian, ops.eye(given.shape[0], dtype="float64"))
        weights, new = self.weigh(
            seen * preference[:, None] * preference[None, :], ops.where(active, losses * preference, 1.0), active, state
        )
        kept = {
            name: value if value is state[name] else _where(finite, value, state[name]) for name, value in new.items()
        }
        weights = ops.cast(weights, "float64")
        return ops.cast(ops.where(active, weights * preference, 0.0), given.dtype), kept

    @abstractmethod
    def weigh(self, gramian: Any, losses: Any, active: Any, state: State) -> tuple[Any, State]:
        """Returns the weights `(tasks,)` of a step, and what is remembered after it.

        Args:
            gramian: `(tasks, tasks)` float64, finite; rows and columns of tasks that are not active are 0. Symmetric
                and positive semidefinite up to rounding, unless `two_halves`.
            losses: `(tasks,)` float64; 1 for tasks that are not active.
            active: `(tasks,)` booleans. The weights of other tasks are not read; what is remembered of them must not
                change.
            state: what was remembered after the step before.
        """


def _where(condition: Any, value: Any, old: Any) -> Any:
    value = ops.convert_to_tensor(value)
    return ops.where(condition, value, ops.cast(old, value.dtype))
