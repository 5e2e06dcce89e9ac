"""`MultiTaskModel`: a `keras.Model` of named outputs whose task weights are live and whose dropped tasks do not run."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np

from mtl_keras import arguments, batch_logs, functional, subgraph, weightings
from mtl_keras.batch_logs import BatchLogs
from mtl_keras.compile_settings import CompileSettings
from mtl_keras.distribution import one_replica
from mtl_keras.frozen_layers import FrozenLayers
from mtl_keras.gradient_statistics import GradientStatistics
from mtl_keras.monitored_totals import MonitoredTotals
from mtl_keras.objective import Objective
from mtl_keras.resumption import Resumption
from mtl_keras.saved_state import SavedState
from mtl_keras.trainers.tensorflow import Specialization, StepFunctions
from mtl_keras.weightings.live import live_weighting


@keras.saving.register_keras_serializable("mtl_keras")
class MultiTaskModel(SavedState, FrozenLayers, keras.Model):
    """A Functional model with one named output a task; takes the place of `keras.Model(inputs, outputs)`.

    `compile`, `fit`, `evaluate`, `predict`, `save` and `export` take Keras' own arguments. What is different:

    - **Task weights** are live: `set_task_weights` (or a callback) changes them for the next step, without a retrace.
    - **A task at weight 0 is dropped**: a training step neither computes nor updates anything that only it reaches,
      optimizer state and BatchNorm statistics included. Evaluation, prediction and export always run every task.
    - **Labels may be missing** (NaN in float labels, -1 in integer ones); a task's loss and metrics are means over its
      labelled samples.
    - Tasks that are alike are computed together, so that 100 of them cost little more than one.
    - The logs are `loss` (weighted), `<task>_loss` (unweighted), `<task>_<metric>`, `mtl_score` (the mean of the
      tasks' primary metrics, those that should fall counted negative) and, in training, `<task>_weight` (mean over the
      epoch's steps) and `<task>_active` (share of the steps in which the task ran). A task that did not run in an epoch
      has the loss NaN.

    Args:
        inputs: `keras.Input`s, as for `keras.Model`.
        outputs: task name -> symbolic output `(batch, ...)`.
        name: name of the model.
        **kwargs: as for `keras.Model`.

    Raises:
        ValueError: if `outputs` is not a dict of single outputs.

    Example:

    ```python
    model = MultiTaskModel(inputs, {"item": item, "group": group})
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.set_task_weights({"group": 0.5})
    ```
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(inputs=inputs, outputs=functional.named_outputs(outputs), name=name, **kwargs)
        self._set_settings(CompileSettings(task_weights=dict.fromkeys(self.outputs_by_task, 1.0)))

    @classmethod
    def from_model(cls, model: keras.Model) -> Self:
        """Returns a model of the layers, and so with the weights, of a Functional model with named outputs.

        Raises:
            ValueError: for a model that is not Functional, or whose outputs are not a dict of single outputs.
        """
        return cls(*functional.graph(model), name=model.name)

    def _set_settings(self, settings: CompileSettings) -> None:
        names = tuple(settings.task_weights)
        # The task weights are state, as random seeds are, but not weights of the network: a stock model of the same
        # graph has the same `weights`.
        with keras.device("cpu:0"):
            initial = np.array(list(settings.task_weights.values()), "float32")
            weights = keras.Variable(initial, trainable=False, name="task_weights")
        self._set(_settings=settings, _task_names=names, _task_weights=weights, _step_weights=None)
        outputs = {name: self.outputs_by_task[name] for name in names}
        with self.distribute_strategy.scope():
            live = live_weighting(settings.weighting, outputs, self.trainable_variables)
            gradients = GradientStatistics(len(names))
        self._set(_live_weighting=live, _objective=None, _step_functions=None, _monitored=MonitoredTotals())
        self._set(_gradients=gradients, _logs_are_read=True, _resumption=Resumption())

    def _set(self, **attributes: Any) -> None:
        """Sets attributes that Keras does not track."""
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    @property
    def outputs_by_task(self) -> dict[str, Any]:
        """The symbolic output `(batch, ...)` of each output name."""
        return dict(self._outputs_struct)

    @property
    def inputs_struct(self) -> Any:
        """The symbolic inputs, structured as they were given."""
        return self._inputs_struct

    @property
    def task_names(self) -> tuple[str, ...]:
        """The tasks, in order: the outputs that have a loss."""
        return self._task_names

    @property
    def weighting(self) -> weightings.Weighting:
        """How much each task counts in a training step, given the task weights."""
        return self._settings.weighting

    @property
    def gradients(self) -> GradientStatistics:
        """What is seen of the tasks' gradients in training; nothing, unless its `every` is set."""
        return self._gradients

    @property
    def task_weights(self) -> dict[str, float]:
        """The weight of each task in the training loss; 0 is dropped."""
        return dict(zip(self._task_names, self._current_weights().tolist(), strict=True))

    def _current_weights(self) -> np.ndarray:
        return self._task_weights.value.numpy()

    def set_task_weights(self, weights: Mapping[str, float]) -> None:
        """Sets task weights, live from the next training step on. Tasks that are not named keep theirs.

        Args:
            weights: task name -> weight >= 0; 0 drops the task.

        Raises:
            ValueError: for an unknown task, a negative or non-finite weight, or if no task would be left.
        """
        changed = arguments.checked_weights("weights", weights, self._task_names)
        merged = {**self.task_weights, **changed}
        if not any(merged.values()):
            raise ValueError(f"At least one task must have a weight > 0. Received: {dict(weights)!r}")
        self._monitored.warn("loss", "val_loss")
        self._task_weights.assign(np.array(list(merged.values()), "float32"))

    def set_step_weights(self, rows: Any) -> None:
        """Sets the task weights of the steps of the next training execution only, in place of `task_weights`.

        Args:
            rows: `(steps_per_execution, tasks)` weights >= 0, each row with one above 0.

        Raises:
            ValueError: for another shape, or weights that are negative, non-finite or all 0.
        """
        array = arguments.checked_rows(rows, (self.steps_per_execution, len(self._task_names)))
        self._monitored.warn("loss")
        self._set(_step_weights=array)

    def task_depths(self) -> dict[str, int]:
        """Returns the number of layers with weights on the longest path to each task's output."""
        return subgraph.depths({name: self.outputs_by_task[name] for name in self._task_names})

    @property
    def primary_metrics(self) -> dict[str, str]:
        """The name of each task's primary metric, its first; tasks without a metric are left out."""
        return {task: metrics[0][0] for task, metrics in self._settings.metrics.items() if metrics}

    @property
    def specializations(self) -> list[Specialization]:
        """The training functions compiled since `compile`: for which tasks, and how often each was traced."""
        return self._step_functions.specializations if self._step_functions else []

    @property
    def nonfinite_losses(self) -> dict[str, int]:
        """The tasks whose training loss was NaN or infinite since `fit` began, with the first step where it was."""
        steps = keras.ops.convert_to_numpy(self._objective.first_nonfinite.value) if self._objective else []
        return {name: int(step) for name, step in zip(self._task_names, steps) if step >= 0}

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Mapping[str, float] | None = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        *,
        class_weight: Mapping[str, Mapping[int, float]] | None = None,
        max_specializations: int = 8,
        weighting: str | Mapping[str, Any] | weightings.Weighting = "static",
    ) -> None:
        """Configures training; Keras' own arguments mean what they mean to `keras.Model`.

        Args:
            optimizer: as for `keras.Model`.
            loss: task -> loss, or one loss for all tasks. An output without a loss is predicted but not trained.
            loss_weights: task -> weight >= 0, to begin with; 1 where absent.
            metrics: task -> metrics, or one list for all tasks. A task's first metric is its primary one.
            weighted_metrics: as `metrics`, weighted by `sample_weight`.
            run_eagerly: as for `keras.Model`.
            steps_per_execution: as for `keras.Model`.
            jit_compile: as for `keras.Model`.
            auto_scale_loss: as for `keras.Model`.
            class_weight: task -> class index -> weight of the samples of that class in the task's loss.
            max_specializations: how many sets of active tasks may get a compiled function of their own, >= 1. Other
                sets are run by a function of more tasks, with the same numerical result but at its cost.
            weighting: how much each task counts in a step, given the task weights: a name, a specification such as
                `"dwa(temperature=1)"`, a config or an object of `mtl_keras.weightings`.

        Raises:
            ValueError: for unknown tasks, negative weights or other arguments out of range.
        """
        settings = CompileSettings.checked(
            self.outputs_by_task,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            class_weight=class_weight,
            max_specializations=max_specializations,
            weighting=weighting,
        )
        super().compile(
            optimizer=optimizer,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )
        # Keras' own loss and metric containers are not used: they would run every task, one by one.
        self._compile_loss = self._compile_metrics = None
        self._set_settings(settings)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, serialized."""
        config = super().get_compile_config()
        return config | self._settings.config() if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the arguments that `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def unpack(self, data: Any) -> tuple[Any, dict[str, Any], dict[str, Any] | None]:
        """Returns inputs, labels by task and sample weights by task (or `None`) of a batch of `fit`.

        Raises:
            ValueError: if a task has no labels, or labels of several tasks are not a dict.
        """
        return arguments.unpack(data, self._task_names)

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains, as `keras.Model.fit` does.

        Warns if a callback monitors `loss` or `val_loss` and task weights change while it does: the numbers before and
        after can then not be compared. `val_mtl_score` can.
        """
        given = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        self._set(_monitored=MonitoredTotals(given.get("callbacks")), _logs_are_read=batch_logs.are_read(given))
        if self._live_weighting:
            self._monitored.warn("loss")
        try:
            return super().fit(*args, **kwargs)
        finally:
            self._set(_monitored=MonitoredTotals(), _logs_are_read=True)
            self._gradients.every = 0

    def make_train_function(self, force: bool = False) -> Any:
        """Sets `train_function`, which runs the step of the current active set. Called by `fit`."""
        if self._objective:
            self._objective.forget_nonfinite()
        self.train_function = self._train_on
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Sets `test_function`, which runs all tasks. Called by `evaluate`."""
        self.test_function = self._test_on
        return self.test_function

    def _train_on(self, iterator: Any) -> BatchLogs:
        iterator = self._prepare(iterator)
        rows = self._step_weights
        if rows is None:
            rows = np.tile(self._current_weights(), (self.steps_per_execution, 1))
        self._set(_step_weights=None)
        if self._resumption:
            summary = self._resumption.skip(len(rows), self._objective, self._gradients)
        else:
            summary = self._step_functions.train(iterator, rows)
        return BatchLogs(self._objective.log_names(training=True), summary, self._logs_are_read)

    def _test_on(self, iterator: Any) -> BatchLogs:
        iterator = self._prepare(iterator)
        summary = self._step_functions.test(iterator, self._current_weights(), self.steps_per_execution)
        return BatchLogs(self._objective.log_names(training=False), summary, self._logs_are_read)

    def _prepare(self, iterator: Any) -> Any:
        """Builds losses and metrics when the labels of the first batch are known; returns the iterator, unread."""
        if self._objective is not None:
            return iterator
        spec = one_replica(getattr(iterator, "element_spec", None))
        if spec is None:
            first = next(iterator)
            spec, iterator = first, itertools.chain([first], iterator)
        _, y, _ = self.unpack(spec)
        specs = self._settings.task_specs(y, self.outputs_by_task)
        with self.distribute_strategy.scope():
            objective = Objective(specs)
            self.optimizer.build(self.trainable_variables)
        steps = StepFunctions(self, objective, self._settings.max_specializations, self._live_weighting)
        self._set(_objective=objective, _step_functions=steps)
        return iterator

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        # A Functional model is built, and `_prepare` does the rest. Keras' own fails if there are several workers.
        pass

    def reset_metrics(self) -> None:
        """Forgets the losses and metrics recorded so far. Called at the start of every epoch and evaluation."""
        super().reset_metrics()
        if self._objective is not None:
            self._objective.reset()

    def get_metrics_result(self) -> dict[str, float]:
        """Returns the losses and metrics of all tasks since the last reset, as `evaluate` logs them."""
        if self._objective is None:
            return {}
        summary = self._objective.summary(self._current_weights(), training=False)
        return dict(BatchLogs(self._objective.log_names(training=False), summary))

    def _get_metrics_result_or_logs(self, logs: Mapping[str, float]) -> dict[str, float]:
        # The logs of the last step are those of the whole epoch: they are made from the sums.
        complete = dict(logs)
        losses = [complete[f"{name}_loss"] for name in self._task_names]
        if self._live_weighting and f"{self._task_names[0]}_active" in complete:  # an epoch of training, not evaluation
            self._live_weighting.after_epoch(losses)
        return complete
