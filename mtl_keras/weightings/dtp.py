"""More weight for the tasks that are hard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting

# A task that is not learned at all would have an infinite weight; this is where a cross-entropy is 16.
_WORST = 1e-7


@WEIGHTINGS.register
@dataclass(frozen=True)
class DTP(Weighting):
    """Dynamic task prioritisation: the focal loss of a measure of how well each task is learned.

    With the key performance indicator k_t in (0, 1], the weight of task t is -p_t (1 - k_t)^gamma log k_t, where p_t is
    its preference: 0 for a task that is perfect. It does not depend on the other tasks.

    The paper leaves the choice of the indicator open, for example accuracy. Here it is our reading of it for a method
    that sees nothing but losses: a moving average of exp(-L_t), begun at its first value. For a cross-entropy exp(-L_t)
    is the geometric mean of the probabilities that the network gave to the true classes. In other units it means
    little, so this is a method for cross-entropies: losses on one scale, >= 0. It notices if a loss is scaled.

    The indicator is kept between 1e-7 and 1, so that no weight is above 16.2 p_t; a loss below 0 counts as 0. A task
    that does not run keeps its average. With one task the weight is no other.

    Args:
        gamma: how much less the easy tasks count, >= 0.
        alpha: share of the present step in the moving average, above 0 and up to 1 (no averaging).

    Raises:
        ValueError: for a gamma below 0, or an alpha that is not above 0 and at most 1.

    References:
        M. Guo, A. Haque, D.-A. Huang, S. Yeung, L. Fei-Fei, *Dynamic Task Prioritization for Multitask Learning*, ECCV
        2018: the priorities of tasks, not those of examples. The default values are ours.
    """

    gamma: float = 2.0
    alpha: float = 0.1

    def __post_init__(self) -> None:
        check_number("gamma", self.gamma, 0)
        if check_number("alpha", self.alpha, 0, 1) == 0:
            raise ValueError(f"alpha must be above 0. Received: alpha={self.alpha!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 stands for an indicator that is not known yet.
        return {"indicators": np.zeros(tasks, "float32")}

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        average = ops.cast(state["indicators"], seen.losses.dtype)
        present = ops.clip(ops.exp(-seen.losses), _WORST, 1.0)
        indicators = ops.where(average > 0, self.alpha * present + (1 - self.alpha) * average, present)
        runs = ops.logical_and(seen.active, ops.isfinite(seen.losses))
        weights = -((1 - indicators) ** self.gamma) * ops.log(indicators)
        return weights, {"indicators": ops.where(runs, indicators, average)}
