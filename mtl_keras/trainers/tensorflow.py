"""The compiled steps of a `MultiTaskModel` on TensorFlow: one training function an active set.

The only file with `tf.function` and `tf.GradientTape`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras import subgraph
from mtl_keras.batches import Predictions
from mtl_keras.freezing import Freezer
from mtl_keras.objective import Objective
from mtl_keras.weightings.live import LiveWeighting

Step = Callable[[Any, Any], None]


@dataclass
class Specialization:
    """One compiled training function.

    Args:
        tasks: the tasks it computes.
        masked: whether some of them may be dropped at run time, their state being put back after the step.
        traces: how often it was traced.
    """

    tasks: tuple[str, ...]
    masked: bool
    traces: int = 0


class StepFunctions:
    """Builds and keeps the compiled steps of a model, and picks the one that the next step needs.

    At most `max_specializations` training functions are compiled. One of them is kept for the set of all tasks in
    the form that can drop any of them, which serves every set that has no function of its own.

    Args:
        model: a compiled `MultiTaskModel`.
        objective: its losses and metrics.
        max_specializations: how many training functions may be compiled, >= 1.
        weighting: turns the task weights and losses of a step into weights; `None` to take the task weights.

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
        self._functions: dict[tuple[tuple[str, ...], bool], _Function] = {}
        self._test: _Function | None = None

    @property
    def specializations(self) -> list[Specialization]:
        """The training functions compiled so far."""
        return [function.report for function in self._functions.values()]

    def train(self, iterator: Any, rows: np.ndarray) -> Any:
        """Runs one training step for each row.

        Args:
            iterator: yields batches.
            rows: `(steps, tasks)` float32 task weights.

        Returns:
            `Objective.summary` after the steps, as a tensor.
        """
        active = rows > 0
        if (active == active[0]).all():
            return self._training_function(active[0])(iterator, rows)
        result = None
        for row in rows:
            try:
                result = self._training_function(row > 0)(iterator, row[None])
            except (StopIteration, tf.errors.OutOfRangeError):
                if result is None:
                    raise
                break
        return result

    def test(self, iterator: Any, weights: np.ndarray, steps: int) -> Any:
        """Runs up to `steps` evaluation steps with all tasks; returns `Objective.summary` as a tensor."""
        if self._test is None:
            forward = subgraph.sub_model(self._model.inputs_struct, self._units)
            report = Specialization(self._objective.tasks, masked=False)

            def step(data: Any, task_weights: Any) -> None:
                self._test_step(forward, data)

            self._test = _Function(self._model, self._objective, step, report, training=False)
        return self._test(iterator, np.broadcast_to(weights, (steps, len(weights))))

    def _training_function(self, active: np.ndarray) -> _Function:
        """The smallest function that serves an active set, compiled now if there is none and the limit allows it."""
        running = {task for task, on in zip(self._objective.tasks, active) if on}
        units = [unit for unit in self._units if running & set(unit.tasks)]
        tasks = tuple(task for task in self._objective.tasks if any(task in unit.tasks for unit in units))
        key = (tasks, set(tasks) != running)
        if key in self._functions:
            return self._functions[key]
        everything = (self._objective.tasks, True)
        if len(self._functions) - (everything in self._functions) >= self._limit - 1:
            wider = [k for k in self._functions if k[1] and set(k[0]) >= running]
            key = min(wider, key=lambda k: len(k[0])) if wider else everything
            units = [unit for unit in self._units if set(unit.tasks) & set(key[0])]
        if key not in self._functions:
            self._functions[key] = self._compile(key, units)
        return self._functions[key]

    def _compile(self, key: tuple[tuple[str, ...], bool], units: Sequence[subgraph.Unit]) -> _Function:
        tasks, masked = key
        model, objective = self._model, self._objective
        optimizer = model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        dropping = masked or tasks != objective.tasks
        if dropping and inner.gradient_accumulation_steps:
            raise ValueError(
                "Tasks cannot be dropped while gradients are accumulated. Received: "
                f"gradient_accumulation_steps={inner.gradient_accumulation_steps}"
            )
        columns = [task in tasks for task in objective.tasks]
        trained = {id(variable) for variable in model.trainable_variables}
        reached = [entry for entry in self._owned if entry.reached[:, columns].any()]
        variables = [entry.variable for entry in reached if id(entry.variable) in trained]
        # A moving average of the weights (use_ema) moves in every step, that of variables not in the step included.
        watched = self._owned if inner.use_ema else reached
        freezer = Freezer(watched, optimizer) if masked or (dropping and inner.use_ema) else None
        forward = subgraph.sub_model(model.inputs_struct, units)
        report = Specialization(tasks, masked)

        def step(data: Any, task_weights: Any) -> None:
            report.traces += 1
            self._train_step(forward, units, variables, freezer, masked, data, task_weights)

        return _Function(model, objective, step, report, training=True)

    def _train_step(
        self,
        forward: keras.Model,
        units: Sequence[subgraph.Unit],
        variables: list[keras.Variable],
        freezer: Freezer | None,
        masked: bool,
        data: Any,
        task_weights: Any,
    ) -> None:
        objective, optimizer, weighting = self._objective, self._model.optimizer, self._weighting
        x, y, sample_weight = self._model.unpack(data)
        active = task_weights > 0
        tasks = [task for unit in units for task in unit.tasks]
        step = tf.identity(optimizer.iterations)
        kept = freezer.remember() if freezer else []
        with tf.GradientTape() as tape:
            predictions = Predictions(units, forward(x, training=True))
            batches = objective.batches(tasks, y, predictions, sample_weight, active if masked else None)
            loss_totals = objective.loss_totals(batches)
            losses = tf.math.divide_no_nan(loss_totals[:, 0], loss_totals[:, 1])
            # A task without a label in the batch has the loss 0, which is not for a weighting to see.
            preference = tf.where(loss_totals[:, 1] > 0, task_weights, 0.0) if weighting else task_weights
            weights = weighting.weights(losses, preference) if weighting else task_weights
            total = tf.reduce_sum(weights * losses) + self._additional_loss(forward, active if masked else None)
            scaled = optimizer.scale_loss(total / self._model.distribute_strategy.num_replicas_in_sync)
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        if freezer:
            freezer.restore(kept, active)
        if weighting:
            weighting.after_step(losses, preference, optimizer.iterations > step)
        objective.record(batches, loss_totals, total, _batch_size(x), (weights, active), step)

    def _test_step(self, forward: keras.Model, data: Any) -> None:
        x, y, sample_weight = self._model.unpack(data)
        predictions = Predictions(self._units, forward(x, training=False))
        batches = self._objective.batches(self._objective.tasks, y, predictions, sample_weight)
        additional = self._additional_loss(forward, None)
        self._objective.record(batches, self._objective.loss_totals(batches), additional, _batch_size(x))

    def _additional_loss(self, forward: keras.Model, active: Any) -> Any:
        """Regularizers and `add_loss` of the layers that ran; of dropped tasks' layers, only if `active` is `None`."""
        if not forward.losses:
            return tf.zeros(())
        if active is None:
            return tf.add_n([tf.reduce_sum(tf.cast(loss, "float32")) for loss in forward.losses])
        names = self._objective.tasks
        total = tf.zeros(())
        for layer, reached_by in subgraph.reach(self._model.outputs_by_task).items():
            if isinstance(layer, keras.Layer) and layer in forward.layers:
                on = tf.reduce_any(tf.gather(active, [i for i, name in enumerate(names) if name in reached_by]))
                for loss in layer.losses:
                    total += tf.where(on, tf.reduce_sum(tf.cast(loss, "float32")), 0.0)
        return total


class _Function:
    """A step, compiled as the model's settings ask for, over one or several batches of an iterator."""

    def __init__(self, model: Any, objective: Objective, step: Step, report: Specialization, training: bool) -> None:
        self.report = report
        strategy = model.distribute_strategy

        def one_step(data: Any, task_weights: Any) -> None:
            # Without this, what needs no data (the count of steps) would run even if the iterator turned out empty.
            with tf.control_dependencies([part for part in keras.tree.flatten(data) if part is not None]):
                strategy.run(step, args=(data, task_weights))

        def summary(task_weights: Any) -> Any:
            return objective.summary(task_weights, training)

        self._eager = model.run_eagerly
        self._one_step, self._summary = one_step, summary
        if not self._eager:
            compile_step = tf.function(jit_compile=model.jit_compile, reduce_retracing=True, autograph=False)
            # TensorFlow warns of frequent retracing by a function's code, which all active sets share. It tells
            # partials apart.
            self._one_step = compile_step(functools.partial(one_step))
            self._several = tf.function(functools.partial(self._steps), autograph=False)

    def __call__(self, iterator: Iterator[Any], rows: np.ndarray) -> Any:
        if self._eager or not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            done = False
            for row, data in zip(rows, iterator):
                self._one_step(_without_optionals(data), tf.constant(row))
                done = True
            if not done:
                raise StopIteration
            return self._summary(tf.constant(rows[-1]))
        return self._several(iterator, tf.constant(rows))

    def _steps(self, iterator: Any, rows: Any) -> Any:
        """Runs a step for each row, as long as there is data; at least one batch must be there."""
        self._one_step(_without_optionals(iterator.get_next()), rows[0])
        steps = rows.shape[0]
        if steps > 1:

            def upcoming(index: Any) -> Any:
                # The iterator must not be advanced past the last step: that batch belongs to the next call.
                return tf.cond(index < steps, iterator.get_next_as_optional, lambda: empty)

            def body(index: Any, optional: Any) -> tuple[Any, Any]:
                self._one_step(_without_optionals(optional.get_value()), rows[index])
                return index + 1, upcoming(index + 1)

            empty = tf.experimental.Optional.empty(iterator.element_spec)
            tf.while_loop(
                lambda index, optional: optional.has_value(), body, (tf.constant(1), upcoming(tf.constant(1)))
            )
        return self._summary(rows[-1])


def _without_optionals(data: Any) -> Any:
    """Keras passes missing parts of a batch (no sample weights, say) as empty optionals."""
    return keras.tree.map_structure(lambda part: None if isinstance(part, tf.experimental.Optional) else part, data)


def _batch_size(x: Any) -> Any:
    return tf.shape(keras.tree.flatten(x)[0])[0]
