"""Base class of methods that project gradients onto the cone of directions in which no task's loss rises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from mtl_keras.checks import check_number
from mtl_keras.weightings.gramian import GramianWeighting


@dataclass(frozen=True)
class ConeProjection(GramianWeighting):
    """A method that solves quadratic programmes with the normalised, regularised Gramian G / trace G + r I.

    The small r is TorchJD's: conflicts of the order of r can remain.

    Args:
        regularization: r, >= 0. At 0 projections are exact, but weights are unbounded near Pareto-stationary points.
        smallest: threshold for the trace of the Gramian (the sum of the squared norms), >= 0. A smaller trace counts as
            zero, and weights are 1/N. The default is TorchJD's and absolute; 0 makes the method independent of a common
            scale of the losses.

    Raises:
        ValueError: for an argument that is not a finite number >= 0.
    """

    regularization: float = 1e-4
    smallest: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("regularization", self.regularization, 0)
        check_number("smallest", self.smallest, 0)

    def regularized(self, gramian: Any) -> Any:
        """Returns the Gramian divided by its trace, plus r times the identity."""
        trace = ops.sum(ops.diagonal(gramian))
        counts = ops.logical_and(trace >= self.smallest, trace > 0)
        normalized = ops.where(counts, gramian / ops.where(counts, trace, 1.0), 0.0)
        return normalized + self.regularization * ops.eye(gramian.shape[0], dtype=gramian.dtype)
