"""What a weighting is told, what it answers, and what it remembers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from keras import ops

from mtl_keras.config import Configurable
from mtl_keras.registry import Registry

State = Mapping[str, Any]


class Weighting(Configurable, ABC):
    """How much each task counts in a training step.

    A weighting is a set of pure functions: what it remembers is a `State`, a mapping from names to float32 arrays
    `(tasks, ...)`, which it is given and returns anew. Subclasses keep each constructor argument in an attribute of
    the same name, from which `get_config` is made.
    """

    def initial_state(self, tasks: int) -> State:
        """Returns what is remembered before the first step; `{}` if nothing ever is.

        Args:
            tasks: the number of tasks.
        """
        return {}

    def after_epoch(self, losses: Any, state: State) -> State:
        """Returns what is remembered after an epoch.

        Args:
            losses: `(tasks,)` mean training losses of the epoch; NaN for a task that did not run in it.
            state: what was remembered after its last step.
        """
        return state


def floating(name: str, value: Any, rank: int) -> Any:
    """Returns an argument of a method as a tensor of floats; of 64 bits if it was of integers.

    Args:
        name: of the argument, for the error message.
        value: the argument.
        rank: how many axes it must have.

    Raises:
        ValueError: for another number of axes.
    """
    tensor = ops.convert_to_tensor(value)
    if len(tensor.shape) != rank:
        shape = "(tasks,)" if rank == 1 else "two axes, the first of tasks"
        raise ValueError(f"{name} must have the shape {shape}. Received: {name} of shape {tuple(tensor.shape)}")
    return tensor if "float" in str(tensor.dtype) else ops.cast(tensor, "float64")


def one_each(name: str, value: Any, like: Any) -> Any:
    """Returns an argument with one number a task as a tensor like `(tasks,)` `like`; of ones if it is None.

    Raises:
        ValueError: for another shape.
    """
    if value is None:
        return ops.ones_like(like)
    tensor = ops.cast(value, like.dtype)
    if tuple(tensor.shape) != tuple(like.shape):
        raise ValueError(
            f"{name} must have one number for each of the {like.shape[0]} tasks. "
            f"Received: {name} of shape {tuple(tensor.shape)}"
        )
    return tensor


class LossWeighting(Weighting):
    """A weighting that sees the losses of the tasks and nothing else.

    A task whose preference is 0 (it is dropped, or the batch has no label for it) gets the weight 0, and has no part
    in the weights of the others.
    """

    @property
    def sees_update(self) -> bool:
        """Whether the losses of the batch are computed again after the step, for `after_update`.

        That costs another forward pass.
        """
        return False

    def __call__(self, losses: Any, preference: Any = None, state: State | None = None) -> Any:
        """Returns the weights `(tasks,)` by which the losses of a step are multiplied.

        No gradient flows through the weights.

        Args:
            losses: `(tasks,)` unweighted losses of the batch; those of tasks with preference 0 are not read.
            preference: `(tasks,)` numbers >= 0: the task weights of the step; None for 1 each.
            state: from `initial_state`, `after_step` or `after_epoch`; None for the initial one.
        """
        losses = floating("losses", losses, 1)
        preference = one_each("preference", preference, losses)
        state = self.initial_state(losses.shape[0]) if state is None else state
        return self.weights(losses, preference, state)

    @abstractmethod
    def weights(self, losses: Any, preference: Any, state: State) -> Any:
        """What `__call__` returns, of tensors."""

    def after_step(self, losses: Any, preference: Any, state: State) -> State:
        """Returns what is remembered after a training step; the arguments are those of the step's `weights`."""
        return state

    def after_update(self, before: Any, after: Any, preference: Any, state: State) -> State:
        """Returns what is remembered once the network has moved; called only if `sees_update`, after `after_step`.

        Args:
            before: `(tasks,)` losses of the batch that the step was made from.
            after: `(tasks,)` losses of the same batch after the step.
            preference: `(tasks,)`, that of the step.
            state: what `after_step` returned.
        """
        return state


WEIGHTINGS: Registry[Weighting] = Registry("weighting")
