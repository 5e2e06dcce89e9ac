"""GradDrop: keeps gradients of one sign only in each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, Direction, State, StepInputs, Weighting
from mtl_keras.weightings.state import StepSeed, draws_state, next_draws, seed_field


def keep_one_sign(jacobian: Any, uniform: Any, leak: Any = 0.0) -> Direction:
    """Returns the combined gradient and, as weights, the kept share `(tasks,)` of each task's gradient.

    Args:
        jacobian: `(tasks, coordinates)`.
        uniform: `(coordinates,)` random numbers in [0, 1) that select the signs.
        leak: number or `(tasks,)`: the fraction kept of dropped entries.
    """
    sizes = ops.abs(jacobian)
    purity = 0.5 + 0.5 * ops.divide_no_nan(ops.sum(jacobian, axis=0), ops.sum(sizes, axis=0))
    chosen = ops.where(uniform < purity, jacobian > 0, jacobian < 0)
    factors = ops.where(chosen, 1.0, ops.reshape(ops.cast(leak, jacobian.dtype), (-1, 1)))
    share = ops.divide_no_nan(ops.sum(factors * sizes, axis=1), ops.sum(sizes, axis=1))
    return Direction(ops.sum(factors * jacobian, axis=0), share)


@WEIGHTINGS.register
@dataclass(frozen=True)
class GradDrop(Weighting):
    """Gradient sign dropout: draws a sign per coordinate, and adds up the entries of that sign only.

    The sign is + with probability P = (1 + sum_t g_t / sum_t |g_t|) / 2, where g_t are the tasks' entries in the
    coordinate. Entries of the other sign are multiplied by the leak. If all entries have one sign, nothing is dropped:
    a single task keeps its gradient. The sum is not divided by the number of tasks.

    Scaling a gradient changes the probabilities and the sum. The weights in the logs are the kept shares of the tasks'
    gradients (of their sums of absolute entries); 0 for a zero gradient.

    Args:
        leak: fraction kept of a dropped entry, from 0 (nothing) to 1 (all of it: the sum of the gradients).
        seed: seed of the draws, an integer. Draws are the same in every run, but differ if XLA compiles the step.

    Raises:
        ValueError: for a leak outside 0 to 1, or a seed that is not an integer.

    References:
        Z. Chen et al., *Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout*, NeurIPS 2020,
        algorithm 1, https://arxiv.org/abs/2010.06808. There the gradients are those of a layer's activations; here, as
        in TorchJD, those of the shared variables.
    """

    NAME: ClassVar[str] = "graddrop"
    needs = frozenset({"jacobian"})

    leak: float = number_field(0.0, minimum=0, maximum=1)
    seed: int = seed_field()

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return draws_state(tasks)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        jacobian = inputs.jacobian
        uniform = keras.random.uniform(jacobian.shape[1:], dtype=jacobian.dtype, seed=StepSeed(self.seed, state))
        return keep_one_sign(jacobian, uniform, self.leak), next_draws(state)
