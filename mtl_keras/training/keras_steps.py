"""Keras' own steps, for classes that override a part of them: dropped tasks are computed, then restored."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.training import graph
from mtl_keras.training.batch_logs import score
from mtl_keras.training.dropped import DroppedState
from mtl_keras.training.frozen import freeze
from mtl_keras.training.function import Specialization, check_accumulation, without_optionals
from mtl_keras.training.objective import Objective


class KerasSteps:
    """Runs the `train_step` and `test_step` of a model in which the user overrides a part of them.

    A task at weight 0 is computed, and its state is restored afterwards.

    Args:
        model: a compiled `MultiTaskModel`.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._state = model, model.training_setup
        self._functions: dict[tuple[str, bool], Callable[..., Any]] = {}
        self.specializations: list[Specialization] = []
        # Known once `train_step` has been run or traced.
        self._uses_weights = self._warned = False
        self.reset()

    def reset(self) -> None:
        """Resets the recorded weights of the steps."""
        self._weights = self._active = np.zeros(len(self._state.tasks))
        self._count = 0

    def run_logs(self) -> dict[str, float]:
        """Returns `<task>_weight` and `<task>_active` of the steps since the last reset."""
        if not (self._count and self._state.spec.losses):
            return {}
        means = (("weight", self._weights / self._count), ("active", self._active / self._count))
        return {f"{task}_{name}": float(row[i]) for name, row in means for i, task in enumerate(self._state.tasks)}

    def train(self, iterator: Any, rows: np.ndarray) -> dict[str, Any]:
        """Runs one training step for each row `(tasks,)` of task weights; returns the logs of the last."""
        logs = None
        for row, data in zip(rows, iterator):
            logs = self._function("train_step", not row.all())(without_optionals(data), tf.constant(row))
            self._check_weights(row)
            self._weights, self._active, self._count = self._weights + row, self._active + (row > 0), self._count + 1
        if logs is None:
            raise StopIteration
        return dict(logs)

    def test(self, iterator: Any, weights: np.ndarray, steps: int) -> dict[str, Any]:
        """Runs up to `steps` evaluation steps; returns the logs of the last."""
        logs = None
        for _, data in zip(range(steps), iterator):
            logs = self._function("test_step", False)(without_optionals(data), tf.constant(weights))
        if logs is None:
            raise StopIteration
        return dict(logs)

    def _check_weights(self, row: np.ndarray) -> None:
        """Warns once if task weights are not 1 and the user's methods do not use them."""
        if (row != 1).any() and self._state.tasks and not self._uses_weights and not self._warned:
            self._warned = True
            warnings.warn(
                f"Task weights have no effect on the loss of {type(self._model).__name__}: it overrides "
                f"{', '.join(self._model.overridden_methods)} and does not call `super().compute_loss`. Received: task "
                f"weights {dict(zip(self._state.tasks, row.tolist()))}",
                stacklevel=2,
            )

    def _function(self, name: str, masked: bool) -> Callable[..., Any]:
        if (name, masked) not in self._functions:
            self._functions[name, masked] = self._compile(name, masked)
        return self._functions[name, masked]

    def _compile(self, name: str, masked: bool) -> Callable[..., Any]:
        model, state = self._model, self._state
        strategy, own_step = model.distribute_strategy, getattr(model, name)
        dropped = None
        if masked:
            check_accumulation(getattr(model.optimizer, "inner_optimizer", model.optimizer), partial=True)
            owned = graph.ownership(model.outputs_by_task, state.tasks)
            dropped = DroppedState(owned, model.optimizer)
        report = Specialization(state.tasks, masked)
        if name == "train_step":
            self.specializations.append(report)

        def replica_step(data: Any, row: Any) -> Any:
            report.traces += 1
            saved = dropped.save() if dropped else []
            with state.weighted_by(row):
                logs = own_step(data)
            if name == "train_step":
                self._uses_weights = state.row_was_used
            if dropped:
                dropped.restore(saved, row > 0)
            return logs

        def one_step(data: Any, row: Any) -> Any:
            frozen = freeze(model.frozen_layers.values()) if name == "train_step" else nullcontext()
            with frozen:
                logs = strategy.run(replica_step, args=(data, row))
            return keras.tree.map_structure(lambda part: _mean_over_replicas(strategy, part), logs)

        if model.run_eagerly:
            return one_step
        return tf.function(one_step, jit_compile=model.jit_compile, reduce_retracing=True, autograph=False)


def _mean_over_replicas(strategy: tf.distribute.Strategy, value: Any) -> Any:
    parts = strategy.experimental_local_results(value)
    return parts[0] if len(parts) == 1 else tf.add_n(list(parts)) / len(parts)


def keras_step_logs(
    logs: Mapping[str, Any], steps: KerasSteps, objective: Objective | None, training: bool
) -> dict[str, Any]:
    """Returns the logs of a user-defined step, with the entries that the library adds.

    Args:
        logs: the result of `train_step` or `test_step`.
        steps: the steps.
        objective: losses and metrics; `None` if they were not needed.
        training: whether it was a training step.
    """
    found = dict(logs)
    primary = {}
    if objective is not None:
        if len(objective.tasks) == 1 and "loss" in found:
            found.setdefault(f"{objective.tasks[0]}_loss", found["loss"])
        if len(objective.specs) == 1:
            for task, spec in objective.specs.items():
                for name, _, _ in spec.metrics:
                    if name in found:
                        found.setdefault(f"{task}_{name}", found[name])
        primary = {task: objective.specs[task].primary for task in objective.tasks}
        found.setdefault("mtl_score", score(found, primary))
    return {**found, **(steps.run_logs() if training else {})}
