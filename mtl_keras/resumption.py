"""Taking up an epoch where it was left: what training goes on from beside what a model's own file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mtl_keras.gradient_statistics import GradientStatistics
from mtl_keras.objective import Objective

_COUNT = "gradients_count"


class Resumption:
    """The steps of an epoch that were made before it was left, which `fit` passes over.

    Args:
        steps: how many.
        state: what `collect` returned after them.
    """

    def __init__(self, steps: int = 0, state: Mapping[str, np.ndarray] | None = None) -> None:
        self._left = steps
        self._state = dict(state or {})
        self._summary: Any = None

    def __bool__(self) -> bool:
        return self._left > 0

    def skip(self, steps: int, objective: Objective, gradients: GradientStatistics) -> Any:
        """Passes over some steps; the sums of the epoch are then those that there were after all of them.

        Args:
            steps: as many as one training execution makes.
            objective: gets its sums back.
            gradients: gets its sums back.

        Returns:
            `Objective.summary`, as a tensor.
        """
        if self._summary is None:
            assign("objective", objective.variables, self._state)
            assign("gradients", gradients.variables, self._state)
            gradients.count = int(self._state[_COUNT])
            self._summary = objective.summary(None, training=True)
        self._left -= steps
        return self._summary


def collect(
    seeds: Sequence[keras.Variable], objective: Objective | None, gradients: GradientStatistics
) -> dict[str, np.ndarray]:
    """Returns the arrays that `Resumption` and `assign` take: seeds, and the sums of the epoch so far.

    Args:
        seeds: state that Keras does not save.
        objective: `None` before the first step.
        gradients: what was seen of the tasks' gradients.
    """
    groups = {"seeds": seeds, "objective": objective.variables if objective else [], "gradients": gradients.variables}
    arrays = {
        f"{name}_{place}": np.asarray(ops.convert_to_numpy(variable.value))
        for name, variables in groups.items()
        for place, variable in enumerate(variables)
    }
    return {**arrays, _COUNT: np.asarray(gradients.count)}


def assign(name: str, variables: Sequence[keras.Variable], state: Mapping[str, np.ndarray]) -> None:
    """Gives variables the values that `collect` found in them.

    Args:
        name: what they are: `"seeds"`, `"objective"` or `"gradients"`.
        variables: in the order in which they were collected.
        state: what `collect` returned.

    Raises:
        ValueError: if the values are those of other variables.
    """
    values = [state.get(f"{name}_{place}") for place in range(len(variables))]
    shapes = [None if value is None else value.shape for value in values]
    if f"{name}_{len(variables)}" in state or shapes != [tuple(variable.shape) for variable in variables]:
        raise ValueError(f"The state is that of another model: {name} do not fit. Received: shapes {shapes}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
