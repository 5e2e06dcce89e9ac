"""FAMO: weights that make all losses fall at the same rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import check_bool, checked_field, number_field, positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.simplex import masked_softmax
from mtl_keras.weightings.state import adam, adam_state, zeros

_EPSILON = 1e-8


@WEIGHTINGS.register
@dataclass(frozen=True)
class FAMO(Weighting):
    """Fast adaptive multi-task optimisation: learns weights under which all losses fall by the same fraction.

    With z the softmax of learned logits, and D_t = L_t + 1e-8, the weight of task t is p_t c z_t / D_t, where p_t is
    its preference and c = 1 / sum_i z_i / D_i; without preferences the weights add up to 1. Softmax and sum are over
    the tasks with a preference above 0. The gain of a task is log D_t before the step minus log D_t after it. Adam
    minimises the sum of z_t times these gains in the logits: logits of tasks with above-average gains decrease.

    Multiplying a task's losses by a number divides its weight by it, up to the common factor c: the unit of a loss does
    not matter if the loss is far above 1e-8. A single task has the weight p. A task that does not run, or whose loss is
    not finite, keeps its logit and Adam moments. For losses > 0.

    The gains are measured on the batch of the step, whose losses are computed again after the step: this costs another
    forward pass. With `same_batch=False`, our variant, nothing is computed again: the gain of a task is measured from
    the last batch in which it ran to the current one, and the logits change one step later. This costs nothing but is
    noisier, because two batches differ in more than the step between them.

    Args:
        learning_rate: learning rate of the logits, > 0.
        gamma: weight decay of the logits, >= 0, added to their gradient.
        same_batch: whether the gains are measured on one batch, before and after the step.

    Raises:
        ValueError: for a learning rate that is not a finite number above 0, or a gamma below 0.

    References:
        B. Liu, Y. Feng, P. Stone, Q. Liu, *FAMO: Fast Adaptive Multitask Optimization*, NeurIPS 2023, algorithm 2,
        https://arxiv.org/abs/2306.03792.
    """

    learning_rate: float = positive_field(0.025)
    gamma: float = number_field(0.001, minimum=0)
    same_batch: bool = checked_field(True, check_bool)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"losses_after"} if self.same_batch else ())

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        state = {**zeros(tasks, "logits"), **adam_state(tasks)}
        # 0 marks an unknown loss.
        return state if self.same_batch else {**state, **zeros(tasks, "last")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        current = inputs.losses + _EPSILON
        if inputs.previous is not None:
            before, after, preference = inputs.previous
            finite = ops.logical_and(ops.isfinite(before), ops.isfinite(after))
            state = self._learn(before + _EPSILON, after + _EPSILON, ops.logical_and(preference > 0, finite), state)
        # The quotients c z_t / D_t are a softmax too, which cannot overflow.
        weights = masked_softmax(ops.cast(state["logits"], current.dtype) - ops.log(current), inputs.active)
        if self.same_batch:
            return weights, state
        last = ops.cast(state["last"], current.dtype)
        runs = ops.logical_and(inputs.active, ops.isfinite(inputs.losses))
        learned = self._learn(last, current, ops.logical_and(runs, last > 0), state)
        return weights, {**learned, "last": ops.where(runs, current, last)}

    def gradient(self, gains: Any, moves: Any, state: State) -> Any:
        """Returns the derivative `(tasks,)` of the sum of z_t times the gains with respect to the logits.

        Args:
            gains: `(tasks,)`; 0 where `moves` is false.
            moves: `(tasks,)` booleans: the tasks in the softmax.
            state: contains the logits.
        """
        shares = masked_softmax(state["logits"], moves)
        return shares * (gains - ops.sum(shares * gains))

    def _learn(self, before: Any, after: Any, moves: Any, state: State) -> dict[str, Any]:
        """Returns the state after an Adam step for the tasks in `moves`, given their D_t before and after a step."""
        gains = ops.log(ops.where(moves, before, 1.0)) - ops.log(ops.where(moves, after, 1.0))
        gradient = self.gradient(ops.cast(gains, state["logits"].dtype), moves, state) + self.gamma * state["logits"]
        # Gains are often smaller than the epsilon of Keras; the method uses PyTorch's.
        moved, moments = adam(
            state["logits"], gradient, state, self.learning_rate, moves, epsilon=_EPSILON, corrected=True
        )
        return {"logits": moved, **moments}
