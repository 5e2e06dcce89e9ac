"""The weighting protocol: the inputs of a method in a training step, its result and its state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
from keras import ops

from mtl_keras.checks import unknown_value
from mtl_keras.serialization import Configurable, Registry

State = Mapping[str, Any]

NEEDS = ("gramian", "jacobian", "losses_after", "representation", "two_halves")


class Previous(NamedTuple):
    """The previous step, for methods that need `"losses_after"`; zeros before the first step.

    Attributes:
        before: `(tasks,)` losses of the previous batch before that step.
        after: `(tasks,)` losses of the same batch after the step.
        preference: `(tasks,)` preferences in that step; ignore tasks with preference 0.
    """

    before: Any
    after: Any
    preference: Any


class Direction(NamedTuple):
    """Returned by `update` of methods that need the Jacobian.

    Attributes:
        vector: `(coordinates,)` combined gradient.
        weights: `(tasks,)` weights for the logs, as far as one number per task can describe the vector.
    """

    vector: Any
    weights: Any


class StepResult(NamedTuple):
    """Returned by `Weighting.step`.

    Attributes:
        weights: `(tasks,)` weights of the unweighted losses; 0 for inactive tasks.
        direction: `(coordinates,)` combined gradient of the shared variables; None unless the method needs the
            Jacobian.
        state: the state after the step.
    """

    weights: Any
    direction: Any
    state: State


@dataclass(frozen=True)
class StepInputs:
    """Inputs of a weighting in a training step.

    The Gramian and the Jacobian are those of the weighted losses: each task's gradient is multiplied by its preference.

    Attributes:
        losses: `(tasks,)` unweighted losses of the batch; 1 for inactive tasks.
        preference: `(tasks,)` numbers >= 0, the task weights of the step. Most methods can ignore them.
        active: `(tasks,)` booleans, `preference > 0`. A task is inactive if it is dropped or has no label in the batch.
        gramian: `(tasks, tasks)` float64, finite; rows and columns of inactive tasks are 0. Symmetric and positive
            semidefinite up to rounding, except with `"two_halves"`.
        jacobian: `(tasks, coordinates)`; rows of inactive tasks are 0.
        previous: the previous step, for methods that need `"losses_after"`.
    """

    losses: Any
    preference: Any
    active: Any
    gramian: Any = None
    jacobian: Any = None
    previous: Previous | None = None

    @property
    def weighted_losses(self) -> Any:
        """`(tasks,)` losses multiplied by the preferences; 1 for inactive tasks."""
        return ops.where(self.active, self.losses * self.preference, 1.0)


class Weighting(Configurable, ABC):
    """Computes the weight of each task in a training step.

    A weighting is a set of pure functions in `keras.ops`. Its state is a mapping from names to float32 arrays
    `(tasks, ...)`; each function takes the state and returns a new one. Subclasses store each constructor argument in
    an attribute of the same name, which `get_config` reads.

    A task with preference 0 (dropped, or without a label in the batch) always gets the weight 0. It must not affect the
    weights of other tasks, and its rows of the state must not change.

    Attributes:
        update_every: new weights are computed every `update_every` steps and reused in between.
    """

    update_every: int = 1

    @property
    def needs(self) -> frozenset[str]:
        """Inputs that a training step must compute for the method, in addition to the losses.

        Subclasses define a class attribute or a property with any of:

        - `"gramian"`: inner products `(tasks, tasks)` of the tasks' gradients with respect to the shared variables;
        - `"representation"`: the Gramian is with respect to the shared representation instead;
        """
        return frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if isinstance(needs := cls.needs, Iterable):  # not a property
            check_needs(cls, needs)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        """Returns the state before the first step; `{}` if the method has none.

        Args:
            tasks: number of tasks.
            coordinates: number of coordinates of the shared variables, for methods that need the Jacobian.
        """
        return {}

    @abstractmethod
    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        """Returns the weights of a step and the state after it.

        The weights `(tasks,)` multiply the weighted losses: weights of 1 are the same as training with fixed task
        weights. Weights of inactive tasks are ignored. A method that needs the Jacobian returns a `Direction` instead.

        Args:
            inputs: losses and gradients of the step.
            state: the state after the previous step.
        """

    def after_epoch(self, losses: Any, state: State) -> State:
        """Returns the state after an epoch.

        Args:
            losses: `(tasks,)` mean training losses of the epoch; NaN for a task that did not run in it.
            state: the state after the last step of the epoch.
        """
        return state

    def step(
        self,
        state: State,
        *,
        losses: Any = None,
        preference: Any = None,
        gramian: Any = None,
        jacobian: Any = None,
        previous: Previous | None = None,
    ) -> StepResult:
        """Computes the weights of a training step.

        Non-finite gradients do not change the state, and a non-finite Gramian still gives finite weights. Gramians are
        converted to float64, because many methods solve ill-conditioned systems of equations.

        Args:
            state: from `initial_state`, `step` or `after_epoch`.
            losses: `(tasks,)` unweighted losses of the batch; None for 1 each, if the method needs gradients.
            preference: `(tasks,)` numbers >= 0, the task weights of the step; None for 1 each.
            gramian: `(tasks, tasks)` inner products of the gradients of the unweighted losses.
            jacobian: `(tasks, coordinates)` gradients of the unweighted losses.
            previous: the previous step, for methods that need `"losses_after"`; None before the first step.

        Raises:
            ValueError: for missing inputs, wrong shapes, or unknown `needs`.
        """
        needs = check_needs(type(self), self.needs)
        source = _main_input(needs)
        gramian = floating("gramian", gramian) if "gramian" in needs else None
        jacobian = floating("jacobian", jacobian) if "jacobian" in needs else None
        like = floating("losses", losses) if source == "losses" else (gramian if jacobian is None else jacobian)[:, 0]
        dtype = like.dtype
        if source == "gramian":
            like = ops.cast(like, "float64")
        losses, preference = one_each("losses", losses, like), one_each("preference", preference, like)
        active = preference > 0
        wide = ops.cast(preference, "float64")
        finite: Any = True
        if gramian is not None:
            gramian = ops.cast(gramian, "float64")
            finite = ops.all(ops.isfinite(gramian))
            gramian = ops.where(finite, gramian, ops.eye(gramian.shape[0], dtype="float64"))
            gramian = gramian * wide[:, None] * wide[None, :]
        if jacobian is not None:
            jacobian = ops.where(active[:, None], jacobian * preference[:, None], 0.0)
            finite = ops.logical_and(finite, ops.all(ops.isfinite(ops.sum(jacobian, axis=-1))))
        rows = previous or [ops.zeros_like(like)] * 3
        previous = Previous(*(one_each("previous", row, like) for row in rows)) if "losses_after" in needs else None
        inputs = StepInputs(ops.where(active, losses, 1.0), preference, active, gramian, jacobian, previous)
        result, new = self.update(inputs, state)
        vector, weights = result if "jacobian" in needs else (None, result)
        weights = ops.cast(ops.where(active, ops.cast(weights, "float64") * wide, 0.0), dtype)
        return StepResult(weights, vector, {name: _next(finite, value, state[name]) for name, value in new.items()})

    def __call__(self, inputs: Any, losses: Any = None, preference: Any = None, state: State | None = None) -> Any:
        """Returns the weights `(tasks,)`, or the combined gradient `(coordinates,)` if the method needs the Jacobian.

        Args:
            inputs: the input of the method: unweighted losses `(tasks,)`, or their Gramian `(tasks, tasks)` or
                Jacobian `(tasks, coordinates)`.
            losses: `(tasks,)` unweighted losses, in addition to a Gramian or a Jacobian; None for 1 each.
            preference: `(tasks,)` numbers >= 0, the task weights; None for 1 each.
            state: from `initial_state`, `step` or `after_epoch`; None for the initial one.

        Raises:
            ValueError: for inputs of another shape.

        Example:

        ```python
        mtl_keras.weightings.get("gls")([4.0, 9.0])
        mtl_keras.weightings.get("upgrad")([[4.0, -1.0], [-1.0, 1.0]])
        ```
        """
        source = _main_input(self.needs)
        value = floating(source, inputs)
        given = {"losses": losses, source: value}
        if source == "losses" and losses is not None:
            raise ValueError(
                f"{type(self).__name__} takes the losses only: write weighting(losses, preference=...). "
                f"Received: losses={losses!r} as well"
            )
        if source == "jacobian" and "gramian" in self.needs:
            given["gramian"] = ops.matmul(value, ops.transpose(value))
        if state is None:
            state = self.initial_state(value.shape[0], value.shape[1] if source == "jacobian" else 0)
        step = self.step(state, preference=preference, **given)
        return step.direction if source == "jacobian" else step.weights


def check_needs(cls: type, needs: Iterable[str]) -> frozenset[str]:
    """Checks and returns the `needs` of a class.

    Raises:
        ValueError: for an unknown value, or one that requires `"gramian"` without it.
    """
    values = frozenset(needs)
    if unknown := [needs] if isinstance(needs, str) else sorted(values - set(NEEDS)):
        raise unknown_value(f"value in {cls.__name__}.needs", unknown[0], NEEDS)
    if values & {"representation", "two_halves"} and "gramian" not in values:
        raise ValueError(f"{cls.__name__}.needs must have 'gramian' too. Received: {sorted(values)}")
    return values


def floating(name: str, value: Any) -> Any:
    """Returns losses, a Gramian or a Jacobian as a floating-point tensor; float64 for integers.

    Raises:
        ValueError: if it is missing or has the wrong shape.
    """
    if value is None:
        raise ValueError(f"{name} is needed. Received: {name}=None")
    tensor = ops.convert_to_tensor(value)
    if len(tensor.shape) != (1 if name == "losses" else 2):
        shape = "(tasks,)" if name == "losses" else "two axes, the first of tasks"
        raise ValueError(f"{name} must have the shape {shape}. Received: {name} of shape {tuple(tensor.shape)}")
    if name == "gramian" and tensor.shape[0] != tensor.shape[1]:
        raise ValueError(
            "gramian must be square: the inner products of the gradients, `jacobian @ jacobian.T`. "
            f"Received: gramian of shape {tuple(tensor.shape)}"
        )
    return tensor if "float" in str(tensor.dtype) else ops.cast(tensor, "float64")


def one_each(name: str, value: Any, like: Any) -> Any:
    """Returns an argument with one number per task as a tensor with the shape and dtype of `like`; ones if it is None.

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


def _main_input(needs: Iterable[str]) -> str:
    return next((name for name in ("jacobian", "gramian") if name in needs), "losses")


def _next(finite: Any, value: Any, old: Any) -> Any:
    """Returns an entry of the new state in the dtype of the old one; the old entry if gradients were not finite."""
    if value is old:
        return value
    value = ops.cast(value, keras.backend.standardize_dtype(old.dtype))
    return value if finite is True else ops.where(finite, value, old)


WEIGHTINGS: Registry[Weighting] = Registry(
    "weighting",
    Weighting,
    "pass it to compile(weighting=...), or to train.py as --weighting",
    "mtl_keras.weightings",
)
