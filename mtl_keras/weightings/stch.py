"""STCH: a smooth maximum of the relative losses of the tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import integer_field, number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.simplex import masked_softmax
from mtl_keras.weightings.state import zeros

# A loss of 0 has no logarithm; below this value, a task's weight stops growing.
_SMALLEST = 1e-7


@WEIGHTINGS.register
@dataclass(frozen=True)
class STCH(Weighting):
    """Smooth Tchebycheff scalarisation of the log-losses, relative to their values after a warm-up.

    The warm-up of a task consists of the first `warmup_epochs` epochs in which it runs and the next one, whose mean
    training loss becomes its nadir n_t. In the warm-up the logarithm of its loss is minimised: its weight is p_t / L_t,
    with p_t its preference. After that, the task takes part in N mu log sum_t exp(log(L_t / n_t) / mu), whose sum is
    over the N tasks that have a nadir and a preference above 0: its weight is p_t N z_t / L_t, where z is the softmax
    of log(L_t / n_t) / mu over these tasks. The task whose loss has fallen least gets the largest z_t.

    In the paper, preferences are factors inside the exponential. Here they multiply the weights: for a negative
    logarithm, the usual case later in training, a factor inside would have the opposite effect.

    Multiplying a task's losses by a number divides its weight by it: the unit of a loss does not matter. For
    losses > 0: a loss below 1e-7 is weighted as if it were 1e-7, and an epoch in which a task's mean loss is not a
    finite number above 0 does not count for it. A single task has the weight p / L. Epochs are those of `fit`; without
    them the warm-up does not end.

    Args:
        mu: smoothness, >= 1e-6. At 1 each weight is proportional to 1 / n_t; smaller values are closer to the maximum.
        warmup_epochs: number of epochs before the one that sets the nadir, >= 0.

    Raises:
        ValueError: for a mu below 1e-6, or a number of epochs that is not an integer >= 0.

    References:
        X. Lin, X. Zhang, Z. Yang, F. Liu, Z. Wang, Q. Zhang, *Smooth Tchebycheff Scalarization for Multi-Objective
        Optimization*, ICML 2024, https://arxiv.org/abs/2402.19078. Logarithms, warm-up and nadir are those of the
        authors' code for multi-task learning; the nadir is the mean over the samples of its epoch, which equals theirs
        if all steps have the same size.
    """

    mu: float = number_field(1.0, minimum=1e-6)
    warmup_epochs: int = integer_field(4, minimum=0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 marks an unknown nadir.
        return zeros(tasks, "epochs", "nadir")

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        losses = ops.maximum(inputs.losses, _SMALLEST)
        nadir = ops.cast(state["nadir"], losses.dtype)
        balanced = ops.logical_and(inputs.active, nadir > 0)
        logits = (ops.log(losses) - ops.log(ops.where(nadir > 0, nadir, 1.0))) / self.mu
        shares = ops.sum(ops.cast(balanced, losses.dtype)) * masked_softmax(logits, balanced)
        return ops.where(balanced, shares, 1.0) / losses, state

    def after_epoch(self, losses: Any, state: State) -> State:
        losses = ops.convert_to_tensor(losses)
        ran = ops.logical_and(ops.isfinite(losses), losses > 0)
        last = ops.logical_and(ran, ops.equal(state["epochs"], self.warmup_epochs))
        return {
            "epochs": ops.where(ran, state["epochs"] + 1, state["epochs"]),
            "nadir": ops.where(last, ops.maximum(losses, _SMALLEST), state["nadir"]),
        }
