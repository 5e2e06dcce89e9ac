"""The arguments of `compile`, sorted by task and checked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from mtl_keras.registry import snake_case, unknown_value

Metric = Any
_LARGEST = float(np.finfo("float32").max)
_REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def by_task(argument: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """Sorts an argument of `compile` by task.

    Args:
        argument: its name, for error messages.
        value: a dict by task, or one value for all tasks, or `None`.
        names: the model's outputs.

    Raises:
        ValueError: for a task that the model does not have, or a list (outputs are a dict, and have no order).
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        for key in value:
            if key not in names:
                raise unknown_value(f"task in `{argument}`", key, names)
        return dict(value)
    if isinstance(value, (list, tuple)):
        raise ValueError(
            f"`{argument}` must be a dict from task to value, because the model's outputs are a dict. "
            f"Received: {value!r}. Tasks: {', '.join(names)}"
        )
    return dict.fromkeys(names, value)


def metrics_by_task(argument: str, value: Any, names: Sequence[str]) -> dict[str, list[Metric]]:
    """Sorts `metrics` by task: a dict of lists or single metrics, or one list that every task gets a copy of."""
    if isinstance(value, (list, tuple)):
        if any(isinstance(entry, (list, tuple, Mapping)) for entry in value):
            raise ValueError(f"`{argument}` must be a dict from task to metrics, or one list. Received: {value!r}")
        value = {name: [_copy(entry) for entry in value] for name in names}
    sorted_metrics = by_task(argument, value, names)
    return {name: list(m) if isinstance(m, (list, tuple)) else [m] for name, m in sorted_metrics.items() if m}


def _copy(metric: Metric) -> Metric:
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric


def checked_weight(what: str, weight: Any) -> float:
    """Returns a weight as a float; 0 if it is too small for the float32 that weights are kept in.

    Args:
        what: whose weight it is, for the error message.
        weight: the weight.

    Raises:
        ValueError: if it is not a number, or one that is negative, NaN, infinite or too large for float32.
    """
    try:
        value = float(weight)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{what} must be a finite number >= 0. Received: {weight!r}")
    return value if np.float32(value) else 0.0


def checked_weights(argument: str, weights: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Returns task weights as floats.

    Raises:
        ValueError: for an unknown task, or a weight that `checked_weight` refuses.
    """
    return {
        name: checked_weight(f"`{argument}` of task {name!r}", weight)
        for name, weight in by_task(argument, weights, names).items()
    }


def checked_rows(rows: Any, shape: tuple[int, int]) -> np.ndarray:
    """Returns the task weights of several steps as a float32 array `(steps, tasks)`.

    Raises:
        ValueError: for another shape, or weights that are negative, non-finite or all 0.
    """
    try:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            array = np.asarray(rows, "float32")
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0, "float32")
    if array.shape != shape or not (np.isfinite(array) & (array >= 0)).all() or not array.any(axis=1).all():
        raise ValueError(
            f"`rows` must be finite weights >= 0 of shape {shape} (steps, tasks), with one above 0 in each row. "
            f"Received: {rows!r}"
        )
    return array


def checked_class_weights(
    value: Mapping[str, Mapping[Any, float]] | None, classes: Mapping[str, int]
) -> dict[str, dict[int, float]]:
    """Returns class weights with integer classes.

    Args:
        value: task -> class index -> weight.
        classes: task -> number of classes.

    Raises:
        ValueError: for an unknown task, a class that the task does not have, or a negative weight.
    """
    result: dict[str, dict[int, float]] = {}
    for name, table in by_task("class_weight", value, list(classes)).items():
        result[name] = {}
        if not isinstance(table, Mapping):
            raise ValueError(f"`class_weight` of task {name!r} must map classes to weights. Received: {table!r}")
        for key, weight in table.items():
            index = _class_index(key)
            if not 0 <= index < classes[name]:
                raise ValueError(
                    f"`class_weight` of task {name!r} must name classes 0 to {classes[name] - 1}. Received: {key!r}"
                )
            result[name][index] = checked_weight(f"`class_weight` of task {name!r}", weight)
    return result


def _class_index(key: Any) -> int:
    """A class as a key (in JSON a string of digits) as an integer; -1, which no class is, for what is none."""
    try:
        index = int(key)
    except (TypeError, ValueError, OverflowError):
        return -1
    return index if isinstance(key, str) or index == key else -1


def resolve_loss(task: str, loss: Any, label_shape: Sequence[Any], output_shape: Sequence[Any]) -> keras.losses.Loss:
    """Returns a loss object for a task, as `keras.Model.compile` would make it.

    Args:
        task: the task's name, for error messages.
        loss: a name, a function or a `keras.losses.Loss`.
        label_shape: shape of the labels without the batch axis.
        output_shape: shape of the output without the batch axis.

    Raises:
        ValueError: for an unknown name or a loss that is summed over the batch, of which no mean over the labelled
            samples can be made.
    """
    if isinstance(loss, str) and loss.lower() in ("crossentropy", "ce"):
        loss = {"binary": "binary_crossentropy", "sparse": "sparse_categorical_crossentropy"}.get(
            _kind(label_shape, output_shape), "categorical_crossentropy"
        )
    found = keras.losses.get(loss)
    if not isinstance(found, keras.losses.Loss):
        found = _FunctionLoss(found)
    if found.reduction not in _REDUCTIONS:
        raise ValueError(
            f"The loss of task {task!r} must be a mean over samples, of which MultiTaskModel takes the mean over "
            f"labelled ones. Received: reduction={found.reduction!r}"
        )
    return found


class _FunctionLoss(keras.losses.Loss):
    """A loss function `(y_true, y_pred) -> (batch, ...)` as an object."""

    def __init__(self, fn: Any) -> None:
        super().__init__(name=getattr(fn, "__name__", type(fn).__name__))
        self.fn = fn
        self._fn_kwargs: dict[str, Any] = {}

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.fn(y_true, y_pred)


def named_metrics(plain: Sequence[Metric], weighted: Sequence[Metric]) -> list[tuple[str, Metric, bool]]:
    """Returns `(name in the logs, metric, whether it is weighted)` of a task's metrics.

    As in `keras.Model`, the second metric of a name gets a number, or the prefix `weighted_` if it is weighted.
    """
    result: list[tuple[str, Metric, bool]] = []
    for metric, is_weighted in [(metric, False) for metric in plain] + [(metric, True) for metric in weighted]:
        taken = [name for name, _, _ in result]
        name = metric if isinstance(metric, str) else getattr(metric, "name", None) or _function_name(metric)
        name = f"weighted_{name}" if is_weighted and name in taken else name
        unique = next(n for n in itertools.chain([name], (f"{name}_{i}" for i in itertools.count(1))) if n not in taken)
        result.append((unique, metric, is_weighted))
    return result


def _function_name(function: Any) -> str:
    return snake_case(getattr(function, "__name__", type(function).__name__))


def resolve_metric(
    name: str, metric: Metric, label_shape: Sequence[Any], output_shape: Sequence[Any]
) -> keras.metrics.Metric:
    """Returns a metric object, as `keras.Model.compile` would make it.

    Args:
        name: what the metric is called in the logs.
        metric: a name, a function or a `keras.metrics.Metric`.
        label_shape: shape of the labels without the batch axis.
        output_shape: shape of the output without the batch axis.
    """
    if isinstance(metric, str) and metric.lower() in ("accuracy", "acc"):
        kinds = {"binary": keras.metrics.BinaryAccuracy, "sparse": keras.metrics.SparseCategoricalAccuracy}
        return kinds.get(_kind(label_shape, output_shape), keras.metrics.CategoricalAccuracy)(name=name)
    if isinstance(metric, str) and metric.lower() in ("crossentropy", "ce"):
        kinds = {"binary": keras.metrics.BinaryCrossentropy, "sparse": keras.metrics.SparseCategoricalCrossentropy}
        return kinds.get(_kind(label_shape, output_shape), keras.metrics.CategoricalCrossentropy)(name=name)
    found = keras.metrics.get(metric)
    return found if isinstance(found, keras.metrics.Metric) else keras.metrics.MeanMetricWrapper(found, name=name)


def _kind(label_shape: Sequence[Any], output_shape: Sequence[Any]) -> str:
    if output_shape and output_shape[-1] == 1:
        return "binary"
    if len(label_shape) < len(output_shape) or (label_shape and label_shape[-1] == 1):
        return "sparse"
    return "categorical"


def unpack(data: Any, names: Sequence[str]) -> tuple[Any, dict[str, Any], dict[str, Any] | None]:
    """Returns inputs, labels by task and sample weights by task (or `None`) of a batch of `fit`.

    Args:
        data: what a dataset or generator yields: inputs, labels and perhaps sample weights.
        names: the tasks.

    Raises:
        ValueError: if a task has no labels, or labels of several tasks are not a dict.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if not isinstance(y, Mapping):
        if len(names) > 1 or isinstance(y, (list, tuple)) or y is None:
            raise ValueError(f"Labels must be a dict with the keys {', '.join(names)}. Received: {type(y).__name__}")
        y = {names[0]: y}
    missing = [name for name in names if name not in y]
    if missing:
        raise ValueError(f"No labels for task {missing[0]!r}. Received labels for: {', '.join(map(str, y))}")
    if sample_weight is None:
        return x, {name: y[name] for name in names}, None
    if isinstance(sample_weight, (list, tuple)):
        raise ValueError("`sample_weight` must be a dict from task to weights, or one array. Received: a list")
    if not isinstance(sample_weight, Mapping):
        sample_weight = dict.fromkeys(names, sample_weight)
    return x, {name: y[name] for name in names}, dict(sample_weight)
