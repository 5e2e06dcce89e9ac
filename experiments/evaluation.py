"""Evaluates predictions: every metric of every task, with that of the best constant prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.further_metrics import beside, further_metrics, overall
from mtl_keras import labels as missing
from mtl_keras.analysis import Decisions, count_decisions
from mtl_keras.tasks import Task, TaskSet
from mtl_keras.training.spec import task_spec

Predict = Callable[[Any], Mapping[str, Any]]
Entries = dict[str, dict[str, float]]
"""`{metric: {"value": ..., "baseline": ...}}`."""
Table = dict[str, Entries]
_SLICE = 1000


@dataclass(frozen=True)
class Outputs:
    """The labels and predictions of a split.

    Args:
        true: task -> labels `(samples, ...)`; some may be missing.
        pred: task -> outputs `(samples, ...)`.
    """

    true: Mapping[str, np.ndarray]
    pred: Mapping[str, np.ndarray]


def evaluate(predict: Predict, batches: tf.data.Dataset, tasks: TaskSet) -> tuple[Table, Entries]:
    """Evaluates predictions over all labelled samples: `judge` of the result of `collect`."""
    return judge(collect(predict, batches, tasks), tasks)


def judge(outputs: Outputs, tasks: TaskSet) -> tuple[Table, Entries]:
    """Evaluates predictions over all labelled samples: each task, and the binary tasks together.

    The baseline is the best constant prediction: the shares of the classes among the evaluated labels (as a decision,
    the most frequent class), or the mean of the labels.

    Args:
        outputs: labels and predictions of a whole split.
        tasks: the tasks to evaluate, with their metrics.

    Returns:
        `{task: {metric: {"value": ..., "baseline": ...}}}`: the task's own metrics, then its `loss`, then further
        metrics that are usual for its kind (`experiments.further_metrics`).
        `{"macro_f1": {"value": ..., "baseline": ...}, ...}`: accuracy, precision, recall and F1 of the binary tasks
        together, `macro_` (mean over the tasks) and `micro_` (pooled decisions). Empty for fewer than two binary tasks.
    """
    table: Table = {}
    decisions: list[dict[str, Decisions]] = []
    for name, task in tasks.items():
        loss, labels, predicted, _ = _labelled(task, outputs.true[name], outputs.pred[name])
        constant = constant_prediction(task, labels)
        metrics = task_spec(task, outputs.true[name].shape[1:], predicted.shape[1:]).metrics
        # The metric objects of a task are shared, so measure with copies.
        fresh = {key: type(metric).from_config(metric.get_config()) for key, metric, _ in metrics}
        fresh["loss"] = keras.metrics.MeanMetricWrapper(loss.call, name="loss")
        own = {
            key: {"value": _measure(metric, labels, predicted), "baseline": _measure(metric, labels, constant)}
            for key, metric in fresh.items()
        }
        further = beside(further_metrics(task, labels, predicted), further_metrics(task, labels, constant))
        table[name] = own | {key: entry for key, entry in further.items() if key not in own}
        if task.head == "binary":
            sides = {"value": predicted, "baseline": constant}
            decisions.append({side: count_decisions(labels, values) for side, values in sides.items()})
    return table, overall(decisions)


def own_metrics(entries: Entries) -> list[str]:
    """Returns the names of a task's own metrics, ending with `"loss"`; the entries after it are further metrics."""
    names = list(entries)
    return names[: names.index("loss") + 1] if "loss" in names else names


def primary(task: Task) -> tuple[str, bool]:
    """Returns the name of a task's primary metric (its first metric, else its loss), and whether higher is better."""
    return task_spec(task, task.shape, task.shape).primary


def collect(predict: Predict, batches: tf.data.Dataset, tasks: TaskSet) -> Outputs:
    """Predicts a whole split.

    Args:
        predict: images `(batch, height, width, channels)` -> task -> outputs `(batch, ...)`.
        batches: (images, {task: labels}), one pass.
        tasks: the predicted tasks.

    Raises:
        ValueError: if there are no batches, or an output of a task is missing.
    """
    true: dict[str, list[np.ndarray]] = {name: [] for name in tasks}
    pred: dict[str, list[np.ndarray]] = {name: [] for name in tasks}
    for images, labels in batches:
        outputs = predict(images)
        for name in tasks:
            if name not in outputs:
                raise ValueError(f"The model has no output for task {name!r}. Its outputs: {', '.join(outputs)}")
            true[name].append(np.asarray(labels[name]))
            pred[name].append(np.asarray(outputs[name], "float32"))
    if not true[tasks.names[0]]:
        raise ValueError("There is nothing to evaluate: the split is empty.")
    # Task by task, so that at most one task is in memory twice.
    joined = [{name: np.concatenate(parts.pop(name)) for name in tasks} for parts in (true, pred)]
    return Outputs(*joined)


def sample_losses(task: Task, true: np.ndarray, pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the samples that have all of their labels, and their losses.

    Args:
        task: the predicted task.
        true: labels `(samples, ...)`.
        pred: outputs `(samples, ...)`.
    """
    loss, labels, predicted, mask = _labelled(task, true, pred)
    parts = [np.zeros(0, "float32")]
    for start in range(0, len(labels), _SLICE):
        values = np.asarray(loss.call(labels[start : start + _SLICE], predicted[start : start + _SLICE]))
        parts.append(values.reshape(len(values), -1).mean(axis=1))
    return np.flatnonzero(mask), np.concatenate(parts)


def _labelled(
    task: Task, true: np.ndarray, pred: np.ndarray
) -> tuple[keras.losses.Loss, np.ndarray, np.ndarray, np.ndarray]:
    """Returns the task's loss, the labels and outputs of the samples that have all of their labels, and their mask."""
    spec = task_spec(task, true.shape[1:], pred.shape[1:])
    ((loss, _),) = spec.losses
    aligned = missing.align(true, pred, class_indices=spec.loss_name.startswith("sparse_"))
    ignored = getattr(loss, "_fn_kwargs", {}).get("ignore_class")
    given = keras.ops.convert_to_tensor(aligned)
    present = np.asarray(missing.present(given, minus_one=spec.minus_one, ignore_class=ignored))
    mask: np.ndarray = np.all(present.reshape(len(true), -1), axis=1)
    labels = np.asarray(aligned)
    kept = slice(None) if mask.all() else mask
    return loss, labels[kept], pred[kept], mask


def _measure(metric: keras.metrics.Metric, true: np.ndarray, pred: np.ndarray) -> float:
    if not len(true):
        return float("nan")
    metric.reset_state()
    # In slices, since losses and metrics make several copies of their inputs, and images are large.
    for start in range(0, len(true), _SLICE):
        metric.update_state(true[start : start + _SLICE], pred[start : start + _SLICE])
    return float(metric.result())


def constant_prediction(task: Task, labels: np.ndarray) -> np.ndarray:
    """Returns the best constant prediction `(samples, *task.shape)`: the mean.

    Args:
        task: the task.
        labels: its labels `(samples, ...)`, none missing.
    """
    if not len(labels):
        return np.zeros((0, *task.shape), "float32")
    if task.head == "classification":
        counts = np.bincount(labels.astype(int).ravel(), minlength=task.shape[-1])
        constant = (counts / counts.sum()).astype("float32")
    else:
        constant = labels.mean(axis=0).astype("float32").reshape(task.shape)
    return np.broadcast_to(constant, (len(labels), *task.shape))
