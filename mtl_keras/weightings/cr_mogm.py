"""CR-MOGM: smooths the weights of another method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from keras import ops

from mtl_keras.checks import number_field
from mtl_keras.weightings.base import WEIGHTINGS, State, StepInputs, Weighting
from mtl_keras.weightings.gramian import GramianWeighting
from mtl_keras.weightings.state import zeros

_PREFIX = "inner_"


@WEIGHTINGS.register
@dataclass(frozen=True)
class CRMOGM(GramianWeighting):
    """Correlation-reduced multi-objective gradient manipulation: a moving average of another method's weights.

    The weights are alpha times the weights of the previous step, plus (1 - alpha) times the new weights of the inner
    method. In a task's first step, the inner method's weights are used. The weights are averaged before they are
    multiplied by the preferences. An inactive task keeps its weight until its next active step.

    Behaviour under scaling and in degenerate cases is that of the inner method.

    Args:
        weighting: the inner method, which must use the Gramian: a specification, a config or an object. Set
            `update_every` and `representation` on this object instead.
        alpha: share of the old weights, from 0 (no smoothing) to 1 (the first weights never change).

    Raises:
        ValueError: for a weighting that does not use the Gramian, or an alpha that is not a number from 0 to 1.

    References:
        S. Zhou, W. Zhang, J. Jiang, W. Zhong, J. Gu, W. Zhu, *On the Convergence of Stochastic Multi-Objective Gradient
        Manipulation and Beyond*, NeurIPS 2022, algorithm 1,
        https://papers.neurips.cc/paper_files/paper/2022/hash/f91bd64a3620aad8e70a27ad9cb3ca57-Abstract-Conference.html.
        Its alpha approaches 1 as the learning rate falls; here it is fixed.
    """

    weighting: Weighting | str | Mapping[str, Any] = "mgda"
    alpha: float = number_field(0.9, minimum=0, maximum=1)

    NAME: ClassVar[str] = "cr_mogm"

    def __post_init__(self) -> None:
        inner = WEIGHTINGS.get(self.weighting)
        if not _uses_gramian(inner):
            known = [name for name in WEIGHTINGS.names if _uses_gramian(WEIGHTINGS[name])]
            raise ValueError(
                "weighting must be a method that uses the Gramian of the gradients. "
                f"Received: weighting={self.weighting!r}. Choices: {', '.join(known)}"
            )
        if inner.update_every != 1 or "representation" in inner.needs:
            raise ValueError(
                "update_every and representation are for cr_mogm itself, not for the method whose weights it smooths. "
                f"Received: weighting={inner!r}"
            )
        object.__setattr__(self, "weighting", inner)
        object.__setattr__(self, "needs", inner.needs)
        super().__post_init__()

    @property
    def _inner(self) -> Weighting:
        return cast(Weighting, self.weighting)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {
            **zeros(tasks, "smoothed", "started"),
            **_add_prefix(self._inner.initial_state(tasks, coordinates)),
        }

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        weights, inner = self._inner.update(inputs, _inner_state(state))
        weights, active = ops.cast(weights, "float64"), inputs.active
        old, started = state["smoothed"], state["started"]
        smoothed = ops.where(ops.cast(started, "bool"), self.alpha * ops.cast(old, weights.dtype), self.alpha * weights)
        smoothed = smoothed + (1 - self.alpha) * weights
        return smoothed, {
            "smoothed": ops.where(active, ops.cast(smoothed, old.dtype), old),
            "started": ops.where(active, ops.ones_like(started), started),
            **_add_prefix(inner),
        }

    def after_epoch(self, losses: Any, state: State) -> State:
        return {**state, **_add_prefix(self._inner.after_epoch(losses, _inner_state(state)))}


def _uses_gramian(weighting: Any) -> bool:
    """Returns whether an object or a class needs the Gramian but not the Jacobian."""
    needs = getattr(weighting, "needs", None)
    return isinstance(needs, frozenset) and "gramian" in needs and "jacobian" not in needs


def _add_prefix(state: State) -> dict[str, Any]:
    return {_PREFIX + name: value for name, value in state.items()}


def _inner_state(state: State) -> dict[str, Any]:
    return {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
