"""A smooth maximum of how far each loss has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State, Weighting

# A loss of 0 has no logarithm; below this one, a task's weight grows no more.
_SMALLEST = 1e-7
# Lower than the logarithm of any quotient of losses, and nothing that a softmax makes NaN of.
_LEFT_OUT = -1e38


@WEIGHTINGS.register
@dataclass(frozen=True)
class STCH(Weighting):
    """Smooth Tchebycheff scalarisation of the logarithms of the losses, relative to where they were after a warm-up.

    A task is in its warm-up in the first `warmup_epochs` epochs in which it runs, and in the one after them, whose mean
    training loss becomes its nadir n_t. Until then the logarithm of its loss is minimised: its weight is p_t / L_t,
    with p_t its preference. From then on it takes part in N mu log sum_t exp(log(L_t / n_t) / mu), whose sum is over
    the N tasks that have a nadir and a preference above 0: its weight is p_t N z_t / L_t, where z is the softmax of
    log(L_t / n_t) / mu over these tasks. The task that has come down least gets the most.

    The paper's preferences are factors within the exponential. Here they multiply the weights: a logarithm below 0,
    which is the rule once training goes on, would turn their meaning round.

    If a task's losses are all multiplied by a number, its weight is divided by it: the unit of a loss does not matter.
    For losses > 0: a loss below 1e-7 is weighted as if it were 1e-7, and an epoch in which a task's mean loss is not a
    finite number above 0 does not count for it. With one task the weight is p / L. Epochs are those of `fit`; without
    them the warm-up has no end.

    Args:
        mu: smoothness, >= 1e-6. At 1 each weight is in proportion to 1 / n_t; the smaller, the closer to the maximum.
        warmup_epochs: number of epochs before the one that sets the nadir, >= 0.

    Raises:
        ValueError: for a mu below 1e-6, or a number of epochs that is no integer from 0 on.

    References:
        X. Lin, X. Zhang, Z. Yang, F. Liu, Z. Wang, Q. Zhang, *Smooth Tchebycheff Scalarization for Multi-Objective
        Optimization*, ICML 2024, https://arxiv.org/abs/2402.19078. Logarithms, warm-up and nadir are those of the
        authors' code for multi-task learning; the nadir is the mean over the samples of its epoch there is for steps of
        equal size.
    """

    mu: float = 1.0
    warmup_epochs: int = 4

    def __post_init__(self) -> None:
        check_number("mu", self.mu, 1e-6)
        if check_number("warmup_epochs", self.warmup_epochs, 0) % 1:
            raise ValueError(f"warmup_epochs must be an integer. Received: warmup_epochs={self.warmup_epochs!r}")

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 stands for a nadir that is not known yet.
        return {"epochs": np.zeros(tasks, "float32"), "nadir": np.zeros(tasks, "float32")}

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        losses = ops.maximum(seen.losses, _SMALLEST)
        nadir = ops.cast(state["nadir"], losses.dtype)
        balanced = ops.logical_and(seen.active, nadir > 0)
        heights = ops.where(balanced, ops.log(losses) - ops.log(ops.where(nadir > 0, nadir, 1.0)), _LEFT_OUT)
        heights = (heights - ops.max(heights)) / self.mu
        count = ops.sum(ops.cast(balanced, losses.dtype))
        shares = count * ops.exp(heights - ops.logsumexp(heights))
        return ops.where(balanced, shares, 1.0) / losses, state

    def after_epoch(self, losses: Any, state: State) -> State:
        losses = ops.convert_to_tensor(losses)
        ran = ops.logical_and(ops.isfinite(losses), losses > 0)
        last = ops.logical_and(ran, ops.equal(state["epochs"], self.warmup_epochs))
        return {
            "epochs": ops.where(ran, state["epochs"] + 1, state["epochs"]),
            "nadir": ops.where(last, ops.maximum(losses, _SMALLEST), state["nadir"]),
        }
