"""A training or evaluation step, compiled, over the batches of an iterator."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.frozen_layers import at_rest
from mtl_keras.objective import Objective
from mtl_keras.trainers import replicas
from mtl_keras.trainers.fused_kernels import fused_kernels

Step = Callable[[Any, Any], None]


@dataclass
class Specialization:
    """One compiled training function.

    Args:
        tasks: the tasks it computes.
        masked: whether some of them may be dropped at run time, their state being put back after the step.
        monitored: whether it looks at the gradients of each task too; see `mtl_keras.callbacks.GradientMonitor`.
        frozen: how many layers it leaves as they are; see `mtl_keras.callbacks.FreezeLayers`.
        traces: how often it was traced.
        seconds: how long the calls took in which it was, their training steps included.
    """

    tasks: tuple[str, ...]
    masked: bool
    monitored: bool = False
    frozen: int = 0
    traces: int = 0
    seconds: float = 0.0


class Function:
    """A step, compiled as the model's settings ask for, over one or several batches of an iterator.

    Args:
        model: the compiled `MultiTaskModel`.
        objective: its losses and metrics.
        step: `(batch, task weights of the step)`.
        report: what it is.
        training: whether it trains.
        frozen: layers that run as layers do that are not trained.
    """

    def __init__(
        self,
        model: Any,
        objective: Objective,
        step: Step,
        report: Specialization,
        training: bool,
        frozen: Sequence[keras.Layer] = (),
    ) -> None:
        self.report = report
        strategy = model.distribute_strategy

        def replica_step(data: Any, task_weights: Any) -> None:
            # Without this, what needs no data (the count of steps) would run even if the iterator turned out empty.
            known = [part for part in keras.tree.flatten(data) if part is not None]
            with tf.control_dependencies(known):
                step(data, task_weights)

        def one_step(data: Any, task_weights: Any) -> None:
            with at_rest(frozen), fused_kernels(model), replicas.gradients_already_summed(model):
                strategy.run(replica_step, args=(data, task_weights))

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
        """Runs up to one step for each row of task weights; returns `Objective.summary` as a tensor."""
        if self._eager or not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            done = False
            for row, data in zip(rows, iterator):
                self._one_step(_without_optionals(data), tf.constant(row))
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
