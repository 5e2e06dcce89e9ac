"""`SavedState`: what a `MultiTaskModel` saves beside what Keras does, and goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from mtl_keras import resumption
from mtl_keras.gradient_statistics import GradientStatistics
from mtl_keras.resumption import Resumption
from mtl_keras.weightings.live import LiveWeighting

_WEIGHTS = "task_weights"


class SavedState:
    """The part of `MultiTaskModel` that writes and reads its state."""

    weights: list[keras.Variable]
    steps_per_execution: int
    _outputs_struct: Any
    _task_names: tuple[str, ...]
    _task_weights: keras.Variable
    _live_weighting: LiveWeighting | None
    _objective: Any
    _gradients: GradientStatistics
    _resumption: Resumption

    @property
    def variables(self) -> list[keras.Variable]:
        """All state of the model: weights, random seeds and the task weights."""
        return [*super().variables, self._task_weights]  # type: ignore[misc]

    def save_own_variables(self, store: Any) -> None:
        """Saves the task weights and the state of the weighting, beside what `keras.Model` saves."""
        super().save_own_variables(store)  # type: ignore[misc]
        if self._live_weighting:
            self._live_weighting.save(store)
        # In the alphabetical order of the outputs, those without a loss included: files know no other.
        weights = dict(zip(self._task_names, self._task_weights.numpy(), strict=True))
        store[_WEIGHTS] = np.array([weights.get(name, 1.0) for name in sorted(self._outputs_struct)], "float32")

    def load_own_variables(self, store: Any) -> None:
        """Loads the task weights and the state of the weighting; without them in the file they stay as they are."""
        keys = list(store.keys())
        own = [key for key in keys if key == _WEIGHTS or key.startswith(LiveWeighting.PREFIX)]
        super().load_own_variables({key: store[key] for key in keys if key not in own})  # type: ignore[misc]
        if _WEIGHTS in own:
            saved = dict(zip(sorted(self._outputs_struct), np.array(store[_WEIGHTS]), strict=True))
            self._task_weights.assign(np.array([saved[name] for name in self._task_names], "float32"))
        if self._live_weighting:
            self._live_weighting.load({key: store[key] for key in own})

    def training_state(self) -> dict[str, np.ndarray]:
        """Returns what training goes on from beside what `save` writes: random seeds, the sums of the epoch so far."""
        return resumption.collect(self._seeds(), self._objective, self._gradients)

    def resume_training(self, state: Mapping[str, np.ndarray], steps: int = 0) -> None:
        """Goes on from what `training_state` returned after some steps of an epoch, with the model saved then.

        The next epoch of `fit` passes over these steps: it calls the callbacks, but neither reads data nor trains. Give
        it the data that come after them, and all of the epoch's `steps_per_epoch`.

        Args:
            state: from `training_state`.
            steps: how many of the epoch's steps were made: a multiple of `steps_per_execution`.

        Raises:
            ValueError: if the state or the number does not fit.
        """
        if steps < 0 or steps % self.steps_per_execution:
            raise ValueError(
                f"steps must be a multiple of steps_per_execution={self.steps_per_execution}. Received: steps={steps}"
            )
        resumption.assign("seeds", self._seeds(), state)
        object.__setattr__(self, "_resumption", Resumption(steps, state))

    def _seeds(self) -> list[keras.Variable]:
        """The state of dropout and the like, which Keras does not save with a model."""
        saved = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in saved]
