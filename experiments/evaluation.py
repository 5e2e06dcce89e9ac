"""What predictions are worth: every metric of every task, beside that of the best constant prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras import labels as missing
from mtl_keras.arguments import named_metrics, resolve_loss, resolve_metric
from mtl_keras.fusion import function_name
from mtl_keras.tasks import Task, TaskSet

Predict = Callable[[Any], Mapping[str, Any]]
Table = dict[str, dict[str, dict[str, float]]]


def evaluate(predict: Predict, batches: tf.data.Dataset, tasks: TaskSet) -> Table:
    """Returns `{task: {metric: {"value": ..., "baseline": ...}}}` over all labelled samples.

    The baseline is the best constant prediction: the shares of the classes among the evaluated labels (so, judged as a
    decision, the most frequent class), or the labels' mean.

    Args:
        predict: images `(batch, height, width, channels)` -> task -> outputs `(batch, ...)`.
        batches: (images, {task: labels}) once through.
        tasks: what to judge, and by which metrics.

    Raises:
        ValueError: if there are no batches, or an output of a task is missing.
    """
    true, pred = _collect(predict, batches, tasks)
    return {name: _judge(task, true[name], pred[name]) for name, task in tasks.items()}


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
    return {n: np.concatenate(v) for n, v in true.items()}, {n: np.concatenate(v) for n, v in pred.items()}


def _judge(task: Task, true: np.ndarray, pred: np.ndarray) -> dict[str, dict[str, float]]:
    loss = resolve_loss(task.name, task.loss, true.shape[1:], pred.shape[1:])
    aligned = missing.align(true, pred, class_indices=function_name(loss).startswith("sparse_"))
    mask = np.asarray(missing.present(keras.ops.convert_to_tensor(aligned))).reshape(len(true), -1).all(axis=1)
    labelled = np.asarray(aligned)[mask]
    metrics = {
        name: resolve_metric(name, metric, true.shape[1:], pred.shape[1:])
        for name, metric, _ in named_metrics(task.metrics, ())
    }
    # A task's metric objects are shared by all who know the task: what is measured here is measured with copies.
    fresh = {name: type(metric).from_config(metric.get_config()) for name, metric in metrics.items()}
    fresh["loss"] = keras.metrics.MeanMetricWrapper(loss.call, name="loss")
    result = {}
    for name, metric in fresh.items():
        result[name] = {
            "value": _measure(metric, labelled, pred[mask]),
            "baseline": _measure(metric, labelled, constant_prediction(task, labelled)),
        }
    return result


def _measure(metric: keras.metrics.Metric, true: np.ndarray, pred: np.ndarray) -> float:
    if not len(true):
        return float("nan")
    metric.reset_state()
    metric.update_state(true, pred)
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
