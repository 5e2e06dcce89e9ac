"""Aligned-MTL: makes the gradients orthogonal and equally long before averaging them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from keras import ops

from mtl_keras.checks import unknown_value
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs
from mtl_keras.weightings.gramian import TINY, GramianWeighting, spectrum

ScaleMode = Literal["min", "median", "rmse"]
_EPSILON = float(np.finfo("float64").eps)


@WEIGHTINGS.register
@dataclass(frozen=True)
class AlignedMTL(GramianWeighting):
    """Aligned-MTL: replaces the gradients by the closest set of orthogonal, equally long ones, and takes their mean.

    With the Gramian G = V diag(l) V^T of the N active tasks, the weights are B 1/N, where
    B = sqrt(s) V diag(1 / sqrt(l)) V^T is over the nonzero eigenvalues l, and the scale s is computed from them.
    Eigenvalues not above N e max(l) count as zero, where e is the spacing of float64 at 1. (A Gramian computed in
    float32 has rounding errors that exceed this threshold.) Weights may be negative.

    The direction depends on the scale of each gradient: B is the identity for gradients that are already orthogonal and
    equally long. A zero gradient gets the weight 0; if all are zero, weights are 1/N.

    Args:
        scale_mode: s is the smallest of the l ("min", the paper's), their lower median ("median"), or their mean
            ("rmse": the root of the mean squared singular value of the gradients).

    Raises:
        ValueError: for another scale mode.

    References:
        D. Senushkin, N. Patakin, A. Kuznetsov, A. Konushin, *Independent Component Alignment for Multi-Task Learning*,
        CVPR 2023, algorithm 1, https://arxiv.org/abs/2305.19000. The tasks are averaged, as in TorchJD; LibMTL adds
        them.
    """

    scale_mode: ScaleMode = "min"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale_mode not in get_args(ScaleMode):
            raise unknown_value("scale_mode", self.scale_mode, get_args(ScaleMode))

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        gramian, active = inputs.gramian, inputs.active
        size = gramian.shape[0]
        ones = ops.cast(active, gramian.dtype)
        count = ops.maximum(ops.sum(ones), 1.0)
        values, vectors = spectrum(gramian)
        nonzero = values > ops.maximum(count * _EPSILON * values[-1], TINY)
        rank = ops.sum(ops.cast(nonzero, np.int32))
        safe = ops.where(nonzero, values, 1.0)
        if self.scale_mode == "rmse":
            scale = ops.sum(ops.where(nonzero, values, 0.0)) / ops.cast(ops.maximum(rank, 1), gramian.dtype)
        else:
            # Eigenvalues ascend, so the last ones are nonzero.
            index = size - rank + (ops.maximum(rank - 1, 0) // 2 if self.scale_mode == "median" else 0)
            scale = ops.sum(ops.where(ops.arange(size) == index, safe, 0.0))
        factors = ops.where(nonzero, ops.sqrt(scale / safe), 0.0)
        shares = ops.sum(vectors * ones[:, None], axis=0) * factors
        return ops.where(rank > 0, ops.sum(vectors * shares[None, :], axis=1), 1.0) / count, state
