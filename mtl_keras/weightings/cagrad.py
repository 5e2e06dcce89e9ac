"""CAGrad: moves the mean gradient within a ball to improve the worst-off task most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.simplex import equal_weights, one_if_alone
from mtl_keras.weightings.solvers import (
    STATIONARY,
    definite_cosines,
    exchange,
    restrict,
    share_equally,
    start_pivots,
    times,
)


@WEIGHTINGS.register
@dataclass(frozen=True)
class CAGrad(GramianWeighting):
    """Conflict-averse gradient: the direction near the mean gradient that improves the worst-off task most.

    With g_0 the mean gradient of the N active tasks, the combined gradient d maximises min_t g_t'd over all d with
    |d - g_0| <= c |g_0|. It is g_0 + sum_t y_t g_t with y >= 0, and the weights are 1/N + y_t: 1/N for c = 0, and
    closer to the direction of `mgda` the larger c is.

    The problem is solved exactly for the weights y, without the floors and the division by 1 + c^2 of the authors'
    code. At Pareto-stationary points and if an active gradient is zero, no d improves every task. Then d is the vector
    nearest to g_0 under which no task loses, if the ball contains one; TorchJD gives no update in this case. A single
    active task keeps its gradient. Equal gradients get equal weights. Multiplying one task's loss by 10 changes the
    direction: the worst-off tasks are those with short gradients.

    Args:
        c: radius of the ball, relative to |g_0|, >= 0. Below 1 the method converges to a minimum of the mean loss; from
            1 on no task loses, and the method may stop at any Pareto-stationary point.

    Raises:
        ValueError: for a c that is not a finite number >= 0.

    References:
        B. Liu, X. Liu, X. Jin, P. Stone, Q. Liu, *Conflict-Averse Gradient Descent for Multi-task Learning*, NeurIPS
        2021, equations 3 and 4, https://arxiv.org/abs/2110.14048.
    """

    c: float = number_field(0.5, minimum=0)

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        mean = equal_weights(active)
        if self.c == 0:
            return mean, state
        # In units of the norms: y = inverse * u, G y = C u / inverse.
        cosine, inverse, present = definite_cosines(gramian, active)
        squares = ops.diagonal(gramian)
        unit = ops.sqrt(ops.min(ops.where(present, squares, ops.max(squares) + 1)))
        a = inverse * unit
        gains = times(gramian, mean) * inverse
        largest = ops.max(ops.where(present, ops.abs(gains), 0.0))
        size = ops.where(largest > 0, largest, 1.0)
        gains = gains / size
        radius = self.c**2 * ops.maximum(ops.sum(times(gramian, mean) * mean), 0.0) / size / size
        u = _correction(cosine, gains, a, radius, present, ops.any(ops.logical_and(active, ops.logical_not(present))))
        return one_if_alone(mean + share_equally(gramian, u * size * inverse), active), state


def _correction(cosine: Any, gains: Any, a: Any, radius: Any, present: Any, capped: Any) -> Any:
    """Returns the u >= 0 with z = Cu + gains - nu a >= 0, z'u = 0 and u'Cu = radius.

    For each nu, the u that satisfies all conditions but the last solves a quadratic programme, and u'Cu grows with nu.
    Given which u are above 0, nu is the root of a quadratic. Both are updated together while this makes progress;
    afterwards variables are exchanged one at a time at a fixed nu, until its programme is solved.
    """
    right = ops.stack([a, -gains], axis=-1)

    def step(free: Any, u: Any, nu: Any, pivots: Any, move: Any, capped: Any, running: Any) -> tuple[Any, ...]:
        p, r = ops.unstack(ops.linalg.solve(restrict(cosine, free), ops.where(free[:, None], right, 0.0)), axis=-1)
        slope, offset, least = ops.sum(a * p), ops.sum(a * r), -ops.sum(gains * r)
        root = (ops.sqrt(ops.maximum(offset**2 - slope * (least - radius), 0.0)) - offset) / ops.maximum(slope, 1e-300)
        # p is proportional to the shortest affine combination; if all its signs agree, that combination is convex.
        stationary = ops.logical_and(slope * STATIONARY > 1, ops.all(p >= -1e-3 * ops.max(p)))
        capped = ops.logical_or(capped, stationary)
        nu = ops.where(move, ops.where(capped, ops.minimum(root, 0.0), root), nu)
        u = nu * p + r
        free, pivots, wrong = exchange(free, u, times(cosine, u) + gains - nu * a, present, pivots)
        running = ops.logical_or(wrong, ops.logical_not(move))
        # After the joint updates are used up, nu changes only when the programme for the current nu is solved.
        move = ops.logical_or(ops.logical_not(wrong), pivots[1] > 0)
        return free, u, nu, pivots, move, capped, running

    n = gains.shape[0]
    lowest = ops.where(present, gains / ops.where(present, a, 1.0), np.inf)
    free = ops.logical_and(present, lowest <= ops.min(lowest))
    zero = ops.zeros_like(radius)
    state = (free, ops.zeros_like(gains), zero, start_pivots(gains), True, capped, True)
    return ops.maximum(ops.while_loop(lambda *s: s[-1], step, state, maximum_iterations=50 + 20 * n)[1], 0.0)
