"""`MultiTaskModel`: a `keras.Model` with task weights that can change and tasks that can be dropped."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self, TypeVar

import keras
import numpy as np

from mtl_keras import arguments, weightings
from mtl_keras.distribution import one_replica
from mtl_keras.keras_private import CompileLoss, no_automatic_dependency_tracking
from mtl_keras.labels import LabelReport
from mtl_keras.task_checks import check_reserved
from mtl_keras.training import graph
from mtl_keras.training.batch_logs import BatchLogs, MonitoredTotals, batch_logs_are_read
from mtl_keras.training.frozen import named_layers, variable_ids
from mtl_keras.training.function import Specialization, StepFunctions
from mtl_keras.training.gradients import GradientStatistics
from mtl_keras.training.keras_steps import KerasSteps, keras_step_logs
from mtl_keras.training.keras_task import KerasTask, update_metrics
from mtl_keras.training.look_ahead import AffinityStatistics
from mtl_keras.training.objective import Objective
from mtl_keras.training.spec import CompileSpec
from mtl_keras.training.state import Resumption, TrainingState, collect_state, outside_of_graphs, restore_seeds

# Methods that a subclass may override. Keras' own steps then run, and call them.
_OVERRIDABLE = (
    "train_step test_step compute_loss compute_metrics get_metrics_result metrics reset_metrics call __call__ losses "
    "_aggregate_additional_loss".split()
)
F = TypeVar("F", bound=Callable[..., Any])


def _signature_of(name: str) -> Callable[[F], F]:
    """Gives a method the signature of that of `keras.Model`."""

    def decorate(method: F) -> F:
        method.__signature__ = inspect.signature(getattr(keras.Model, name))  # type: ignore[attr-defined]
        return method

    return decorate


@keras.saving.register_keras_serializable("mtl_keras")
class MultiTaskModel(keras.Model):
    """A Functional model with one named output per task; replaces `keras.Model(inputs, outputs)`.

    `compile`, `fit`, `evaluate`, `predict`, `save` and `export` take the same arguments as in Keras. Differences:

    - **Task weights** can change: `set_task_weights` (or a callback) sets them for the next step, without retracing.
    - **A task with weight 0 is dropped**: a training step neither computes nor updates anything that only this task
      uses, including optimizer state and BatchNorm statistics. Evaluation, prediction and export always run every task.
    - **Labels may be missing** for Keras losses: NaN in float labels, -1 in integer labels that are classes. A
      task's loss and metrics are means over its labelled samples.
    - **Similar tasks** are computed together: 100 of them cost little more than one.
    - **The logs** also have `<task>_loss` (unweighted) of every task, `mtl_score` (the mean of the tasks' primary
      metrics, negated where lower is better) and, in training, `<task>_weight` (mean over the epoch's
      steps) and `<task>_active` (share of the steps in which the task ran). A task that did not run in an epoch has the
      loss NaN.

    Args:
        inputs: `keras.Input`s, as for `keras.Model`.
        outputs: task name -> symbolic output `(batch, ...)`.
        name: name of the model.
        **kwargs: as for `keras.Model`.

    Raises:
        ValueError: if `outputs` is not a dict of single outputs, or a name has a meaning in the logs.

    Example:

    ```python
    model = MultiTaskModel(inputs, {"item": item, "group": group})
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.set_task_weights({"group": 0.5})
    ```
    """

    train_function: Any
    test_function: Any

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        named = graph.named_outputs(outputs)
        for output in named:
            check_reserved(output)
        super().__init__(inputs=inputs, outputs=named, name=name, **kwargs)
        self._set_up(CompileSpec(task_weights=dict.fromkeys(self.outputs_by_task, 1.0)))

    @classmethod
    def from_model(cls, model: keras.Model) -> Self:
        """Returns a model that shares the layers and weights of a Functional model with named outputs.

        Raises:
            ValueError: for a model that is not Functional, or whose outputs are not a dict of single outputs.
        """
        return cls(*graph.graph_of(model), name=model.name)

    def __repr__(self) -> str:
        if not hasattr(self, "training_setup"):  # an error of Keras' constructor may show it
            return super().__repr__()
        more = f", ... {len(self.task_names) - 6} more" if len(self.task_names) > 6 else ""
        tasks = ", ".join(self.task_names[:6]) + more
        return f"<{type(self).__name__} name={self.name}, tasks=[{tasks}], weighting={self.weighting!r}>"

    def _set_up(self, spec: CompileSpec) -> None:
        frozen = self.frozen_layers
        with self.distribute_strategy.scope():
            self.training_setup = TrainingState(spec, self.outputs_by_task, self.trainable_variables)
        self.training_setup.frozen_layers = frozen
        self._steps: StepFunctions | KerasSteps | None = None

    @property
    def outputs_by_task(self) -> dict[str, Any]:
        """The symbolic output `(batch, ...)` of each output name."""
        return dict(self._outputs_struct)

    @property
    def inputs_struct(self) -> Any:
        """The symbolic inputs, in the structure passed to the constructor."""
        return self._inputs_struct

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks, in order: the outputs that have a loss."""
        return self.training_setup.tasks

    @property
    def weighting(self) -> weightings.Weighting:
        """The method that computes how much each task counts in a training step."""
        return self.training_setup.spec.weighting

    @property
    def gradients(self) -> GradientStatistics:
        """Statistics of the tasks' gradients in training; empty unless its `every` is set."""
        return self.training_setup.gradients

    @property
    def affinity(self) -> AffinityStatistics:
        """Statistics of how a step on one task changes the losses of the others; empty unless its `every` is set."""
        return self.training_setup.affinity

    @property
    def task_weights(self) -> Mapping[str, float]:
        """The weight of each task in the training loss; 0 is dropped. Read-only: see `set_task_weights`."""
        return MappingProxyType(dict(zip(self.task_names, self.training_setup.weights().tolist(), strict=True)))

    def set_task_weights(self, weights: Mapping[str, float]) -> None:
        """Sets task weights from the next training step on. Tasks that are not named keep their weight.

        Args:
            weights: task name -> weight >= 0; 0 drops the task.

        Raises:
            ValueError: for an unknown task, a negative or non-finite weight, or if no task would be left.
        """
        changed = arguments.checked_weights("weights", weights, self.task_names)
        merged = {**self.task_weights, **changed}
        if not any(merged.values()):
            raise ValueError(f"At least one task must have a weight > 0. Received: {dict(weights)!r}")
        self.training_setup.monitored.warn("loss", "val_loss")
        self.training_setup.set_weights(merged)

    def set_step_weights(self, rows: Any) -> None:
        """Overrides `task_weights` for the steps of the next call of `train_function` only.

        Args:
            rows: `(steps_per_execution, tasks)` weights >= 0, each row with one above 0.

        Raises:
            ValueError: for another shape, or weights that are negative, non-finite or all 0.
        """
        array = arguments.checked_rows(rows, (self.steps_per_execution, len(self.task_names)))
        self.training_setup.monitored.warn("loss")
        self.training_setup.step_weights = array

    @property
    def frozen_layers(self) -> dict[str, keras.Layer]:
        """The frozen layers by path; layers of a nested model have the path `"<model>/<layer>"`."""
        setup = getattr(self, "training_setup", None)
        return dict(setup.frozen_layers) if setup else {}

    def set_frozen_layers(self, patterns: str | Iterable[str]) -> None:
        """Freezes layers from the next step on, and unfreezes all others.

        The weights of a frozen layer and their optimizer state do not change, weight decay included; BatchNorm uses its
        moving statistics and does not update them. Only the training step is compiled again, once for each set of
        frozen layers. The set is not saved with the model, and `layer.trainable` and `trainable_variables` do not
        change.

        Args:
            patterns: names of layers, with `*`, `?` and `[abc]` as in file names; `"backbone/conv*"` for layers within
                a model that is itself a layer. An empty list unfreezes all layers.

        Raises:
            ValueError: for a name that no layer has, or if nothing would be left to train.
        """
        frozen = named_layers(self, [patterns] if isinstance(patterns, str) else patterns)
        left = {id(variable) for variable in self.trainable_variables} - variable_ids(frozen.values())
        if frozen and not left:
            raise ValueError(f"Nothing would be left to train. Received: frozen layers {', '.join(frozen)}")
        self.training_setup.frozen_layers = frozen

    def task_depths(self) -> dict[str, int]:
        """Returns the number of layers with weights on the longest path to each task's output."""
        return graph.depths({name: self.outputs_by_task[name] for name in self.task_names})

    @property
    def primary_metrics(self) -> dict[str, str]:
        """The name of each task's primary metric, which is its first; tasks without a metric are omitted."""
        spec = self.training_setup.spec
        given = {task: [*spec.metrics.get(task, ()), *spec.weighted_metrics.get(task, ())] for task in self.task_names}
        return {task: arguments.metric_name(metrics[0]) for task, metrics in given.items() if metrics}

    @property
    def specializations(self) -> list[Specialization]:
        """The training functions compiled since `compile`, with their tasks and number of traces."""
        return self._steps.specializations if self._steps else []

    @property
    def nonfinite_losses(self) -> dict[str, int]:
        """The tasks whose training loss was NaN or infinite since `fit` began, with the first such step."""
        objective = self.training_setup.objective
        steps = keras.ops.convert_to_numpy(objective.first_nonfinite.value) if objective else []
        return {name: int(step) for name, step in zip(self.task_names, steps) if step >= 0}

    @no_automatic_dependency_tracking
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        *,
        class_weight: Mapping[str, Mapping[int, float]] | None = None,
        missing_labels: Mapping[str, bool] | None = None,
        max_specializations: int = 8,
        weighting: str | Mapping[str, Any] | weightings.Weighting = "static",
        **unknown: Any,
    ) -> None:
        """Configures the model for training. Arguments of `keras.Model.compile` have the same meaning.

        Args:
            optimizer: as for `keras.Model`.
            loss: task -> loss or list of losses, or one loss for all tasks. An output without a loss is predicted but
                not trained.
            loss_weights: task -> initial weight >= 0; 1 by default. A `keras.Variable` is read in every step.
            metrics: task -> metrics, or one list for all tasks. A task's first metric is its primary one.
            weighted_metrics: as `metrics`, weighted by `sample_weight`.
            run_eagerly: as for `keras.Model`.
            steps_per_execution: as for `keras.Model`.
            jit_compile: as for `keras.Model`.
            auto_scale_loss: as for `keras.Model`.
            class_weight: task -> class index -> weight of the samples of that class in the training loss.
            missing_labels: task -> whether NaN in float labels and -1 in integer labels mean "no label". By default
                true for Keras losses that are means over labels (-1 only if labels are classes), false for others.
            max_specializations: maximum number, >= 1, of sets of active tasks with their own compiled function. Other
                sets are run by a function that computes more tasks, with the same result.
            weighting: method that computes the weights of the losses: a name, a specification such as
                `"dwa(temperature=1)"`, a config or an object of `mtl_keras.weightings`.
            **unknown: must be empty.

        Raises:
            TypeError: for an unknown argument.
            ValueError: for unknown tasks, negative weights or other arguments out of range.
        """
        if unknown:
            raise arguments.unknown_argument(unknown, inspect.signature(MultiTaskModel.compile).parameters)
        before = self.training_setup.spec
        spec = CompileSpec.checked(
            self.outputs_by_task,
            before,
            loss=loss,
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            class_weight=class_weight,
            missing_labels=missing_labels,
            max_specializations=max_specializations,
            weighting=weighting,
        )
        own = self.overridden_methods
        if own and spec.weighting != weightings.Static():
            raise ValueError(
                f"`weighting` cannot be used by a class that overrides {', '.join(own)}: it needs the loss of each "
                f"task from the library's own step. Received: weighting={weighting!r}"
            )
        if not self.compiled and loss_weights is None:  # weights set before the first `compile` stay
            weights = {name: self.task_weights[name] for name in spec.task_weights}
            spec = replace(spec, task_weights=weights if any(weights.values()) else dict.fromkeys(weights, 1.0))
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
        if loss is not None:
            self._compile_loss = CompileLoss(dict(spec.losses), output_names=sorted(self.outputs_by_task))
        if metrics is not None or weighted_metrics is not None:
            self._compile_metrics = spec.compile_metrics(self.outputs_by_task)
        self._set_up(spec)

    @property
    def overridden_methods(self) -> list[str]:
        """The step methods that a subclass or the instance overrides. If there are any, Keras' own steps run."""
        return [
            name
            for name in _OVERRIDABLE
            if name in vars(self) or getattr(type(self), name) is not getattr(MultiTaskModel, name)
        ]

    @property
    def _runs_keras_steps(self) -> bool:
        """Whether Keras' own steps run, because there is no task or a subclass overrides a method."""
        return bool(not self.training_setup.spec.losses or self.overridden_methods)

    def get_compile_config(self) -> dict[str, Any]:
        """Returns the arguments of `compile`, serialized."""
        config = super().get_compile_config()
        return config | self.training_setup.spec.config() if config else config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the arguments that `get_compile_config` returned."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def unpack(self, data: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        """Returns inputs, labels by output and sample weights by output of a batch of `fit`.

        Raises:
            ValueError: if a task has no labels.
        """
        return arguments.unpack(data, self.task_names, self.outputs_by_task)

    @property
    def checks_labels(self) -> bool:
        """Whether a step fails for a class index out of range; not possible with XLA."""
        return not self.jit_compile

    @_signature_of("fit")
    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains the model; see `keras.Model.fit`.

        Warns if a callback monitors `loss` or `val_loss` while task weights change, because the values before and after
        a change cannot be compared. Monitor `val_mtl_score` instead.

        Raises:
            ValueError: for labels that do not fit a task's loss, naming the task, the label and the example.
        """
        given = inspect.signature(super().fit).bind(*args, **kwargs).arguments
        by_task = given.get("class_weight") or {}
        if by_task and (len(self.outputs_by_task) > 1 or any(isinstance(key, str) for key in by_task)):
            raise ValueError(
                "Class weights by task are an argument of `compile`: compile(..., class_weight={'task': {0: 2.0}}). "
                f"Received: fit(class_weight={by_task!r})"
            )
        setup = self.training_setup
        training = (given.get("x"), given.get("y"))
        validation = keras.utils.unpack_x_y_sample_weight(given.get("validation_data"))[:2]
        self._check_arrays(*training)
        self._check_arrays(*validation)
        setup.monitored = MonitoredTotals(given.get("callbacks"))
        setup.label_report = LabelReport(training, validation, setup.logged_labels)
        if setup.weighting:
            setup.monitored.warn("loss")
        setup.in_fit = True
        try:
            with self._log_readers(given):
                return super().fit(*args, **kwargs)
        finally:
            setup.in_fit = setup.in_epoch = False
            setup.monitored, setup.label_report = MonitoredTotals(), None
            setup.gradients.every = setup.affinity.every = 0

    @_signature_of("evaluate")
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluates the model; see `keras.Model.evaluate`. The running sums of a `fit` in progress are preserved.

        Raises:
            ValueError: for labels that do not fit a task's loss, as in `fit`.
        """
        setup = self.training_setup
        given = inspect.signature(super().evaluate).bind(*args, **kwargs).arguments
        data = (given.get("x"), given.get("y"))
        self._check_arrays(*data)
        inside = setup.objective.variables if setup.objective and setup.in_epoch else []
        sums = [keras.ops.copy(variable) for variable in inside]
        pending = setup.label_report
        # `fit` checks its validation data once, not in every epoch.
        setup.label_report = None if setup.in_fit else LabelReport((None, None), data, setup.logged_labels)
        try:
            with self._log_readers({**given, **given.get("kwargs", {})}):
                result = super().evaluate(*args, **kwargs)
        finally:
            setup.label_report = pending
        for variable, value in zip(inside, sums, strict=True):
            variable.assign(value)
        if inside:
            setup.in_epoch = setup.sums_of_training = True
        return result

    def _check_arrays(self, x: Any, y: Any) -> None:
        """Raises the errors of `unpack` for arrays, whose shapes and dtypes they name, before Keras cuts batches."""
        if y is not None and not self._runs_keras_steps:
            self.unpack((x, y))

    @contextmanager
    def _log_readers(self, given: Mapping[str, Any]) -> Iterator[None]:
        setup, before = self.training_setup, self.training_setup.logs_are_read
        setup.logs_are_read = batch_logs_are_read(given)
        try:
            yield
        finally:
            setup.logs_are_read = before

    def make_train_function(self, force: bool = False) -> Any:
        """Sets `train_function`, which trains the active tasks. Called by `fit`."""
        if self.training_setup.objective:
            self.training_setup.objective.reset_nonfinite()
        if force or (self.train_function is None and self.test_function is None):
            self._steps = None
        if self.optimizer is None or not self.trainable_variables:  # Keras raises its own error
            self._steps = KerasSteps(self)
        self.train_function = self._train_on
        return self.train_function

    def make_test_function(self, force: bool = False) -> Any:
        """Sets `test_function`, which runs all tasks. Called by `evaluate`."""
        if force or (self.train_function is None and self.test_function is None):
            self._steps = None
        if isinstance(self._steps, KerasSteps) and not self._runs_keras_steps:
            self._steps = None
        self.test_function = self._test_on
        return self.test_function

    def _train_on(self, iterator: Any) -> Mapping[str, Any]:
        setup = self.training_setup
        iterator, steps = self._prepare(iterator, training=True)
        rows = setup.step_weights
        if rows is None:
            rows = np.tile(setup.weights(), (self.steps_per_execution, 1))
        setup.step_weights, setup.in_epoch, setup.sums_of_training = None, setup.in_fit, True
        if setup.resumption and setup.objective:
            summary = setup.resumption.skip(len(rows), setup.objective, setup.measured)
        else:
            summary = steps.train(iterator, rows)
        return self._logs(steps, summary, training=True)

    def _test_on(self, iterator: Any) -> Mapping[str, Any]:
        iterator, steps = self._prepare(iterator, training=False)
        self.training_setup.sums_of_training = False
        summary = steps.test(iterator, self.training_setup.weights(), self.steps_per_execution)
        return self._logs(steps, summary, training=False)

    def _logs(self, steps: StepFunctions | KerasSteps, summary: Any, training: bool) -> Mapping[str, Any]:
        setup = self.training_setup
        if isinstance(steps, KerasSteps):
            return keras_step_logs(summary, steps, setup.objective, training)
        values, others = summary
        names = steps.objective.log_names(training)
        return BatchLogs(names, values, others, self._aliases(), setup.logs_are_read)

    def _aliases(self) -> dict[str, str]:
        """Maps the log names that Keras gives to the metrics of a single output to `<task>_<metric>`."""
        objective = self.training_setup.objective
        if objective is None or len(objective.specs) > 1:
            return {}
        return {name: f"{task}_{name}" for task, spec in objective.specs.items() for name, _, _ in spec.metrics}

    def _prepare(self, iterator: Any, training: bool) -> tuple[Any, Any]:
        """Builds losses and metrics from the labels of the first batch; returns an unread iterator and the steps."""
        setup = self.training_setup
        if self._steps is None:
            own = self._runs_keras_steps
            if setup.objective is None and not own:
                spec = one_replica(getattr(iterator, "element_spec", None))
                if spec is None:
                    first = next(iterator)
                    spec, iterator = first, itertools.chain([first], iterator)
                self._objective(*keras.utils.unpack_x_y_sample_weight(spec)[:2])
            self._called = True  # exporters check it; steps call sub-models of the same layers
            self._steps = KerasSteps(self) if own else StepFunctions(self)
        if training and isinstance(self._steps, StepFunctions) and not self.optimizer.built:
            # The scope gives the optimizer's variables the names that they get where Keras builds it.
            with self.distribute_strategy.scope(), keras.name_scope(self.optimizer.name, caller=self.optimizer):
                self.optimizer.build(self.trainable_variables)
        if setup.label_report and isinstance(self._steps, StepFunctions):
            setup.label_report.check(self._steps.objective.specs, self.unpack)
            setup.label_report = None
        return iterator, self._steps

    def _objective(self, x: Any, y: Any) -> Objective:
        """The losses and metrics; built here from the first labels."""
        setup = self.training_setup
        if setup.objective is None:
            _, labels, _ = self.unpack((x, y))
            with outside_of_graphs(), self.distribute_strategy.scope():
                return setup.build(labels, self.outputs_by_task, self._compile_metrics, self._layer_metrics())
        return setup.objective

    def _layer_metrics(self) -> list[keras.metrics.Metric]:
        """The metrics that are updated when the model is called."""
        known = {id(self._loss_tracker), id(self._compile_metrics)}
        trackers = self._compile_loss.metrics if self._compile_loss else []
        known |= {id(metric) for metric in trackers}
        return [metric for metric in super().metrics if id(metric) not in known]

    def _maybe_symbolic_build(self, *args: Any, **kwargs: Any) -> None:
        # A Functional model is built, and `_prepare` does the rest. Keras' implementation fails with several workers.
        pass

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Returns the total loss with the current task weights; see `keras.Model.compute_loss`."""
        setup = self.training_setup
        if not setup.spec.losses:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        objective = self._objective(x, y)
        _, labels, weights = self.unpack((x, y, sample_weight))
        trackers = self._loss_trackers()
        row = setup.weights_in_step()
        values = []
        for place, task in enumerate(objective.tasks):
            judge = KerasTask(objective.specs[task])
            value, count = judge.loss(labels[task], y_pred[task], weights.get(task), training)
            if task in trackers:
                replicas = self.distribute_strategy.num_replicas_in_sync
                trackers[task].update_state(keras.ops.mean(value) * replicas, sample_weight=count)
            values.append(keras.ops.where(row[place] > 0, keras.ops.cast(row[place], value.dtype) * value, 0.0))
        losses = [sum(values[1:], values[0]), *(self._aggregate_additional_loss(loss) for loss in self.losses)]
        return losses[0] if len(losses) == 1 else keras.ops.sum(losses)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Updates the metrics with a batch and returns all results; see `keras.Model.compute_metrics`."""
        if self._compile_metrics is not None and self.training_setup.spec.losses:
            objective, in_steps = self._objective(x, y), isinstance(self._steps, StepFunctions)
            if in_steps:
                objective.write_metrics()
            _, labels, weights = self.unpack((x, y, sample_weight))
            for name, spec in objective.specs.items():
                if spec.metrics:
                    update_metrics(spec, spec.metrics, labels.get(name), y_pred[name], weights.get(name))
            if in_steps:
                objective.read_metrics()
            return self.get_metrics_result()
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _loss_trackers(self, build: bool = True) -> dict[str, keras.metrics.Mean]:
        """Keras' own running means of the losses, by task; none if the model has a single loss."""
        container, objective = self._compile_loss, self.training_setup.objective
        if container is None or objective is None:
            return {}
        if not container.built and not build:
            return {}
        if not container.built:
            labels = {name: spec.labels for name, spec in objective.specs.items()}
            with outside_of_graphs(), self.distribute_strategy.scope(), keras.name_scope(container.name):
                container.build(labels, self.outputs_by_task)
        return {loss.path[0]: tracker for loss, tracker in zip(container._flat_losses, container.metrics)}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metric objects that a stock model has, with their current results."""
        setup = getattr(self, "training_setup", None)
        if setup is not None and setup.objective is not None and isinstance(self._steps, StepFunctions):
            weights = None if setup.sums_of_training else setup.weights()
            setup.objective.write_metrics()
            setup.objective.write_loss_trackers(self._loss_tracker, self._loss_trackers(), weights)
        return super().metrics

    def reset_metrics(self) -> None:
        """Resets the losses and metrics. Called at the start of every epoch and evaluation."""
        self.training_setup.in_epoch = self.training_setup.sums_of_training = False
        if self.training_setup.objective:
            self.training_setup.objective.reset()
        if isinstance(self._steps, KerasSteps):
            self._steps.reset()
        if not isinstance(self._steps, StepFunctions):
            super().reset_metrics()

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns the losses and metrics of all tasks since the last reset, as `evaluate` logs them."""
        if not isinstance(self._steps, StepFunctions):
            return super().get_metrics_result()
        setup, objective = self.training_setup, self._steps.objective
        training = setup.sums_of_training
        values, others = objective.summary(setup.weights(), training)
        found = BatchLogs(objective.log_names(training), values, others, self._aliases())
        return {name: value for name, value in found.items() if name not in self._run_entries()}

    def _run_entries(self) -> set[str]:
        """The log entries of a task's weight and activity, in training only."""
        return {f"{task}_{part}" for task in self.task_names for part in ("weight", "active")}

    def _get_metrics_result_or_logs(self, logs: Any) -> dict[str, Any]:
        setup = self.training_setup
        if not isinstance(self._steps, StepFunctions):
            own = super()._get_metrics_result_or_logs(dict(logs))
            return {**logs, **own}
        # The logs of the last step are those of the whole epoch: they come from running sums.
        complete = dict(logs)
        if setup.weighting and setup.in_epoch and complete:  # an epoch of training, not evaluation
            setup.weighting.after_epoch([complete[f"{name}_loss"] for name in self.task_names])
        setup.in_epoch = False
        return complete

    def _flatten_metrics_in_order(self, logs: Mapping[str, Any]) -> Any:
        ours = {"mtl_score", *self._run_entries()}
        if not self._loss_trackers(build=isinstance(self._steps, StepFunctions)):
            ours |= {f"{task}_loss" for task in self.task_names}
        ours |= set(self._aliases().values())
        return super()._flatten_metrics_in_order({name: value for name, value in logs.items() if name not in ours})

    def training_state(self) -> dict[str, np.ndarray]:
        """Returns the state that a saved model lacks, for `resume_training`: random seeds and the sums of the epoch."""
        return collect_state(self._seeds(), self.training_setup)

    def resume_training(self, state: Mapping[str, np.ndarray], steps: int = 0) -> None:
        """Resumes an epoch from the result of `training_state`, with the model that was saved at the same step.

        The next epoch of `fit` skips these steps: it calls the callbacks, but neither reads data nor trains. Give
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
        restore_seeds(self._seeds(), self.training_setup.affinity, state)
        self.training_setup.resumption = Resumption(steps, state)

    def _seeds(self) -> list[keras.Variable]:
        """The random state of layers such as dropout, which Keras does not save with a model."""
        saved = {id(variable) for variable in self.weights}
        return [variable for variable in self.variables if id(variable) not in saved]


# Files in Keras' legacy HDF5 format have the bare name of the class.
keras.saving.get_custom_objects()[MultiTaskModel.__name__] = MultiTaskModel
