"""DualProj: projects the mean gradient onto the cone of directions that conflict with no task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.base import WEIGHTINGS, Seen, State
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.solvers import mean_weights, nonnegative_qp, share_equally, times


@WEIGHTINGS.register
@dataclass(frozen=True)
class DualProj(GramianWeighting):
    """Dual-cone projection: the direction nearest to the mean gradient along which no task's loss rises.

    With N active tasks, the weights minimise |sum_t w_t g_t| subject to w_t >= 1/N; without conflict they are 1/N. The
    objective is w'(G / trace G + r I) w, with the small r of TorchJD: conflicts of the order of r can remain.
    Multiplying one task's loss by 10 changes the direction, as it changes the mean gradient. Zero gradients keep the
    weight 1/N.

    Args:
        regularization: r, >= 0. At 0 the projection is exact, but weights are unbounded near Pareto-stationary points.
        smallest: threshold for the trace of the Gramian (the sum of the squared norms), >= 0. A smaller trace counts as
            zero, and weights are 1/N. The default is TorchJD's and absolute; 0 makes the method independent of a common
            scale of the losses.

    Raises:
        ValueError: for an argument that is not a finite number >= 0.

    References:
        D. Lopez-Paz, M. Ranzato, *Gradient Episodic Memory for Continual Learning*, NeurIPS 2017, equations 8 to 11,
        https://arxiv.org/abs/1706.08840.
    """

    regularization: float = 1e-4
    smallest: float = 1e-4

    NAME: ClassVar[str] = "dual_proj"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("regularization", self.regularization, 0)
        check_number("smallest", self.smallest, 0)

    def update(self, seen: Seen, state: State) -> tuple[Any, State]:
        gramian, active = seen.gramian, seen.active
        mean = mean_weights(active)
        regularized = regularize(gramian, self.regularization, self.smallest)
        extra = nonnegative_qp(regularized, times(regularized, mean), active)
        return mean + share_equally(gramian, extra), state


def regularize(gramian: Any, regularization: float, smallest: float) -> Any:
    """Returns the Gramian divided by its trace, plus a multiple of the identity."""
    trace = ops.sum(ops.diagonal(gramian))
    counts = ops.logical_and(trace >= smallest, trace > 0)
    normalized = ops.where(counts, gramian / ops.where(counts, trace, 1.0), 0.0)
    return normalized + regularization * ops.eye(gramian.shape[0], dtype=gramian.dtype)
