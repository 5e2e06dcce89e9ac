"""Uncertainty: weights from the learned noise of each task."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.checks import positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.state import LOG_BOUND, adam, adam_state, zeros


@dataclass(frozen=True)
class LearnedLogarithm(Weighting):
    """A method whose weights are exponentials of one trained number per task.

    Adam trains the numbers with a separate learning rate, independent of the model's optimizer, and updates each only
    in the steps in which its task runs. They start at 0 and stay between -20 and 20.

    Args:
        learning_rate: learning rate of the numbers, > 0: roughly the largest change of each in one step.

    Raises:
        ValueError: for a learning rate that is not a finite number above 0.
    """

    learning_rate: float = positive_field(0.001)

    LOGARITHM: ClassVar[str]
    """Name of the trained numbers in the state."""

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {**zeros(tasks, self.LOGARITHM), **adam_state(tasks)}

    @abstractmethod
    def weights(self, state: State, dtype: str) -> Any:
        """Returns the weights `(tasks,)`."""

    @abstractmethod
    def gradient(self, losses: Any, state: State) -> Any:
        """Returns the derivative `(tasks,)` of the objective with respect to the number of each task."""

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        moves = ops.logical_and(inputs.active, ops.isfinite(inputs.losses))
        gradient = self.gradient(inputs.losses, state)
        moved, moments = adam(state[self.LOGARITHM], gradient, state, self.learning_rate, moves, bound=LOG_BOUND)
        return self.weights(state, inputs.losses.dtype), {self.LOGARITHM: moved, **moments}


@WEIGHTINGS.register
@dataclass(frozen=True)
class Uncertainty(LearnedLogarithm):
    """Homoscedastic uncertainty: learns the noise variance of each task, and divides its loss by twice the variance.

    With s_t the logarithm of the variance, sum_t L_t exp(-s_t) / 2 + s_t / 2 is minimised in the network's weights and
    in s. The weight of task t is p_t exp(-s_t) / 2, where p_t is its preference (which does not affect the training of
    s_t). s_t starts at 0 and converges to the logarithm of the loss: each task then adds p_t / 2 to the total.

    Args:
        learning_rate: learning rate of the s, see `LearnedLogarithm`.

    References:
        A. Kendall, Y. Gal, R. Cipolla, *Multi-Task Learning Using Uncertainty to Weigh Losses for Scene Geometry and
        Semantics*, CVPR 2018, equations 7 and 10, https://arxiv.org/abs/1705.07115. For classification the paper
        derives L_t exp(-s_t) + s_t / 2; as in LibMTL and TorchJD, all losses have the factor 1/2 here.
    """

    LOGARITHM: ClassVar[str] = "log_variances"

    def weights(self, state: State, dtype: str) -> Any:
        return 0.5 * ops.exp(-ops.cast(state["log_variances"], dtype))

    def gradient(self, losses: Any, state: State) -> Any:
        return 0.5 - losses * self.weights(state, losses.dtype)
