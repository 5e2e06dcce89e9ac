"""Compiled training and evaluation functions, with one training function for each set of active tasks."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.distribution import Replicas
from mtl_keras.training import graph
from mtl_keras.training.dropped import DroppedState
from mtl_keras.training.frozen import freeze, variable_ids
from mtl_keras.training.gradients import GradientStatistics, shared_groups
from mtl_keras.training.gradients_step import GradientsStep
from mtl_keras.training.kernels import fused_kernels
from mtl_keras.training.look_ahead import AffinityStatistics
from mtl_keras.training.step import LossesStep, Scope, test_step

StepCallable = Callable[[Any, Any], Any]
_Key = tuple[tuple[str, ...], bool]


@dataclass
class Specialization:
    """One compiled training function.

    Args:
        tasks: the tasks it computes.
        masked: whether some of them may be dropped at run time; their state is restored after the step.
        monitored: whether it also computes the gradient of each task; see `mtl_keras.callbacks.GradientMonitor`.
        looks_ahead: whether it also measures affinities; see `mtl_keras.callbacks.TaskAffinity`.
        frozen: number of frozen layers; see `mtl_keras.callbacks.FreezeLayers`.
        traces: number of times it was traced.
        seconds: duration in seconds of the calls in which it was traced, including their training steps.
    """

    tasks: tuple[str, ...]
    masked: bool
    monitored: bool = False
    looks_ahead: bool = False
    frozen: int = 0
    traces: int = 0
    seconds: float = 0.0


class Function:
    """Runs a step on one or several batches of an iterator; compiled, unless the model runs eagerly.

    Args:
        model: the compiled `MultiTaskModel`.
        step: function `(batch, task weights (tasks,))` that makes one step.
        summary: function `(task weights of the last step)` -> result of a call.
        report: description of the function, which counts the traces.
        frozen: layers that run as with `trainable = False`.
    """

    def __init__(
        self,
        model: Any,
        step: StepCallable,
        summary: Callable[[Any], Any],
        report: Specialization,
        frozen: Sequence[keras.Layer] = (),
    ) -> None:
        self.report = report
        strategy, replicas, optimizer = model.distribute_strategy, Replicas(model.distribute_strategy), model.optimizer

        def replica_step(data: Any, task_weights: Any) -> None:
            # Operations that need no data (the step count) must not run if the iterator is empty.
            known = [part for part in tf.nest.flatten(data, expand_composites=True) if part is not None]
            with tf.control_dependencies(known):
                step(data, task_weights)

        def one_step(data: Any, task_weights: Any) -> None:
            with freeze(frozen), fused_kernels(model), replicas.gradients_already_summed(optimizer):
                strategy.run(replica_step, args=(data, task_weights))

        self._eager = model.run_eagerly
        self._one_step, self._summary = one_step, summary
        if not self._eager:
            compile_step = tf.function(jit_compile=model.jit_compile, reduce_retracing=True, autograph=False)
            # TensorFlow warns of frequent retracing. It counts by the code of a function, which all sets of active
            # tasks share, but counts each `partial` separately.
            self._one_step = compile_step(functools.partial(one_step))
            self._several = tf.function(functools.partial(self._steps), autograph=False)

    def __call__(self, iterator: Iterator[Any], rows: np.ndarray) -> Any:
        """Runs one step for each row of task weights until the data ends; returns the summary after the last step.

        Args:
            iterator: yields batches.
            rows: `(steps, tasks)` float32 task weights.

        Raises:
            StopIteration: or `tf.errors.OutOfRangeError`, if there is no batch at all.
        """
        if self._eager or not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            done = False
            for row, data in zip(rows, iterator):
                self._one_step(without_optionals(data), tf.constant(row))
                done = True
            if not done:
                raise StopIteration
            return self._summary(tf.constant(rows[-1]))
        traces, start = self.report.traces, time.perf_counter()
        result = self._several(iterator, tf.constant(rows))
        if self.report.traces > traces:
            self.report.seconds += time.perf_counter() - start
        return result

    def _steps(self, iterator: Any, rows: Any) -> Any:
        """Runs a step for each row until the data ends; raises an error if there is no batch."""
        self._one_step(without_optionals(iterator.get_next()), rows[0])
        steps = rows.shape[0]
        if steps > 1:

            def upcoming(index: Any) -> Any:
                # The iterator must not be advanced past the last step: that batch belongs to the next call.
                return tf.cond(index < steps, iterator.get_next_as_optional, lambda: empty)

            def body(index: Any, optional: Any) -> tuple[Any, Any]:
                self._one_step(without_optionals(optional.get_value()), rows[index])
                return index + 1, upcoming(index + 1)

            empty = tf.experimental.Optional.empty(iterator.element_spec)
            tf.while_loop(
                lambda index, optional: optional.has_value(), body, (tf.constant(1), upcoming(tf.constant(1)))
            )
        return self._summary(rows[-1])


def without_optionals(data: Any) -> Any:
    """Returns a batch with `None` for empty optionals, which Keras passes for missing parts such as sample weights."""
    return keras.tree.map_structure(lambda part: None if isinstance(part, tf.experimental.Optional) else part, data)


class StepFunctions:
    """Compiles and caches the step functions of a model, and selects the one for each step.

    At most `max_specializations` training functions are compiled for each set of frozen layers. One of them is
    reserved for the masked function of all tasks, which can drop any of them and serves every set of tasks without a
    function of its own.

    Args:
        model: a compiled `MultiTaskModel`, whose labels are known.

    Attributes:
        objective: its losses and metrics.
    """

    def __init__(self, model: Any) -> None:
        self._model, self._state = model, model.training_setup
        self.objective = self._state.objective
        self._replicas = Replicas(model.distribute_strategy)
        tasks, outputs = self.objective.tasks, model.outputs_by_task
        self._units = graph.units(outputs)
        self._always = set(outputs) - set(tasks)
        self._owned = graph.ownership(outputs, tasks)
        # Paths of the frozen layers -> (tasks, whether some of them may be dropped) -> function.
        self._functions: dict[tuple[str, ...], dict[_Key, Function]] = {}
        # (paths of the frozen layers, whether some tasks may be dropped, whether it monitors gradients, number of
        # tasks whose effect it measures) -> function.
        self._monitored: dict[tuple[tuple[str, ...], bool, bool, int], Function] = {}
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
            `Objective.summary` after the steps.
        """
        active = rows > 0
        gradients_due = self._state.gradients.due(len(rows))
        affinity_due = self._state.affinity.due(len(rows))
        if (active == active[0]).all() and not any([*gradients_due, *affinity_due]):
            return self._training_function(active[0])(iterator, rows)
        result = None
        for row, *due in zip(rows, gradients_due, affinity_due):
            function = self._monitoring_function(row > 0, *due) if any(due) else self._training_function(row > 0)
            try:
                result = function(iterator, row[None])
            except (StopIteration, tf.errors.OutOfRangeError):
                if result is None:
                    raise
                break
        return result

    def test(self, iterator: Any, weights: np.ndarray, steps: int) -> Any:
        """Runs up to `steps` evaluation steps with all tasks; returns `Objective.summary`."""
        if self._test is None:
            scope = Scope(self._model, self.objective, self._replicas, self._units, self._owned)
            summary = functools.partial(self.objective.summary, training=False)
            report = Specialization(self.objective.tasks, masked=False)
            self._test = Function(self._model, test_step(scope), summary, report)
        return self._test(iterator, np.broadcast_to(weights, (steps, len(weights))))

    def _running(self, tasks: set[str]) -> list[graph.Unit]:
        """Returns the units to compute for some tasks, which include those of outputs without a loss."""
        computed = tasks | self._always
        return [unit for unit in self._units if not computed.isdisjoint(unit.tasks)]

    def _training_function(self, active: np.ndarray) -> Function:
        """Returns a function that can train the active tasks.

        It computes only these tasks, and is compiled now if necessary and if the limit allows it. Otherwise it is the
        compiled function with the fewest additional tasks.
        """
        running = {task for task, on in zip(self.objective.tasks, active) if on}
        units = self._running(running)
        computed = {task for unit in units for task in unit.tasks}
        tasks = tuple(task for task in self.objective.tasks if task in computed)
        key = (tasks, set(tasks) != running)
        functions = self._functions.setdefault(tuple(self._model.frozen_layers), {})
        if key in functions:
            return functions[key]
        everything = (self.objective.tasks, True)
        if len(functions) - (everything in functions) >= self._state.spec.max_specializations - 1:
            wider = [k for k in functions if k[1] and set(k[0]) >= running]
            key = min(wider, key=lambda k: len(k[0])) if wider else everything
            units = self._running(set(key[0]))
        if key not in functions:
            functions[key] = self._compile(key, units)
        return functions[key]

    def _monitoring_function(self, active: np.ndarray, gradients: bool, affinity: bool) -> Function:
        """Returns the function of all tasks for steps that also measure gradients, affinities or both."""
        masked = not active.all()
        measured = self._state.affinity
        place = (tuple(self._model.frozen_layers), masked, gradients, measured.sources if affinity else 0)
        if place not in self._monitored:
            key = (self.objective.tasks, masked)
            monitor = self._state.gradients if gradients else None
            self._monitored[place] = self._compile(key, self._units, monitor, measured if affinity else None)
        return self._monitored[place]

    def _compile(
        self,
        key: _Key,
        units: Sequence[graph.Unit],
        monitor: GradientStatistics | None = None,
        affinity: AffinityStatistics | None = None,
    ) -> Function:
        """Builds the training function of `key`.

        Args:
            key: its tasks, and whether some of them may be dropped.
            units: the units that it computes.
            monitor: gradient statistics to add to, or `None`.
            affinity: affinities to add to, or `None`.
        """
        tasks, masked = key
        model, objective = self._model, self.objective
        inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        frozen = list(model.frozen_layers.values())
        frozen_ids = variable_ids(frozen)
        partial = masked or tasks != objective.tasks or bool(frozen_ids)
        check_accumulation(inner, partial)
        columns = [task in tasks for task in objective.tasks]
        owned = [graph.unreached(entry) if id(entry.variable) in frozen_ids else entry for entry in self._owned]
        reached = [entry for entry in owned if entry.reached[:, columns].any() or entry.always]
        # With `use_ema`, every step updates the moving averages of all variables, even of those outside the step.
        average = getattr(inner, "use_ema", False)
        dropped = None
        if masked or (partial and average):
            dropped = DroppedState(owned if average else reached, model.optimizer)
        trained = {id(variable) for variable in model.trainable_variables}
        live = self._state.weighting
        scope = Scope(model, objective, self._replicas, units, reached, masked, dropped, live, monitor, affinity)
        contested = bool(shared_groups(owned, trained, [True] * len(columns)))
        train_step: StepCallable
        if live is not None and live.weighting.needs & {"gramian", "jacobian"}:
            train_step = GradientsStep(scope, live, contested)
        else:
            train_step = LossesStep(scope)
        report = Specialization(tasks, masked, monitor is not None, affinity is not None, len(frozen))

        def step(data: Any, task_weights: Any) -> None:
            report.traces += 1
            train_step(data, task_weights)

        return Function(model, step, functools.partial(objective.summary, training=True), report, frozen)


def check_accumulation(optimizer: Any, partial: bool) -> None:
    """Raises `ValueError` if only a part of the variables is trained while gradients are accumulated."""
    steps = getattr(optimizer, "gradient_accumulation_steps", None)
    if partial and steps:
        raise ValueError(
            "Tasks cannot be dropped, nor layers frozen, while gradients are accumulated. Received: "
            f"gradient_accumulation_steps={steps}"
        )
