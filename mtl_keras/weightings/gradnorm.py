"""GradNorm: weights trained to balance the norms of the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.checks import number_field, positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.simplex import masked_softmax
from mtl_keras.weightings.state import LOG_BOUND, adam, adam_state, zeros


@WEIGHTINGS.register
@dataclass(frozen=True)
class GradNorm(GramianWeighting):
    """GradNorm: trains the weights so that slow tasks have larger gradients than fast ones.

    The weights are w_t = N exp(s_t) / sum_i exp(s_i) over the N active tasks. With n_t the norm of the gradient of task
    t, and r_t = (L_t / L_t(0)) / mean_i (L_i / L_i(0)) its relative inverse training rate, the target of the weighted
    norm w_t n_t is T_t = r_t^alpha mean_i (w_i n_i). sum_t |w_t n_t - T_t| is minimised in s, with fixed T_t.

    L_t(0) is the mean unweighted loss of the first epoch in which task t ran; until it is known, s_t does not change,
    and r_t is 1. So all weights are 1 in the first epoch. Only epochs of `fit` count.

    The s start at 0. Adam trains them with a separate learning rate, independent of the model's optimizer, and updates
    each only in the steps in which its task runs. They stay between -20 and 20. Preferences multiply the n_t; losses
    are compared unweighted.

    If a task's gradient is larger by a constant factor, its weight converges to a value smaller by that factor. For
    losses > 0; other losses count as 0.

    Args:
        alpha: how strongly slow tasks are favoured, >= 0; 0 gives equal norms.
        learning_rate: learning rate of the s, > 0: roughly the largest change of each s in one step.

    Raises:
        ValueError: for an alpha that is not a finite number >= 0, or a learning rate not above 0.

    References:
        Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich, *GradNorm: Gradient Normalization for Adaptive Loss
        Balancing in Deep Multitask Networks*, ICML 2018, equations 1 and 2, https://arxiv.org/abs/1711.02257. The paper
        trains the w_t, scales them to the sum N after each step, and uses the losses of the first step as L(0); the
        softmax and the first epoch are LibMTL's.
    """

    alpha: float = number_field(1.5, minimum=0)
    learning_rate: float = positive_field(0.025)

    NAME: ClassVar[str] = "gradnorm"

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        # 0 marks an unknown first loss.
        return {**zeros(tasks, "logits", "first"), **adam_state(tasks)}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, losses, active = inputs.gramian, inputs.losses, inputs.active
        gradient = self.gradient(gramian, losses, active, state)
        moves = ops.logical_and(active, ops.logical_and(state["first"] > 0, ops.isfinite(losses)))
        logits, moments = adam(state["logits"], gradient, state, self.learning_rate, moves, bound=LOG_BOUND)
        return self._weights(active, state), {"logits": logits, "first": state["first"], **moments}

    def gradient(self, gramian: Any, losses: Any, active: Any, state: State) -> Any:
        """Returns the derivatives `(tasks,)` of the objective with respect to s_t."""
        weights, ones = self._weights(active, state), ops.cast(active, "float64")
        count = ops.maximum(ops.sum(ones), 1.0)
        norms = ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))
        first = ops.cast(state["first"], "float64")
        known = ops.logical_and(ops.logical_and(first > 0, active), ops.isfinite(losses))
        ratios = ops.where(known, ops.maximum(losses, 0.0) / ops.where(known, first, 1.0), 0.0)
        mean = ops.sum(ratios) / ops.maximum(ops.sum(ops.cast(known, "float64")), 1.0)
        rates = ops.where(known, ops.divide_no_nan(ratios, mean), 1.0)
        targets = ops.sum(weights * norms) / count * rates**self.alpha
        slopes = weights * norms * ops.sign(weights * norms - targets)
        return slopes - weights * ops.sum(slopes) / count

    def after_epoch(self, losses: Any, state: State) -> State:
        losses, first = ops.convert_to_tensor(losses), state["first"]
        is_first = ops.logical_and(first == 0, ops.logical_and(ops.isfinite(losses), losses > 0))
        return {**state, "first": ops.where(is_first, ops.cast(losses, first.dtype), first)}

    def _weights(self, active: Any, state: State) -> Any:
        shares = masked_softmax(ops.cast(state["logits"], "float64"), active)
        return ops.sum(ops.cast(active, "float64")) * shares
