"""SDMGrad: min-norm weights near the preferred ones, from two independent halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import integer_field, number_field, positive_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import ROUNDING, TINY, GramianWeighting
from mtl_keras.weightings.simplex import normalize_active, project_simplex, replace_active


@WEIGHTINGS.register
@dataclass(frozen=True)
class SDMGrad(GramianWeighting):
    """Stochastic direction-oriented multi-objective gradient: MGDA that stays near the mean gradient.

    With G = J1 J2^T of two independent halves of the batch, A = G / m^2, where m is the mean norm of the gradients (the
    root of the diagonal, 0 where that is negative), and e the equal weights that add up to 1, w is found by some steps
    of gradient descent with momentum on w^T A w / 2 + lam w^T A e, each projected onto weights >= 0 that add up to 1.
    The initial w is e; each step starts from the w of the previous step. The weights are (w + lam e) / (1 + lam).

    Scaling all gradients by the same factor does not change the weights. Scaling up a single gradient lowers its task's
    weight. If all of A's diagonal is 0, as for zero gradients, w does not change. If a task is inactive, the total
    weight of the active tasks is redistributed among them.

    Args:
        lam: strength of the pull towards equal weights, >= 0; the authors' `lamda`.
        inner_learning_rate: step size of the descent, > 0.
        iterations: steps of the descent, an integer >= 1.
        momentum: from 0 to 1.

    Raises:
        ValueError: for numbers out of these ranges.

    References:
        P. Xiao, H. Ban, K. Ji, *Direction-oriented Multi-objective Learning: Simple and Provable Stochastic
        Algorithms*, NeurIPS 2023, algorithm 1, https://arxiv.org/abs/2305.18409. Defaults are those of the authors'
        code and LibMTL, without the 1e-8 that they add to m^2. The weights are applied to the gradient of the whole
        batch, not of a third sample.
    """

    lam: float = number_field(0.3, minimum=0)
    inner_learning_rate: float = positive_field(5.0)
    iterations: int = integer_field(20, minimum=1)
    momentum: float = number_field(0.5, minimum=0, maximum=1)

    needs = frozenset({"gramian", "two_halves"})

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"shares": np.full(tasks, 1 / tasks, "float32")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        ones = ops.cast(active, gramian.dtype)
        count = ops.maximum(ops.sum(ones), 1.0)
        pull = self.lam * ones / count
        square = ops.square(ops.sum(ops.sqrt(ops.maximum(ops.diagonal(gramian), 0.0))) / count)
        square = ops.maximum(square, ROUNDING * ops.max(ops.abs(gramian)))
        scaled = ops.where(square > TINY, gramian / ops.where(square > TINY, square, 1.0), 0.0)

        def descend(_: Any, values: Any) -> Any:
            weights, velocity = values
            gradient = ops.sum(scaled * (weights + pull)[None, :], axis=-1)
            velocity = self.momentum * velocity + gradient
            return project_simplex(weights - self.inner_learning_rate * velocity, active), velocity

        start, total = normalize_active(state["shares"], active)
        # The first velocity is the gradient itself, as after one step from zero velocity.
        weights, _ = ops.fori_loop(0, int(self.iterations), descend, (start, ops.zeros_like(start)))
        shares = replace_active(state["shares"], weights * total, active)
        return (weights + pull) / (1.0 + self.lam), {"shares": shares}
