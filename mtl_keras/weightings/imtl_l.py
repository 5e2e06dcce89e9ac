"""IMTL-L: weights that bring all losses to the same size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops

from mtl_keras.weightings.base import WEIGHTINGS, State
from mtl_keras.weightings.uncertainty import LearnedLogarithm


@WEIGHTINGS.register
@dataclass(frozen=True)
class IMTLL(LearnedLogarithm):
    """Impartial multi-task learning, loss balance: learns a factor per loss that scales it to 1.

    With s_t the logarithm of the factor, sum_t L_t exp(s_t) - s_t is minimised in the network's weights and in s. The
    weight of task t is p_t exp(s_t), where p_t is its preference (which does not affect the training of s_t). s_t
    starts at 0 and converges to exp(s_t) = 1 / L_t: each task then adds p_t to the total, whatever the unit of its
    loss.

    The method is `Uncertainty` with -s instead of s and without the factor 1/2: because Adam is invariant to the scale
    of a gradient, its weights are twice those of `Uncertainty` at the same learning rate, except for the epsilon of
    Adam.

    For losses > 0.

    Args:
        learning_rate: learning rate of the s, see `LearnedLogarithm`.

    References:
        L. Liu, Y. Li, Z. Kuang, J.-H. Xue, Y. Chen, W. Yang, Q. Liao, W. Zhang, *Towards Impartial Multi-Task
        Learning*, ICLR 2021, section 3.2, https://openreview.net/forum?id=IMPnRXEWpvr, with e for the base a.
    """

    NAME: ClassVar[str] = "imtl_l"

    LOGARITHM: ClassVar[str] = "log_scales"

    def weights(self, state: State, dtype: str) -> Any:
        return ops.exp(ops.cast(state["log_scales"], dtype))

    def gradient(self, losses: Any, state: State) -> Any:
        return losses * self.weights(state, losses.dtype) - 1
