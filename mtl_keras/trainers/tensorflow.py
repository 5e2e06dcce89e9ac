"""The compiled steps of a `MultiTaskModel` on TensorFlow: one training function an active set.

This room is the only one with `tf.function` and `tf.GradientTape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtl_keras import frozen_layers, subgraph
from mtl_keras.batches import Predictions
from mtl_keras.freezing import Freezer
from mtl_keras.gradient_statistics import GradientStatistics
from mtl_keras.gradients import shared_groups
from mtl_keras.objective import Objective
from mtl_keras.trainers import replicas
from mtl_keras.trainers.function import Function, Specialization, Step
from mtl_keras.trainers.scope import Scope, batch_size
from mtl_keras.trainers.task_gradients_step import TaskGradientsStep
from mtl_keras.trainers.weighted_loss_step import WeightedLossStep
from mtl_keras.weightings.base import LossWeighting
from mtl_keras.weightings.live import LiveWeighting

_Key = tuple[tuple[str, ...], bool]


class StepFunctions:
    """Builds and keeps the compiled steps of a model, and picks the one that the next step needs.

    For each set of frozen layers that is met, at most `max_specializations` training functions are compiled. One of
    them is kept for the set of all tasks in the form that can drop any of them, which serves every set of tasks that
    has no function of its own.

    Args:
        model: a compiled `MultiTaskModel`.
        objective: its losses and metrics.
        max_specializations: how many training functions may be compiled, >= 1.
        weighting: turns the task weights of a step into other weights; `None` to take the task weights.

    Attributes:
        specializations: what was compiled so far.
    """

    def __init__(
        self, model: Any, objective: Objective, max_specializations: int, weighting: LiveWeighting | None = None
    ) -> None:
        self._model = model
        self._objective = objective
        self._weighting = weighting
        self._limit = max_specializations
        self._units = subgraph.units({task: model.outputs_by_task[task] for task in objective.tasks})
        self._owned = subgraph.ownership({task: model.outputs_by_task[task] for task in objective.tasks})
        # By the frozen layers; then by the tasks and whether some of them may be dropped.
        self._functions: dict[tuple[str, ...], dict[_Key, Function]] = {}
        self._monitored: dict[tuple[tuple[str, ...], bool], Function] = {}
        self._test: Function | None = None

    @property
    def specializations(self) -> list[Specialization]:
        """The training functions compiled so far."""
        plain = [function for functions in self._functions.values() for function in functions.values()]
        return [function.report for function in (*plain, *self._monitored.values())]

    def train(self, iterator: Any, rows: np.ndarray) -> Any:
        """Runs one training step for each row.

        Args:
            iterator: yields batches.
            rows: `(steps, tasks)` float32 task weights.

        Returns:
            `Objective.summary` after the steps, as a tensor.
        """
        active = rows > 0
        due = self._model.gradients.due(len(rows))
        if (active == active[0]).all() and not any(due):
            return self._training_function(active[0])(iterator, rows)
        result = None
        for row, monitored in zip(rows, due):
            function = self._monitoring_function(row > 0) if monitored else self._training_function(row > 0)
            try:
                result = function(iterator, row[None])
            except (StopIteration, tf.errors.OutOfRangeError):
                if result is None:
                    raise
                break
        return result

    def test(self, iterator: Any, weights: np.ndarray, steps: int) -> Any:
        """Runs up to `steps` evaluation steps with all tasks; returns `Objective.summary` as a tensor."""
        if self._test is None:
            report = Specialization(self._objective.tasks, masked=False)
            self._test = Function(self._model, self._objective, self._test_step(), report, training=False)
        return self._test(iterator, np.broadcast_to(weights, (steps, len(weights))))

    def _training_function(self, active: np.ndarray) -> Function:
        """The smallest function that serves an active set, compiled now if there is none and the limit allows it."""
        running = {task for task, on in zip(self._objective.tasks, active) if on}
        units = [unit for unit in self._units if running & set(unit.tasks)]
        tasks = tuple(task for task in self._objective.tasks if any(task in unit.tasks for unit in units))
        key = (tasks, set(tasks) != running)
        functions = self._functions.setdefault(tuple(self._model.frozen_layers), {})
        if key in functions:
            return functions[key]
        everything = (self._objective.tasks, True)
        if len(functions) - (everything in functions) >= self._limit - 1:
            wider = [k for k in functions if k[1] and set(k[0]) >= running]
            key = min(wider, key=lambda k: len(k[0])) if wider else everything
            units = [unit for unit in self._units if set(unit.tasks) & set(key[0])]
        if key not in functions:
            functions[key] = self._compile(key, units)
        return functions[key]

    def _monitoring_function(self, active: np.ndarray) -> Function:
        """The function for steps in which the gradients are looked at: of all tasks, of which some may be dropped."""
        masked = not active.all()
        place = (tuple(self._model.frozen_layers), masked)
        if place not in self._monitored:
            key = (self._objective.tasks, masked)
            self._monitored[place] = self._compile(key, self._units, self._model.gradients)
        return self._monitored[place]

    def _compile(
        self,
        key: _Key,
        units: Sequence[subgraph.Unit],
        monitor: GradientStatistics | None = None,
    ) -> Function:
        tasks, masked = key
        model, objective = self._model, self._objective
        optimizer = model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        frozen = list(model.frozen_layers.values())
        still = frozen_layers.variables(frozen)
        partial = masked or tasks != objective.tasks or bool(still)
        if partial and inner.gradient_accumulation_steps:
            raise ValueError(
                "Tasks cannot be dropped, nor layers frozen, while gradients are accumulated. Received: "
                f"gradient_accumulation_steps={inner.gradient_accumulation_steps}"
            )
        columns = [task in tasks for task in objective.tasks]
        owned = [subgraph.unreached(entry) if id(entry.variable) in still else entry for entry in self._owned]
        reached = [entry for entry in owned if entry.reached[:, columns].any()]
        # A moving average of the weights (use_ema) moves in every step, that of variables not in the step included.
        watched = owned if inner.use_ema else reached
        freezer = Freezer(watched, optimizer) if masked or (partial and inner.use_ema) else None
        trained = {id(variable) for variable in model.trainable_variables}
        contested = bool(shared_groups(owned, trained, [True] * len(columns)))
        live = self._weighting
        scope = Scope(model, objective, units, reached, masked, freezer, live, monitor, contested)
        sees_losses = live is None or isinstance(live.weighting, LossWeighting)
        train_step: Step = WeightedLossStep(scope) if sees_losses else TaskGradientsStep(scope)
        report = Specialization(tasks, masked, monitor is not None, len(frozen))

        def step(data: Any, task_weights: Any) -> None:
            report.traces += 1
            train_step(data, task_weights)

        return Function(model, objective, step, report, training=True, frozen=frozen)

    def _test_step(self) -> Step:
        model, objective, units = self._model, self._objective, self._units
        forward = subgraph.sub_model(model.inputs_struct, units)
        scope = Scope(model, objective, units, self._owned)

        def step(data: Any, task_weights: Any) -> None:
            size = batch_size(data)
            data, there = replicas.filled(data)
            x, y, sample_weight = model.unpack(data)
            predictions = Predictions(units, forward(x, training=False))
            counting = replicas.counting(None, there, len(objective.tasks))
            batches = objective.batches(objective.tasks, y, predictions, sample_weight, counting)
            additional = replicas.share(scope.additional_loss([forward], task_weights > 0))
            found = [objective.loss_totals(batches), additional, *objective.statistics(batches, size)]
            totals, additional, *statistics = replicas.summed(found)
            objective.record(batches, totals, additional, statistics)

        return step
