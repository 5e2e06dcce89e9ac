"""DWA: higher weights for tasks whose losses fall slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.simplex import masked_softmax
from mtl_keras.weightings.state import zeros


@WEIGHTINGS.register
@dataclass(frozen=True)
class DWA(Weighting):
    """Dynamic weight average: a softmax over the rates at which the losses fell between epochs.

    In epoch k the rate of task t is r_t = L_t(k-1) / L_t(k-2), the ratio of its mean losses in the last two epochs in
    which it ran; 1 before it has run in two epochs. Its weight is p_t N exp(r_t / T) / sum_i exp(r_i / T), where p_t is
    its preference, and the sum is over the N tasks with a preference above 0.

    For losses > 0: epochs in which a task's mean loss is not a finite number above 0 do not change its rate.

    Args:
        temperature: T > 0; the higher, the closer to equal weights.

    Raises:
        ValueError: for a temperature that is not a finite number above 0.

    References:
        S. Liu, E. Johns, A. J. Davison, *End-to-End Multi-Task Learning with Attention*, CVPR 2019, equation 7,
        https://arxiv.org/abs/1803.10704.
    """

    temperature: float = positive_field(2.0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 marks an unknown mean loss.
        return zeros(tasks, "last", "last_but_one")

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        active, dtype = inputs.active, inputs.losses.dtype
        last, last_but_one = (ops.cast(state[name], dtype) for name in ("last", "last_but_one"))
        logits = ops.divide_no_nan(last, last_but_one) / self.temperature
        logits = ops.where(ops.logical_and(last_but_one > 0, ops.isfinite(logits)), logits, 1 / self.temperature)
        return ops.sum(ops.cast(active, dtype)) * masked_softmax(logits, active), state

    def after_epoch(self, losses: Any, state: State) -> State:
        losses = ops.convert_to_tensor(losses)
        ran = ops.logical_and(ops.isfinite(losses), losses > 0)
        return {
            "last": ops.where(ran, losses, state["last"]),
            "last_but_one": ops.where(ran, state["last"], state["last_but_one"]),
        }
