"""The arguments of `compile` and `fit`, sorted by output and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from mtl_keras.checks import checked_weight, did_you_mean, unknown_value
from mtl_keras.keras_private import get_object_name


def unknown_argument(given: Mapping[str, Any], parameters: Iterable[str]) -> TypeError:
    """Returns the error for unknown arguments of `compile`.

    Args:
        given: the unknown arguments.
        parameters: the names of the arguments of `compile`, with `self` and `unknown`.
    """
    for name in ("schedule", "scheduler"):
        if name in given:
            return TypeError(
                "A schedule is applied by a callback, not by `compile`: "
                f"fit(..., callbacks=[mtl_keras.callbacks.TaskScheduler('dst')]). Received: {name}={given[name]!r}"
            )
    name = next(iter(given))
    return TypeError(str(unknown_value("argument of `compile`", name, {*parameters} - {"self", "unknown"})))


def log_names(plain: Sequence[Any], weighted: Sequence[Any], prefix: str = "") -> list[str]:
    """Returns the names of a task's metrics in the logs, as `keras.Model` gives them.

    The second metric of a name gets a number, or the prefix `weighted_` if it is weighted.
    """
    taken: Counter[str] = Counter()

    def numbered(name: str) -> str:
        taken[name] += 1
        return f"{name}_{taken[name] - 1}" if taken[name] > 1 else name

    names = [numbered(f"{prefix}{metric.name}") for metric in plain]
    for metric in weighted:
        name = f"{prefix}{metric.name}"
        names.append(numbered(f"{prefix}weighted_{metric.name}" if name in taken else name))
    return names


def check_log_names(
    tasks: Sequence[str], outputs: Mapping[str, Any], plain: Mapping[str, Any], weighted: Mapping[str, Any]
) -> None:
    """Checks that no two log entries have the same name, for names that are known before the metrics are built.

    Raises:
        ValueError: if two have.
    """
    entries = [f"{task}_{part}" for task in tasks for part in ("loss", "weight", "active")]
    for name in outputs:
        own, other = (
            [SimpleNamespace(name=metric_name(m)) for m in each.get(name, ()) if m is not None]
            for each in (plain, weighted)
        )
        entries += log_names(own, other, prefix=f"{name}_")
    duplicates = [entry for entry, count in Counter(["loss", "mtl_score", *entries]).items() if count > 1]
    if duplicates:
        raise ValueError(f"Log entries must have distinct names. Received twice: {', '.join(duplicates)}")


def metric_name(metric: Any) -> str:
    """Returns the name that a metric has in the logs, as Keras makes it: of a string, a metric object or a function."""
    return metric if isinstance(metric, str) else get_object_name(metric)


def by_output(argument: str, value: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Sorts an argument of `compile` by output.

    Args:
        argument: its name, for error messages.
        value: a dict by output, or a list with an entry for each output in the order in which Keras has them (that of
            the alphabet), or one value for all outputs, or `None`.
        outputs: name -> symbolic output.

    Raises:
        ValueError: for an output that the model does not have, or a list of another length.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        for key in value:
            if key not in outputs:
                raise unknown_value(f"task in `{argument}`", key, outputs)
        return dict(value)
    if isinstance(value, (list, tuple)):
        if len(value) != len(outputs):
            raise ValueError(
                f"`{argument}` must be a dict from task to value, or a list with one entry for each of the "
                f"{len(outputs)} outputs: {', '.join(sorted(outputs))}. Received: {value!r}"
            )
        found = dict(zip(sorted(outputs), value))
        return {name: found[name] for name in outputs}
    return dict.fromkeys(outputs, value)


def metrics_by_output(argument: str, value: Any, outputs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Sorts `metrics` by output: a dict, a list with an entry per output, or a list that is copied for each."""
    if value is not None and not isinstance(value, (Mapping, list, tuple)):
        raise ValueError(f"`{argument}` must be a dict from task to metrics, or a list. Received: {value!r}")
    if isinstance(value, Mapping) and len(outputs) == 1:  # all are of the one output, as in Keras
        value = keras.tree.flatten(value)
    if isinstance(value, (list, tuple)) and (len(outputs) == 1 or len(value) != len(outputs)):
        flat = keras.tree.flatten(list(value))
        if len(outputs) > 1 and any(isinstance(entry, (list, tuple, Mapping)) for entry in value):
            raise ValueError(f"`{argument}` must be a dict from task to metrics, or one list. Received: {value!r}")
        value = {name: flat if len(outputs) == 1 else [copy_metric(entry) for entry in flat] for name in outputs}
    found = by_output(argument, value, outputs)
    for name, given in found.items():
        for one in keras.tree.flatten(given):
            _check_identifier(f"metric of output {name!r}", one, keras.metrics)
    return {name: list(m) if isinstance(m, (list, tuple)) else [m] for name, m in found.items() if m}


def _check_identifier(argument: str, identifier: Any, module: Any) -> None:
    """Raises `ValueError` for a string that names none of Keras' (or the registered) losses or metrics."""
    if not isinstance(identifier, str) or identifier in ("accuracy", "acc", "crossentropy", "ce"):
        return
    try:
        module.get(identifier)
    except ValueError as error:
        functions = {"deserialize", "get", "serialize"}
        choices = [name for name in dir(module) if name.islower() and name[0] != "_" and name not in functions]
        raise unknown_value(argument, identifier, choices) from error


def copy_metric(metric: Any) -> Any:
    """Returns a metric without state, because each compiled model needs its own; names and functions unchanged."""
    return type(metric).from_config(metric.get_config()) if isinstance(metric, keras.metrics.Metric) else metric


def losses_by_output(loss: Any, outputs: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Sorts `loss` by output: a list of losses for each output that has any.

    Raises:
        ValueError: for something that is neither a loss nor a list of losses.
    """
    if len(outputs) == 1 and isinstance(loss, (list, tuple)):
        loss = dict.fromkeys(outputs, loss)
    found = {}
    for name, value in by_output("loss", loss, outputs).items():
        several = [one for one in (value if isinstance(value, (list, tuple)) else [value]) if one is not None]
        for one in several:
            if not (isinstance(one, (str, keras.losses.Loss)) or callable(one)):
                raise ValueError(f"`loss` of task {name!r} must be a loss or a list of losses. Received: {one!r}")
            _check_identifier(f"loss of task {name!r}", one, keras.losses)
        if several:
            found[name] = several
    return found


def weights_by_task(
    given: Any, losses: Mapping[str, Any], names: Sequence[str], outputs: Mapping[str, Any]
) -> tuple[dict[str, float], dict[str, Sequence[float]], dict[str, keras.Variable]]:
    """Returns the weight of each task, the shares of each of several losses, and the weights that are variables."""
    if isinstance(given, (list, tuple)) and len(names) == 1 and len(given) != len(outputs):
        given = dict.fromkeys(names, given)
    if given is not None and not isinstance(given, (Mapping, list, tuple)) and len(outputs) > 1:
        raise ValueError(f"`loss_weights` must be a dict from task to weight, or a list. Received: {given!r}")
    weights, variables = dict.fromkeys(names, 1.0), {}
    shares: dict[str, Sequence[float]] = {}
    for name, value in by_output("loss_weights", given, outputs).items():
        if name not in names:  # of an output without a loss
            continue
        what = f"`loss_weights` of task {name!r}"
        if isinstance(value, (list, tuple)):
            if len(value) != len(losses.get(name, ())):
                raise ValueError(f"{what} must have one weight for each of its losses. Received: {value!r}")
            shares[name] = [checked_weight(what, share) for share in value]
        elif isinstance(value, keras.Variable):
            variables[name] = value
            weights[name] = checked_weight(what, value.numpy())
        elif value is not None:
            weights[name] = checked_weight(what, value)
    if not any(weights.values()):
        raise ValueError(f"At least one task must have a weight > 0. Received: loss_weights={given!r}")
    return weights, shares, variables


def checked_weights(argument: str, weights: Any, names: Sequence[str]) -> dict[str, float]:
    """Returns task weights as floats.

    Raises:
        ValueError: for an unknown task, or a weight that `checked_weight` refuses.
    """
    found = by_output(argument, weights, dict.fromkeys(names))
    return {name: checked_weight(f"`{argument}` of task {name!r}", weight) for name, weight in found.items()}


def checked_rows(rows: Any, shape: tuple[int, int]) -> np.ndarray:
    """Returns the task weights of several steps as a float32 array `(steps, tasks)`.

    Raises:
        ValueError: for another shape, or weights that are negative, non-finite or all 0.
    """
    try:
        with np.errstate(over="ignore"):  # too large values become infinite, and are refused
            array = np.asarray(rows, "float32")
    except (TypeError, ValueError, OverflowError):
        array = np.zeros(0, "float32")
    if array.shape != shape or not (np.isfinite(array) & (array >= 0)).all() or not array.any(axis=1).all():
        raise ValueError(
            f"`rows` must be finite weights >= 0 of shape {shape} (steps, tasks), with one above 0 in each row. "
            f"Received: {rows!r}"
        )
    return array


def class_count(losses: Sequence[Any], output: Any) -> int | None:
    """Returns how many classes a task has; `None` if its labels may be any integers (a hinge loss, a regression)."""
    size = int(output.shape[-1] or 1)
    if size > 1:
        return size
    return 2 if any(metric_name(loss).lower().startswith(("binary", "bce")) for loss in losses) else None


def checked_class_weights(value: Any, classes: Mapping[str, int | None]) -> dict[str, dict[int, float]]:
    """Returns class weights with integer classes; raises `ValueError` for a class that the task does not have."""
    result: dict[str, dict[int, float]] = {}
    for name, table in by_output("class_weight", value, classes).items():
        result[name] = {}
        if not isinstance(table, Mapping):
            raise ValueError(
                f"`class_weight` of task {name!r} must map classes to weights, e.g. {{0: 1.0, 1: 5.0}}. "
                f"Received: {table!r}"
            )
        for key, weight in table.items():
            index, count = _class_index(key), classes[name]
            if index is None or (count is not None and not 0 <= index < count):
                choices = "integers" if count is None else f"classes 0 to {count - 1}"
                raise ValueError(f"`class_weight` of task {name!r} must name {choices}. Received: {key!r}")
            result[name][index] = checked_weight(f"`class_weight` of task {name!r}", weight)
    return result


def _class_index(key: Any) -> int | None:
    """Returns a class, which may be a string of digits (as in JSON), as an integer; `None` for anything else."""
    try:
        index = int(key)
    except (TypeError, ValueError, OverflowError):
        return None
    return index if isinstance(key, str) or index == key else None


def unpack(data: Any, tasks: Sequence[str], outputs: Mapping[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Returns inputs, labels by output and sample weights by output of a batch.

    Args:
        data: a batch from a dataset or generator: inputs, labels and optional sample weights.
        tasks: the outputs that have a loss.
        outputs: name -> symbolic output.

    Raises:
        ValueError: if a task has no labels, or its labels are NumPy strings or objects.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    labels = _structured("Labels", y, tasks, outputs)
    missing = [name for name in tasks if labels.get(name) is None]
    if missing and not (len(missing) == len(tasks) and y is None):
        received = [*map(str, y if isinstance(y, Mapping) else labels)]
        hint = did_you_mean(missing[0], {*received} - {*outputs})
        raise ValueError(f"No labels for task {missing[0]!r}.{hint} Received labels for: {', '.join(received)}")
    if missing:
        raise ValueError(f"Labels must be a dict with the keys {', '.join(tasks)}. Received: no labels")
    for name in tasks:
        dtype = getattr(labels[name], "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "USO":
            raise _not_numbers(name, labels[name])
    if sample_weight is not None and not isinstance(sample_weight, (Mapping, list, tuple)):
        return x, labels, dict.fromkeys(outputs, sample_weight)
    if isinstance(sample_weight, Mapping):
        by_output("sample_weight", sample_weight, outputs)  # raises for a name that is no output
    weights = _structured("`sample_weight`", sample_weight, tasks, outputs)
    return x, labels, {name: weight for name, weight in weights.items() if weight is not None}


def string_labels(task: str, dtype: Any) -> ValueError:
    """Returns the error for labels that are strings."""
    return ValueError(
        f"The labels of task {task!r} must be numbers. Received: strings ({dtype}). Class indices of strings: "
        "keras.layers.StringLookup(vocabulary=classes, num_oov_indices=0)(labels)"
    )


def _not_numbers(task: str, labels: Any) -> ValueError:
    values = np.ravel(labels)
    if values.dtype != object or any(isinstance(value, (str, bytes)) for value in values):
        return string_labels(task, labels.dtype)
    received = ", with None for missing labels" if any(value is None for value in values) else ""
    return ValueError(
        f"The labels of task {task!r} must be floats, NaN where they are missing, or integers, -1 where classes are "
        f"missing. Received: an array with dtype=object{received}"
    )


def _structured(what: str, value: Any, tasks: Sequence[str], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Sorts labels or weights by output: a dict, or a tuple with an entry per output (or per output with a loss)."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if name in outputs}
    names = outputs if len(tasks) == 0 else tasks
    if isinstance(value, (list, tuple)):
        names = next((each for each in (outputs, tasks) if len(each) == len(value)), ())
        if not names:
            raise ValueError(
                f"{what} must be a dict with the keys {', '.join(tasks)}, or one entry for each of the outputs "
                f"{', '.join(sorted(outputs))}. Received: a {type(value).__name__} of {len(value)} arrays"
            )
        return dict(zip(sorted(names), value))
    if len(names) > 1:
        raise ValueError(
            f"{what} must be a dict with the keys {', '.join(tasks)}. "
            f"Received: one array of shape {tuple(getattr(value, 'shape', ()))}"
        )
    return {next(iter(names)): value}
