"""The arguments of `compile`, checked and sorted by task, and what each task needs once its labels are known."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras

from mtl_keras import arguments, weightings
from mtl_keras.keras_private import CompileMetrics, get_keras_mask, get_loss
from mtl_keras.metrics import SampleStatistics
from mtl_keras.tasks import Task
from mtl_keras.weightings.static import Static

# Functions of the last axis alone, so that a task axis before it has no effect.
_ON_LAST_AXIS = frozenset(
    "binary_accuracy binary_crossentropy binary_focal_crossentropy categorical_accuracy categorical_crossentropy "
    "categorical_focal_crossentropy categorical_hinge cosine_similarity hinge huber kl_divergence log_cosh "
    "mean_absolute_error mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson "
    "sparse_categorical_accuracy sparse_categorical_crossentropy sparse_top_k_categorical_accuracy squared_hinge "
    "top_k_categorical_accuracy".split()
)
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
"""The reductions of Keras losses that are means over samples."""
Metrics = tuple[tuple[str, keras.metrics.Metric, bool], ...]
"""`(name in the logs, metric, weighted)` of each metric of a task."""


class PrimaryMetric(NamedTuple):
    """The metric that a task is judged by.

    Attributes:
        metric: its log name.
        higher_is_better: whether a higher metric is a better one.
    """

    metric: str
    higher_is_better: bool


def function_name(loss_or_metric: keras.losses.Loss | keras.metrics.Metric) -> str:
    """Returns the name of the function that a loss or metric wraps if both belong to Keras, else `""`."""
    function = getattr(loss_or_metric, "fn", None) or getattr(loss_or_metric, "_fn", None)
    return getattr(function, "__name__", "") if is_own(loss_or_metric, "keras.") else ""


def is_own(loss_or_metric: keras.losses.Loss | keras.metrics.Metric, *packages: str) -> bool:
    """Returns whether a loss or metric, and the function that it wraps, belong to Keras or to this library.

    Names are not enough: a user's function or subclass may have the name of one of Keras' and compute something else.

    Args:
        loss_or_metric: the object.
        *packages: prefixes of the modules that count; by default those of Keras and of this library.
    """
    function = getattr(loss_or_metric, "fn", None) or getattr(loss_or_metric, "_fn", None)
    modules = [getattr(part, "__module__", "") for part in (type(loss_or_metric), function) if part]
    if isinstance(function, keras.losses.Loss):  # its result is one number for the batch
        return False
    return all(module.startswith(packages or ("keras.", "mtl_keras.")) for module in modules)


def minus_one_is_missing(loss_name: str) -> bool:
    """Returns whether -1 in integer labels means "no label" for a Keras loss: true if its labels are classes."""
    return loss_name.startswith(("sparse_", "categorical_crossentropy", "categorical_focal", "binary_"))


def is_summed(metric: keras.metrics.Metric) -> bool:
    """Returns whether a metric is computed from sums over samples, which similar tasks can keep in one array."""
    wrapper = keras.metrics.MeanMetricWrapper
    same = (type(metric).update_state, type(metric).result) == (wrapper.update_state, wrapper.result)
    plain = same and function_name(metric) in _ON_LAST_AXIS and metric._fn_kwargs.get("axis", -1) == -1
    return metric.dtype == "float32" and (isinstance(metric, SampleStatistics) or plain)


@dataclass(frozen=True)
class TaskSpec:
    """The losses, metrics and labels of one output.

    Args:
        name: the name of the output.
        losses: `(loss, factor)` of each of its losses, which are added up; empty for an output that is not trained.
        metrics: its metrics.
        labels: its labels `(batch, ...)`, symbolic; `None` if it has none.
        output: its output `(batch, ...)`, symbolic.
        class_weight: class index -> weight of its samples in the training loss.
        missing: whether labels may be missing: NaN in float labels, -1 in integer labels. `None` to treat them as
            missing only for losses and metrics of Keras and of this library that are known to be means over labels.
        held: `id`s of the metrics that were passed to `compile` as objects.
    """

    name: str
    losses: tuple[tuple[keras.losses.Loss, float], ...]
    metrics: Metrics
    labels: Any
    output: Any
    class_weight: Mapping[int, float] | None = None
    missing: bool | None = None
    held: frozenset[int] = frozenset()

    @property
    def loss_name(self) -> str:
        """Name of the loss function if the task has a single Keras loss that works on the last axis only, else `""`."""
        names = [function_name(loss) for loss, _ in self.losses]
        alone = len(names) == 1 and self.losses[0][0]._fn_kwargs.get("axis", -1) == -1 if all(names) else False
        return names[0] if alone and names[0] in _ON_LAST_AXIS else ""

    @property
    def finds_missing(self) -> bool:
        """Whether labels of NaN (and -1, see `minus_one`) are treated as missing."""
        if self.missing is not None:
            return self.missing
        ours = bool(self.losses) and all(is_own(loss, "mtl_keras.") for loss, _ in self.losses)
        return bool(self.loss_name) or ours

    @property
    def minus_one(self) -> bool:
        """Whether -1 in integer labels means "no label"."""
        return self.finds_missing and (bool(self.missing) or minus_one_is_missing(self.loss_name))

    @property
    def primary(self) -> PrimaryMetric:
        """The first metric whose direction is known (`_direction` of Keras' metric classes), else the loss."""
        directions = ((name, getattr(metric, "_direction", None)) for name, metric, _ in self.metrics)
        known = (PrimaryMetric(name, way == "up") for name, way in directions if way in ("up", "down"))
        return next(known, PrimaryMetric("loss", False))

    @property
    def is_fast(self) -> bool:
        """Whether the sums of a `TaskGroup` give the same result as the loss object."""
        if not self.loss_name or self.missing is False or get_keras_mask(self.output) is not None:
            return False
        loss, share = self.losses[0]
        mean = (
            share == 1.0
            and loss.reduction in MEANS
            and loss.dtype == "float32"
            and loss._fn_kwargs.get("ignore_class") is None
        )
        return mean and len(self.output.shape) > 1 and self._labels_fit()

    def _labels_fit(self) -> bool:
        """Returns whether labels have the shape that the loss expects, up to a last axis of size 1.

        Raises:
            ValueError: if they are strings, or have another shape and cannot be broadcast to it either.
        """
        if self.labels.dtype == "string":
            raise arguments.string_labels(self.name, self.labels.dtype)
        indices, output = self.loss_name.startswith("sparse_"), tuple(self.output.shape[1:])
        expected = output[:-1] if indices else output
        without = [expected[:-1]] if expected[-1:] == (1,) and not indices else []
        shape = tuple(self.labels.shape[1:])
        if any(_fits(shape, accepted) for accepted in (expected, (*expected, 1), *without)):
            return True
        if indices or not _broadcasts(shape, output):
            raise ValueError(
                f"The loss {self.loss_name!r} of task {self.name!r}, whose output has the shape "
                f"{_format_shape(output)}, needs labels of the shape {_format_shape(expected)}. "
                f"Received: {_format_shape(shape)}"
            )
        return False

    def split_metrics(self) -> tuple[Metrics, Metrics]:
        """Returns the metrics that a `TaskGroup` sums, and those that Keras' own objects compute."""
        fast = [entry for entry in self.metrics if self.is_fast and self._sums(entry[1])]
        return tuple(fast), tuple(entry for entry in self.metrics if entry not in fast)

    def _sums(self, metric: keras.metrics.Metric) -> bool:
        """Returns whether a `TaskGroup` computes a metric. Keras metrics passed as objects keep their own state."""
        return is_summed(metric) and (id(metric) not in self.held or isinstance(metric, SampleStatistics))

    @property
    def key(self) -> str:
        """A string that is equal for tasks that can be computed together."""
        loss, labels = self.losses[0][0], self.labels
        summed = [(name, _config(metric), weighted) for name, metric, weighted in self.split_metrics()[0]]
        shapes = (tuple(labels.shape[1:]), labels.dtype, tuple(self.output.shape[1:]))
        return repr((_config(loss), summed, shapes, self.minus_one))


def _config(loss_or_metric: keras.losses.Loss | keras.metrics.Metric) -> str:
    config = {key: value for key, value in loss_or_metric.get_config().items() if key != "name"}
    return json.dumps(
        [type(loss_or_metric).__name__, function_name(loss_or_metric), config], default=str, sort_keys=True
    )


def _fits(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Returns whether two shapes without the batch axis are equal; `None` equals every size."""
    return len(shape) == len(expected) and all(a == b or None in (a, b) for a, b in zip(shape, expected))


def _broadcasts(shape: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Returns whether `(batch, *shape)` and `(batch, *other)` can be broadcast; -1 stands for the batch size."""
    pairs = itertools.zip_longest(reversed((-1, *shape)), reversed((-1, *other)), fillvalue=1)
    return all(a == b or None in (a, b) or 1 in (a, b) for a, b in pairs)


def _format_shape(shape: Sequence[int | None]) -> str:
    return f"({', '.join(['batch', *map(str, shape)])})"


@dataclass(frozen=True)
class CompileSpec:
    """The arguments of `compile` that this library adds to those of Keras or extends, sorted by task.

    Args:
        losses: loss, or list of losses, by output.
        shares: by output, the factor of each of its losses, if there are several.
        metrics: metrics by output.
        weighted_metrics: metrics with sample weights by output.
        task_weights: initial weight by task. The keys are the tasks, in the model's order.
        variables: task -> the `keras.Variable` that was passed as its weight and is read in each step.
        class_weight: class index -> weight, by task.
        missing_labels: whether labels of a task may be missing.
        max_specializations: maximum number of compiled training functions.
        weighting: the weighting method.
    """

    losses: Mapping[str, Any] = field(default_factory=dict)
    shares: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: Mapping[str, list[Any]] = field(default_factory=dict)
    weighted_metrics: Mapping[str, list[Any]] = field(default_factory=dict)
    task_weights: Mapping[str, float] = field(default_factory=dict)
    variables: Mapping[str, keras.Variable] = field(default_factory=dict)
    class_weight: Mapping[str, dict[int, float]] = field(default_factory=dict)
    missing_labels: Mapping[str, bool] = field(default_factory=dict)
    max_specializations: int = 8
    weighting: weightings.Weighting = field(default_factory=Static)

    @classmethod
    def checked(
        cls,
        outputs: Mapping[str, Any],
        before: CompileSpec,
        *,
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        class_weight: Mapping[str, Mapping[Any, float]] | None,
        missing_labels: Mapping[str, bool] | None,
        max_specializations: int,
        weighting: str | Mapping[str, Any] | weightings.Weighting,
    ) -> CompileSpec:
        """Checks the arguments of `compile`, and returns them sorted by task.

        Args:
            outputs: name -> symbolic output.
            before: those of the previous `compile`. Its losses and metrics are kept if none are given, as in Keras.
            loss: this and the others are arguments of `MultiTaskModel.compile`.
            loss_weights: initial task weights.
            metrics: by task, or for all tasks.
            weighted_metrics: metrics with sample weights, by task, or for all tasks.
            class_weight: by task and class.
            missing_labels: by task.
            max_specializations: maximum number of compiled training functions.
            weighting: a weighting, its name or its config, as for `weightings.get`.

        Raises:
            ValueError: for unknown tasks, negative weights or other arguments out of range.
        """
        losses = arguments.losses_by_output(loss, outputs) if loss is not None else before.losses
        names = tuple(name for name in outputs if name in losses) or tuple(outputs)
        weights: Mapping[str, float]
        shares: Mapping[str, Sequence[float]]
        variables: Mapping[str, keras.Variable]
        weights, shares, variables = arguments.weights_by_task(loss_weights, losses, names, outputs)
        if loss is None and before.losses:
            weights, shares, variables = dict(before.task_weights), before.shares, before.variables
        if max_specializations < 1:
            raise ValueError(f"`max_specializations` must be >= 1. Received: {max_specializations!r}")
        both = metrics, weighted_metrics
        same = metrics is None and weighted_metrics is None
        plain: Mapping[str, list[Any]]
        weighted: Mapping[str, list[Any]]
        plain, weighted = (
            arguments.metrics_by_output(name, value, outputs)
            for name, value in zip(("metrics", "weighted_metrics"), both)
        )
        classes = {name: arguments.class_count(losses.get(name, ()), outputs[name]) for name in names}
        missing = arguments.by_output("missing_labels", missing_labels, outputs)
        for name, value in missing.items():
            if not isinstance(value, bool):
                raise ValueError(f"`missing_labels` of task {name!r} must be True or False. Received: {value!r}")
        plain, weighted = (before.metrics, before.weighted_metrics) if same else (plain, weighted)
        arguments.check_log_names(names if losses else (), outputs, plain, weighted)
        return cls(
            losses,
            shares,
            plain,
            weighted,
            weights,
            variables,
            arguments.checked_class_weights(class_weight, classes),
            missing,
            int(max_specializations),
            weightings.get(weighting),
        )

    def config(self) -> dict[str, Any]:
        """Returns the arguments that `keras.Model.compile` does not have, as JSON values and without the defaults."""
        tables = {task: {str(k): v for k, v in table.items()} for task, table in self.class_weight.items()}
        given = {
            "class_weight": tables,
            "missing_labels": dict(self.missing_labels),
            "max_specializations": self.max_specializations if self.max_specializations != 8 else None,
            "weighting": None if self.weighting == Static() else weightings.serialize(self.weighting),
        }
        return {name: value for name, value in given.items() if value}

    def compile_metrics(self, outputs: Mapping[str, Any]) -> CompileMetrics:
        """Returns the metrics in Keras' container."""
        plain, weighted = ({n: list(m) for n, m in g.items()} for g in (self.metrics, self.weighted_metrics))
        return CompileMetrics(plain, weighted, output_names=sorted(outputs))

    def task_specs(
        self, labels: Mapping[str, Any], outputs: Mapping[str, Any], container: CompileMetrics | None
    ) -> list[TaskSpec]:
        """Returns the specification of each output, given a batch of labels.

        Args:
            labels: name -> labels `(batch, ...)`, symbolic.
            outputs: name -> symbolic output `(batch, ...)`.
            container: from `compile_metrics`; built here if it is not yet.

        Raises:
            ValueError: if a loss or metric is unknown, or labels do not have the shape that the loss needs.
        """
        for name in (*self.metrics, *self.weighted_metrics):
            if name not in labels:
                raise ValueError(
                    f"The metrics of output {name!r} need its labels. Received labels for: {', '.join(labels)}"
                )
        if container is not None and not container.built:
            every = {name: labels.get(name) for name in outputs}
            container.build(every, dict(outputs))
        tasks = [*self.task_weights] if self.losses else []
        return [self._task_spec(name, labels, outputs, container) for name in [*tasks, *(set(outputs) - set(tasks))]]

    def _task_spec(
        self, name: str, labels: Mapping[str, Any], outputs: Mapping[str, Any], container: CompileMetrics | None
    ) -> TaskSpec:
        given = self.losses.get(name, [])
        shares = self.shares.get(name, (1.0,) * len(given))
        losses = tuple(
            (get_loss(loss, labels[name], outputs[name]), share) for loss, share in zip(given, shares, strict=True)
        )
        place = sorted(outputs).index(name)
        lists: list[Any] = [None, None]
        if container is not None:
            lists = [container._flat_metrics[place], container._flat_weighted_metrics[place]]
        plain, weighted = ([*each.metrics] if each else [] for each in lists)
        metrics = tuple(
            zip(
                arguments.log_names(plain, weighted), [*plain, *weighted], [False] * len(plain) + [True] * len(weighted)
            )
        )
        user = [*self.metrics.get(name, ()), *self.weighted_metrics.get(name, ())]
        held = frozenset(id(metric) for metric in user if isinstance(metric, keras.metrics.Metric))
        missing = self.missing_labels.get(name)
        return TaskSpec(
            name, losses, metrics, labels.get(name), outputs[name], self.class_weight.get(name), missing, held
        )


def task_spec(task: Task, label_shape: Sequence[int], output_shape: Sequence[int]) -> TaskSpec:
    """Returns the specification of a single task, without a model.

    Args:
        task: the task.
        label_shape: shape of its labels without the batch axis.
        output_shape: shape of its output without the batch axis.
    """
    outputs = {task.name: keras.KerasTensor((None, *output_shape))}
    losses, metrics = {task.name: [task.loss]}, {task.name: [*task.metrics]}
    spec = CompileSpec(losses, metrics=metrics, task_weights={task.name: 1.0})
    labels = {task.name: keras.KerasTensor((None, *label_shape))}
    return spec.task_specs(labels, outputs, spec.compile_metrics(outputs))[0]
