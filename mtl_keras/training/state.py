"""The state that training resumes from: task weights, the state of a weighting, the sums of an interrupted epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mtl_keras.checks import checked_weight
from mtl_keras.distribution import Replicas
from mtl_keras.keras_private import CompileMetrics, KerasSaveable
from mtl_keras.labels import LabelReport
from mtl_keras.training.batch_logs import MonitoredTotals
from mtl_keras.training.gradients import GradientStatistics, MeasuredSteps, shared_variables
from mtl_keras.training.look_ahead import AffinityStatistics
from mtl_keras.training.objective import Objective
from mtl_keras.training.spec import CompileSpec
from mtl_keras.weightings import Previous, State, Weighting
from mtl_keras.weightings.base import StepResult
from mtl_keras.weightings.static import Static

# Variables are created in this scope: those created while a function is traced would belong to that function.
outside_of_graphs = tf.init_scope

_COUNT, _TURNS = "count", "turns"
_WEIGHTS = "task_weights"
_WEIGHTING = "weighting_"


class LiveWeighting:
    """A weighting in use by a model, with its state in variables.

    Args:
        weighting: the weighting.
        tasks: the names of the tasks, in the order of the rows of the state.
        shared: the variables that the tasks share.

    Attributes:
        weighting: the weighting.
        coordinates: the variables whose gradients are concatenated, in this order, to the rows of a Jacobian.
    """

    def __init__(self, weighting: Weighting, tasks: Sequence[str], shared: Sequence[keras.Variable]) -> None:
        self.weighting = weighting
        self.coordinates = list(shared)
        self._rows = np.argsort(tasks)
        count = len(tasks)
        initial = dict(weighting.initial_state(count, sum(int(np.prod(variable.shape)) for variable in shared)))
        extra: tuple[str, ...] = ()
        if weighting.update_every > 1:  # read in the steps between two updates
            extra = ("last_weights", "last_preference", "age")
        if "losses_after" in weighting.needs:
            extra += tuple(f"previous_{name}" for name in Previous._fields)
        initial |= {name: np.zeros(count, "float32") for name in extra}
        self._variables = {
            name: keras.Variable(value, trainable=False, dtype="float32", name=_WEIGHTING + name)
            for name, value in initial.items()
        }

    def state(self) -> State:
        """Returns the current state."""
        return {name: variable.value for name, variable in self._variables.items()}

    def step(self, **inputs: Any) -> StepResult:
        """Returns the weights of a step; takes the arguments of `Weighting.step` other than the state."""
        state = self.state()
        previous = None
        if "losses_after" in self.weighting.needs:
            previous = Previous(*(state[f"previous_{name}"] for name in Previous._fields))
        return self.weighting.step(state, previous=previous, **inputs)

    def store(self, state: State, moved: Any = True, previous: Sequence[Any] | None = None) -> None:
        """Assigns a new state, unless the optimizer skipped the step because gradients overflowed.

        Args:
            state: the new values of some entries of `state()`.
            moved: scalar boolean, false if the step was skipped.
            previous: losses before and after the step, and its preference, for a weighting that needs `"losses_after"`.
        """
        if previous is not None and "losses_after" in self.weighting.needs:
            state = {**state, **{f"previous_{name}": row for name, row in zip(Previous._fields, previous, strict=True)}}
        for name, value in state.items():
            variable = self._variables[name]
            if value is not variable.value:
                variable.assign(ops.where(moved, ops.cast(value, "float32"), variable.value))

    def after_epoch(self, losses: Sequence[float]) -> None:
        """Updates the state with the mean losses of the tasks in an epoch, NaN for tasks that did not run."""
        self.store(self.weighting.after_epoch(ops.convert_to_tensor(losses, "float32"), self.state()))

    def save(self, store: MutableMapping[str, Any]) -> None:
        """Writes the state to `store`, with rows in the alphabetical order of the tasks."""
        for name, variable in self._variables.items():
            store[_WEIGHTING + name] = ops.convert_to_numpy(variable.value)[self._rows]

    def load(self, store: Mapping[str, Any]) -> None:
        """Loads the state that `save` wrote. It is not changed if `store` has none, or that of another weighting."""
        saved = {name: store[_WEIGHTING + name] for name in self._variables if _WEIGHTING + name in store}
        same = [np.shape(value) == self._variables[name].shape for name, value in saved.items()]
        if len(saved) == len(self._variables) and all(same):
            for name, value in saved.items():
                self._variables[name].assign(np.array(value)[np.argsort(self._rows)])


class TrainingState(KerasSaveable):
    """The training state that `keras.Model` does not have; created by `compile`.

    Keras saves it in a separate entry of a model's files. `keras.Model` ignores this entry when it loads them.

    Args:
        spec: the arguments of `compile`.
        outputs: name -> symbolic output.
        trained: the trainable variables of the model.

    Attributes:
        spec: the arguments of `compile`.
        tasks: the tasks, in the model's order: the outputs that have a loss.
        task_weights: `(tasks,)` variable: the weights of the tasks whose weight was not given as a variable.
        step_weights: `(steps, tasks)` weights of the next execution alone, or `None`.
        row: `(tasks,)` weights that `compute_loss` uses in a user-defined step; `None` for the task weights.
        row_was_used: whether `compute_loss` used `row` since it was set.
        weighting: the weighting in use; `None` for fixed weights.
        gradients: statistics of the tasks' gradients.
        affinity: statistics of the tasks' affinities.
        objective: losses and metrics, once the labels are known.
        resumption: the steps of an interrupted epoch that `fit` skips.
        frozen_layers: the frozen layers, by path.
        monitored: the log entries that callbacks of `fit` monitor.
        logs_are_read: whether a callback reads the logs of single steps.
        label_report: checks the labels of `fit` or `evaluate` before the first step.
        logged_labels: what was logged about labels, so that the next `fit` does not repeat it.
        in_fit: whether `fit` is running.
        in_epoch: whether an epoch of training has begun and not ended.
        sums_of_training: whether the running sums are those of training, not of an evaluation.
    """

    def __init__(self, spec: CompileSpec, outputs: Mapping[str, Any], trained: Iterable[keras.Variable]) -> None:
        self.spec = spec
        self.tasks = tuple(spec.task_weights)
        self._names = sorted(outputs)
        # The task weights are not variables of the model: its `variables` are those of a stock model of the same graph.
        with keras.device("cpu:0"):
            initial = np.array(list(spec.task_weights.values()), "float32")
            self.task_weights = keras.Variable(initial, trainable=False, name=_WEIGHTS)
        self.step_weights: np.ndarray | None = None
        self.row: Any = None
        self.row_was_used = False
        self.weighting: LiveWeighting | None = None
        if spec.weighting != Static():
            shared = shared_variables({task: outputs[task] for task in self.tasks}, trained)
            self.weighting = LiveWeighting(spec.weighting, self.tasks, shared)
        self.gradients = GradientStatistics(len(self.tasks))
        self.affinity = AffinityStatistics(len(self.tasks))
        self.objective: Objective | None = None
        self.resumption = Resumption()
        self.frozen_layers: dict[str, keras.Layer] = {}
        self.monitored = MonitoredTotals()
        self.logs_are_read = True
        self.label_report: LabelReport | None = None
        self.logged_labels: set[str] = set()
        self.in_fit = False
        self.in_epoch = False
        self.sums_of_training = False

    def build(
        self,
        labels: Mapping[str, Any],
        outputs: Mapping[str, Any],
        container: CompileMetrics | None,
        layer_metrics: Sequence[keras.metrics.Metric],
    ) -> Objective:
        """Builds the losses and metrics from a batch of labels, and returns them.

        Args:
            labels: name -> labels `(batch, ...)` or a `tf.TensorSpec` of them.
            outputs: name -> symbolic output `(batch, ...)`.
            container: Keras' container of the metrics of `compile`.
            layer_metrics: metrics that are updated when the model is called.

        Raises:
            ValueError: if labels do not have the shape that their loss needs.
        """
        symbolic = {name: _symbolic(name, label) for name, label in labels.items() if label is not None}
        specs = self.spec.task_specs(symbolic, outputs, container)
        self.objective = Objective(specs, layer_metrics, Replicas(tf.distribute.get_strategy()))
        return self.objective

    @property
    def measured(self) -> dict[str, MeasuredSteps]:
        """The statistics of gradients and affinities, by name."""
        return {"gradients": self.gradients, "affinity": self.affinity}

    def weights_in_step(self) -> Any:
        """Returns the weights `(tasks,)` of a user-defined step, as a tensor."""
        if self.row is not None:
            self.row_was_used = True
            return self.row
        rows = [self.spec.variables.get(task, self.task_weights.value[i]) for i, task in enumerate(self.tasks)]
        return ops.stack([ops.cast(row, "float32") for row in rows])

    @contextmanager
    def weighted_by(self, row: Any) -> Iterator[None]:
        """Makes `compute_loss` use the weights `(tasks,)` of a step, while it is run or traced."""
        self.row, self.row_was_used = row, False
        try:
            yield
        finally:
            self.row = None

    def _obj_type(self) -> str:
        return "Loss"  # a type that Keras ignores when it saves the weights of a model

    def weights(self) -> np.ndarray:
        """Returns the current weights `(tasks,)`."""
        found = self.task_weights.numpy().copy()
        for task, variable in self.spec.variables.items():
            found[self.tasks.index(task)] = checked_weight(f"`loss_weights` of task {task!r}", variable.numpy())
        return found

    def set_weights(self, weights: Mapping[str, float]) -> None:
        """Sets the weights of all tasks."""
        self.task_weights.assign(np.array([weights[task] for task in self.tasks], "float32"))
        for task, variable in self.spec.variables.items():
            variable.assign(weights[task])

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Saves the task weights and the state of the weighting."""
        if self.weighting:
            self.weighting.save(store)
        # For all outputs, in alphabetical order: unlike the order of the tasks, it does not depend on `compile`.
        weights = dict(zip(self.tasks, self.weights(), strict=True))
        store[_WEIGHTS] = np.array([weights.get(name, 1.0) for name in self._names], "float32")

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Loads the task weights and the state of the weighting. What the file does not have is not changed."""
        keys = list(store.keys())
        if _WEIGHTS in keys:
            self.set_weights(dict(zip(self._names, np.array(store[_WEIGHTS]), strict=True)))
        if self.weighting:
            self.weighting.load({key: store[key] for key in keys})


def _symbolic(name: str, label: Any) -> keras.KerasTensor:
    """Returns a symbolic tensor for labels `(batch, ...)`, with an unknown batch size."""
    shape = getattr(label, "shape", ())
    if getattr(shape, "rank", 0) is None:
        raise ValueError(f"The labels of task {name!r} must have a known number of axes. Received: an unknown shape")
    return keras.KerasTensor((None, *shape[1:]), keras.backend.standardize_dtype(label.dtype))


class Resumption:
    """The first steps of an interrupted epoch, which a resumed `fit` skips.

    Args:
        steps: number of these steps.
        state: the result of `collect_state` after them.
    """

    def __init__(self, steps: int = 0, state: Mapping[str, np.ndarray] | None = None) -> None:
        self._left = steps
        self._state = dict(state or {})
        self._summary: Any = None

    def __bool__(self) -> bool:
        return self._left > 0

    def skip(self, steps: int, objective: Objective, measured: Mapping[str, MeasuredSteps]) -> Any:
        """Skips some steps, and restores the sums of the epoch that were saved after them.

        Args:
            steps: number of steps of one training execution.
            objective: the losses and metrics, whose sums are restored.
            measured: from `TrainingState.measured`; the sums are restored.

        Returns:
            `Objective.summary`.
        """
        if self._summary is None:
            restore_variables("objective", objective.variables, self._state)
            for name, statistics in measured.items():
                restore_variables(name, statistics.variables, self._state)
                statistics.count = int(self._state[f"{name}_{_COUNT}"])
            self._summary = objective.summary(None, training=True)
        self._left -= steps
        return self._summary


def collect_state(seeds: Sequence[keras.Variable], state: TrainingState) -> dict[str, np.ndarray]:
    """Returns the arrays from which an epoch can be resumed: seeds, and the running sums of the epoch.

    Args:
        seeds: variables that Keras does not save.
        state: the training state of the model.
    """
    groups = {
        "seeds": seeds,
        "objective": state.objective.variables if state.objective else [],
        **{name: statistics.variables for name, statistics in state.measured.items()},
        _TURNS: [state.affinity.turns],
    }
    arrays = {
        f"{name}_{place}": np.asarray(ops.convert_to_numpy(variable.value))
        for name, variables in groups.items()
        for place, variable in enumerate(variables)
    }
    counts = {f"{name}_{_COUNT}": np.asarray(statistics.count) for name, statistics in state.measured.items()}
    return {**arrays, **counts}


def restore_seeds(
    seeds: Sequence[keras.Variable], affinity: AffinityStatistics, state: Mapping[str, np.ndarray]
) -> None:
    """Restores what the steps of all epochs share from the result of `collect_state`.

    Args:
        seeds: the variables that were given to `collect_state`.
        affinity: the statistics, whose `turns` are restored.
        state: the result of `collect_state`; a version without affinities has no turns.

    Raises:
        ValueError: if the seeds are those of another model.
    """
    restore_variables("seeds", seeds, state)
    if f"{_TURNS}_0" in state:
        restore_variables(_TURNS, [affinity.turns], state)


def restore_variables(name: str, variables: Sequence[keras.Variable], state: Mapping[str, np.ndarray]) -> None:
    """Restores variables from the result of `collect_state`.

    Args:
        name: which of the variables these are, such as `"seeds"` or `"objective"`.
        variables: in the order in which they were collected.
        state: the result of `collect_state`.

    Raises:
        ValueError: if the values are those of other variables.
    """
    values = [state.get(f"{name}_{place}") for place in range(len(variables))]
    shapes = [None if value is None else value.shape for value in values]
    if f"{name}_{len(variables)}" in state or shapes != [tuple(variable.shape) for variable in variables]:
        raise ValueError(f"The state is that of another model: {name} do not fit. Received: shapes {shapes}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
