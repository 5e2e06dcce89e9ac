"""What predictions are worth: every metric of every task, beside that of the best constant prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiments.further_metrics import beside, further_metrics, overall
from mtl_keras import labels as missing
from mtl_keras.analysis import Decisions, count_decisions
from mtl_keras.arguments import named_metrics, resolve_loss, resolve_metric
from mtl_keras.fusion import function_name
from mtl_keras.objective import primary_metric
from mtl_keras.tasks import Task, TaskSet

Predict = Callable[[Any], Mapping[str, Any]]
Entries = dict[str, dict[str, float]]
"""`{metric: {"value": ..., "baseline": ...}}`."""
Table = dict[str, Entries]
_SLICE = 1000


def evaluate(predict: Predict, batches: tf.data.Dataset, tasks: TaskSet) -> tuple[Table, Entries]:
    """Judges predictions over all labelled samples: task by task, and the binary tasks together.

    The baseline is the best constant prediction: the shares of the classes among the evaluated labels (so, judged as a
    decision, the most frequent class), or the labels' mean.

    Args:
        predict: images `(batch, height, width, channels)` -> task -> outputs `(batch, ...)`.
        batches: (images, {task: labels}) once through.
        tasks: what to judge, and by which metrics.

    Returns:
        `{task: {metric: {"value": ..., "baseline": ...}}}`: the task's own metrics, then its `loss`, then the further
        ones that its kind is usually reported with (`experiments.further_metrics`).
        `{"macro_f1": {"value": ..., "baseline": ...}, ...}`: accuracy, precision, recall and F1 of the binary tasks
        together, `macro_` (mean over the tasks) and `micro_` (all decisions in one pool). Empty unless there are two.

    Raises:
        ValueError: if there are no batches, or an output of a task is missing.
    """
    true, pred = _collect(predict, batches, tasks)
    table: Table = {}
    decisions: list[dict[str, Decisions]] = []
    for name, task in tasks.items():
        loss, labels, outputs = _labelled(task, true[name], pred[name])
        constant = constant_prediction(task, labels)
        metrics = _metrics(task, true[name].shape[1:], outputs.shape[1:])
        # A task's metric objects are shared by all who know the task: what is measured here is measured with copies.
        fresh = {key: type(metric).from_config(metric.get_config()) for key, metric, _ in metrics}
        fresh["loss"] = keras.metrics.MeanMetricWrapper(loss.call, name="loss")
        own = {
            key: {"value": _measure(metric, labels, outputs), "baseline": _measure(metric, labels, constant)}
            for key, metric in fresh.items()
        }
        further = beside(further_metrics(task, labels, outputs), further_metrics(task, labels, constant))
        table[name] = own | {key: entry for key, entry in further.items() if key not in own}
        if task.head == "binary":
            sides = {"value": outputs, "baseline": constant}
            decisions.append({side: count_decisions(labels, values) for side, values in sides.items()})
    return table, overall(decisions)


def own_metrics(entries: Entries) -> list[str]:
    """Returns the names of a task's own metrics and `"loss"`, the last of them; what follows it is further metrics."""
    names = list(entries)
    return names[: names.index("loss") + 1] if "loss" in names else names


def primary(task: Task) -> tuple[str, bool]:
    """Returns the name of a task's primary metric, its first, else its loss, and whether higher is better."""
    return primary_metric(_metrics(task, task.shape, task.shape))


def _collect(
    predict: Predict, batches: tf.data.Dataset, tasks: TaskSet
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
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
    # One task after the other, so that no more than one is in memory twice.
    joined = [{name: np.concatenate(parts.pop(name)) for name in tasks} for parts in (true, pred)]
    return joined[0], joined[1]


def _labelled(task: Task, true: np.ndarray, pred: np.ndarray) -> tuple[keras.losses.Loss, np.ndarray, np.ndarray]:
    """The task's loss, and labels and outputs of the samples that have all of their labels."""
    loss = resolve_loss(task.name, task.loss, true.shape[1:], pred.shape[1:])
    kind = function_name(loss)
    aligned = missing.align(true, pred, class_indices=kind.startswith("sparse_"))
    ignored = getattr(loss, "_fn_kwargs", {}).get("ignore_class")
    present = np.asarray(missing.present(keras.ops.convert_to_tensor(aligned), kind, ignored))
    mask = present.reshape(len(true), -1).all(axis=1)
    labels = np.asarray(aligned)
    return (loss, labels, pred) if mask.all() else (loss, labels[mask], pred[mask])


def _metrics(
    task: Task, label_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> list[tuple[str, keras.metrics.Metric, bool]]:
    """`(name, metric, weighted)` of the task's own metrics."""
    return [
        (name, resolve_metric(name, metric, label_shape, output_shape), weighted)
        for name, metric, weighted in named_metrics(task.metrics, ())
    ]


def _measure(metric: keras.metrics.Metric, true: np.ndarray, pred: np.ndarray) -> float:
    if not len(true):
        return float("nan")
    metric.reset_state()
    # In slices: losses and metrics make several copies of what they are given, and images are large.
    for start in range(0, len(true), _SLICE):
        metric.update_state(true[start : start + _SLICE], pred[start : start + _SLICE])
    return float(metric.result())


def constant_prediction(task: Task, labels: np.ndarray) -> np.ndarray:
    """Returns the constant prediction `(samples, *task.shape)` that is best without looking at the image: the mean.

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
