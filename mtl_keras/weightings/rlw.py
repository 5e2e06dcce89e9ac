"""RLW: random weights in each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from mtl_keras.checks import unknown_value
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.simplex import masked_softmax
from mtl_keras.weightings.state import StepSeed, draws_state, next_draws, seed_field

_DISTRIBUTIONS = ("normal", "dirichlet")
_SMALLEST = 1e-7  # about the resolution of float32 at 1; keeps the arguments of logarithms above 0


@WEIGHTINGS.register
@dataclass(frozen=True)
class RLW(Weighting):
    """Random loss weighting: draws random weights in each step, which add up to 1.

    The weight of task t is p_t z_t, where p_t is its preference (its task weight) and z is drawn from the simplex of
    the tasks with a preference above 0: as the softmax of standard normal numbers, or uniformly (a Dirichlet
    distribution with all parameters 1). With N such tasks the mean of each z_t is 1 / N, as in the paper: compared with
    weights of 1, the gradient is on average N times smaller.

    The losses are not read: scaling a task's loss scales its share in the total. The draws are functions of the seed
    and the step number; steps compiled by XLA draw other numbers than steps that are not. Identical tasks have equal
    weights only on average.

    Args:
        distribution: "normal" or "dirichlet".
        seed: an integer; runs with the same seed draw the same weights.

    Raises:
        ValueError: for an unknown distribution, or a seed that is not an integer.

    References:
        B. Lin, F. Ye, Y. Zhang, I. W. Tsang, *Reasonable Effectiveness of Random Weighting: A Litmus Test for
        Multi-Task Learning*, TMLR 2022, algorithm 2, https://arxiv.org/abs/2111.10603.
    """

    distribution: str = "normal"
    seed: int = seed_field()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distribution not in _DISTRIBUTIONS:
            raise unknown_value("distribution", self.distribution, _DISTRIBUTIONS)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return draws_state(tasks)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        # Returns z: `Weighting.step` multiplies by the preferences.
        shape, dtype = inputs.losses.shape, inputs.losses.dtype
        seed = StepSeed(self.seed, state)
        if self.distribution == "normal":
            scores = keras.random.normal(shape, dtype=dtype, seed=seed)
        else:
            # Exponentially distributed numbers -log(u), divided by their sum, are uniform on the simplex. The softmax
            # divides; its argument is their logarithm.
            uniform = keras.random.uniform(shape, _SMALLEST, 1.0, dtype=dtype, seed=seed)
            scores = ops.log(ops.maximum(-ops.log(uniform), _SMALLEST))
        return masked_softmax(scores, inputs.active), next_draws(state)
