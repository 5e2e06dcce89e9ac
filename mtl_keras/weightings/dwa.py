"""More weight for the tasks whose losses fall slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting


@WEIGHTINGS.register
@dataclass(frozen=True)
class DWA(Weighting):
    """Dynamic weight average: a softmax of how fast each task's loss fell from one epoch to the next.

    In epoch k the rate of task t is r_t = L_t(k-1) / L_t(k-2), of its mean losses in the last two epochs in which it
    ran; 1 as long as there are not two. Its weight is p_t N exp(r_t / T) / sum_i exp(r_i / T), where p_t is its
    preference, and the sum is over the N tasks with a preference above 0.

    For losses > 0: an epoch in which a task's mean loss is not a finite number above 0 leaves its rate as it was.

    Args:
        temperature: T > 0; the higher, the closer to equal weights.

    Raises:
        ValueError: for a temperature that is not a finite number above 0.

    References:
        S. Liu, E. Johns, A. J. Davison, *End-to-End Multi-Task Learning with Attention*, CVPR 2019, equation 7,
        https://arxiv.org/abs/1803.10704.
    """

    temperature: float = 2.0

    def __post_init__(self) -> None:
        if check_number("temperature", self.temperature, 0) == 0:
            raise ValueError(f"temperature must be above 0. Received: temperature={self.temperature!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 stands for a mean loss that is not known yet.
        return {"last": np.zeros(tasks, "float32"), "last_but_one": np.zeros(tasks, "float32")}

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        active, dtype = seen.active, seen.losses.dtype
        last, before = (ops.cast(state[name], dtype) for name in ("last", "last_but_one"))
        heat = ops.divide_no_nan(last, before) / self.temperature
        heat = ops.where(ops.logical_and(before > 0, ops.isfinite(heat)), heat, 1 / self.temperature)
        highest = ops.max(ops.where(active, heat, -np.inf))
        raised = ops.where(active, ops.exp(heat - highest), 0.0)
        count = ops.sum(ops.cast(active, dtype))
        return count * ops.divide_no_nan(raised, ops.sum(raised)), state

    def after_epoch(self, losses: Any, state: State) -> State:
        losses = ops.convert_to_tensor(losses)
        ran = ops.logical_and(ops.isfinite(losses), losses > 0)
        return {
            "last": ops.where(ran, losses, state["last"]),
            "last_but_one": ops.where(ran, state["last"], state["last_but_one"]),
        }
