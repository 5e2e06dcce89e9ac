"""DTP: higher weights for hard tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import number_field, positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.state import zeros

# Bounds the weight of a task that is not learned at all; it corresponds to a cross-entropy of 16.
_WORST = 1e-7


@WEIGHTINGS.register
@dataclass(frozen=True)
class DTP(Weighting):
    """Dynamic task prioritisation: a focal loss of an indicator of how well each task is learned.

    With the key performance indicator k_t in (0, 1], the weight of task t is -p_t (1 - k_t)^gamma log k_t, where p_t is
    its preference: 0 for a perfectly learned task. The weight does not depend on the other tasks.

    The paper leaves the choice of the indicator open, for example accuracy. This implementation only uses losses: its
    indicator, our choice, is a moving average of exp(-L_t) that starts at the first value. For a cross-entropy,
    exp(-L_t) is the geometric mean of the probabilities predicted for the true classes. For other losses it has little
    meaning, so use this method for cross-entropies: losses >= 0 on one scale. Scaling a loss changes the weights.

    The indicator is clipped to [1e-7, 1], so no weight exceeds 16.2 p_t; a loss below 0 counts as 0. A task that does
    not run keeps its average. A single task has the same weight as among others.

    Args:
        gamma: how strongly easy tasks are down-weighted, >= 0.
        alpha: share of the current step in the moving average, above 0 and up to 1 (no averaging).

    Raises:
        ValueError: for a gamma below 0, or an alpha that is not above 0 and at most 1.

    References:
        M. Guo, A. Haque, D.-A. Huang, S. Yeung, L. Fei-Fei, *Dynamic Task Prioritization for Multitask Learning*, ECCV
        2018, https://doi.org/10.1007/978-3-030-01270-0_17: the priorities of tasks, not those of examples. The default
        values are ours.
    """

    gamma: float = number_field(2.0, minimum=0)
    alpha: float = positive_field(0.1, maximum=1)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 marks an unknown indicator.
        return zeros(tasks, "indicators")

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        average = ops.cast(state["indicators"], inputs.losses.dtype)
        current = ops.clip(ops.exp(-inputs.losses), _WORST, 1.0)
        indicators = ops.where(average > 0, self.alpha * current + (1 - self.alpha) * average, current)
        runs = ops.logical_and(inputs.active, ops.isfinite(inputs.losses))
        weights = -((1 - indicators) ** self.gamma) * ops.log(indicators)
        return weights, {"indicators": ops.where(runs, indicators, average)}
