"""Evaluates predictions: every metric of every task, with that of the best constant prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.metrics import r2_score

from experiments.dense_evaluation import DenseEvaluation, DenseResult, best_value, iou_by_class
from mtl_keras import labels as missing
from mtl_keras.analysis import binary_scores, inter_ocular_error, macro_f1, macro_scores, micro_scores
from mtl_keras.arguments import copy_metric
from mtl_keras.tasks import Task, TaskSet
from mtl_keras.training.spec import PrimaryMetric, task_spec

Predict = Callable[[Any], Mapping[str, Any]]
EYES = ("left_eye", "right_eye")
_ERRORS = ("mae", "mse", "rmse", "nme")
_SLICE = 1000


@dataclass(frozen=True)
class Score:
    """A metric of a model's predictions; NaN if it is not known.

    Args:
        value: the metric.
        baseline: the metric of the best constant prediction.
    """

    value: float
    baseline: float


Scores = Mapping[str, Score]
"""Metric -> score."""


@dataclass(frozen=True)
class Evaluation:
    """The metrics of a model's predictions for a split.

    Args:
        tasks: task -> its own metrics, then its `"loss"`, then further metrics that are usual for its kind.
        overall: `macro_` (mean over the tasks) and `micro_` (pooled decisions) accuracy, precision, recall and F1 of
            the binary tasks together. Empty for fewer than two binary tasks.
        iou: segmentation or mask -> class -> intersection over union of all pixels; NaN for a class that did not occur.
        higher_is_better: task -> its own metrics with a known direction -> whether a higher one is better. Empty for
            evaluations of earlier versions.
    """

    tasks: Mapping[str, Scores]
    overall: Scores
    iou: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    higher_is_better: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the evaluation as JSON values, the last two fields only if there is any; unknown numbers are NaN."""
        optional = ("iou", "higher_is_better")
        return {name: value for name, value in asdict(self).items() if value or name not in optional}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Evaluation:
        """Returns the evaluation from the result of `to_json`; null is NaN.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: if the values are not those of an evaluation.
        """
        tasks = {task: _scores(scores) for task, scores in values["tasks"].items()}
        iou = {
            task: {name: number(value) for name, value in classes.items()}
            for task, classes in values.get("iou", {}).items()
        }
        return cls(tasks, _scores(values["overall"]), iou, values.get("higher_is_better", {}))


@dataclass(frozen=True)
class Outputs:
    """The labels and predictions of a split; of dense tasks, whose maps may not fit into memory, their evaluation.

    Args:
        true: task -> labels `(samples, ...)`; some may be missing.
        pred: task -> outputs `(samples, ...)`.
        dense: dense task -> its evaluation.
    """

    true: Mapping[str, np.ndarray]
    pred: Mapping[str, np.ndarray]
    dense: Mapping[str, DenseResult] = field(default_factory=dict)


def evaluate(predict: Predict, batches: tf.data.Dataset, tasks: TaskSet) -> Evaluation:
    """Evaluates predictions over all labelled samples: `evaluate_outputs` of the result of `predict_split`."""
    return evaluate_outputs(predict_split(predict, batches, tasks), tasks)


def evaluate_outputs(outputs: Outputs, tasks: TaskSet) -> Evaluation:
    """Evaluates predictions over all labelled samples: each task, and the binary tasks together.

    The baseline is the best constant prediction: the shares of the classes among the evaluated labels (as a decision,
    the most frequent class); for numbers and images the mean of the labels or their median, whichever has the better
    value of the metric. The metrics of dense tasks are those of all labelled pixels. Their constants are the same for
    every pixel: the shares of the classes or the most frequent class (of a mask, either class), the mean or the median
    of each channel, and of normals the mean direction or the axis that most of them are closest to.

    Args:
        outputs: labels and predictions of a whole split.
        tasks: the tasks to evaluate, with their metrics.
    """
    evaluated: dict[str, Scores] = {}
    iou: dict[str, Mapping[str, float]] = {}
    binary: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for name, task in tasks.items():
        if task.is_dense:
            result = outputs.dense[name]
            evaluated[name] = _paired(result.values, result.baselines)
            if "confusion" in result.arrays:
                iou[name] = iou_by_class(result, task.labels)
            continue
        loss, labels, predicted, _ = _labelled(task, outputs.true[name], outputs.pred[name])
        constants = constant_predictions(task, labels)
        metrics = task_spec(task, outputs.true[name].shape[1:], predicted.shape[1:]).metrics
        # The metric objects of a task are shared, so measure with copies.
        fresh = {key: copy_metric(metric) for key, metric, _ in metrics}
        fresh["loss"] = keras.metrics.MeanMetricWrapper(loss.call, name="loss")
        own = {}
        for key, metric in fresh.items():
            better = "down" if key == "loss" else getattr(metric, "_direction", None)
            baseline = best_value([_measure(metric, labels, constant) for constant in constants], better)
            own[key] = Score(_measure(metric, labels, predicted), baseline)
        baselines = [further_metrics(task, labels, constant) for constant in constants]
        for key, value in further_metrics(task, labels, predicted).items():
            if key not in own:
                better = "down" if key in _ERRORS else "up"
                own[key] = Score(value, best_value([baseline[key] for baseline in baselines], better))
        evaluated[name] = own
        if task.head == "binary":
            binary.append((labels, predicted, constants[0]))
    return Evaluation(evaluated, _overall(binary), iou, {name: _directions(task) for name, task in tasks.items()})


def further_metrics(task: Task, true: np.ndarray, pred: np.ndarray) -> dict[str, float]:
    """Returns the metrics that are usual for a kind of task; NaN if there are no samples.

    | head | metrics |
    |---|---|
    | binary | `accuracy`, `precision`, `recall`, `f1` of the decisions at 0.5 |
    | classification | `macro_f1` |
    | regression, reconstruction | `mae`, `mse`, `rmse`, in the unit of the labels |
    | regression of numbers | these three, and `r2`: the explained share of the variance, 0 for the mean of the labels |
    | landmarks with a `left_eye` and a `right_eye` | the first three, and `nme`: error relative to the eyes' distance |

    Args:
        task: the predicted task.
        true: labels `(samples, ...)`, none missing.
        pred: predictions `(samples, *task.shape)`.
    """
    if task.head == "binary":
        return binary_scores(true, pred)
    if task.head == "classification":
        return {"macro_f1": macro_f1(true, pred)}
    if not len(true):
        errors = dict.fromkeys(("mae", "mse", "rmse"), math.nan)
    else:
        offset = np.subtract(pred, true, dtype="float32")
        mse = float(np.square(offset).mean(dtype="float64"))
        errors = {"mae": float(np.abs(offset).mean(dtype="float64")), "mse": mse, "rmse": mse**0.5}
    if task.head == "regression" and not task.labels:
        # One sample has no variance.
        known = len(true) > 1
        errors["r2"] = float(r2_score(true.reshape(len(true), -1), pred.reshape(len(pred), -1))) if known else math.nan
    if set(EYES) <= set(task.labels):
        errors["nme"] = inter_ocular_error(true, pred, *map(task.labels.index, EYES))
    return errors


def own_metrics(scores: Scores) -> list[str]:
    """Returns the names of a task's own metrics, ending with `"loss"`; the scores after it are further metrics."""
    names = list(scores)
    return names[: names.index("loss") + 1] if "loss" in names else names


def primary_metric(task: Task) -> PrimaryMetric:
    """Returns a task's primary metric: its first metric, else its loss."""
    return task_spec(task, task.shape, task.shape).primary


def _directions(task: Task) -> dict[str, bool]:
    """Returns a task's own metrics with a known direction, and whether a higher one is better."""
    ways = {
        name: getattr(metric, "_direction", None) for name, metric, _ in task_spec(task, task.shape, task.shape).metrics
    }
    return {name: way == "up" for name, way in ways.items() if way in ("up", "down")}


def predict_split(predict: Predict, batches: tf.data.Dataset, tasks: TaskSet) -> Outputs:
    """Predicts a whole split. Dense tasks are evaluated batch by batch.

    Args:
        predict: images `(batch, height, width, channels)` -> task -> outputs `(batch, ...)`.
        batches: (images, {task: labels}). With dense tasks they are read twice: the second time to evaluate the best
            constant predictions, which depend on all labels.
        tasks: the predicted tasks.

    Raises:
        ValueError: if there are no batches, or an output of a task is missing.
    """
    dense = {name: DenseEvaluation(task) for name, task in tasks.items() if task.is_dense}
    kept = [name for name in tasks if name not in dense]
    if dense and iter(batches) is batches:
        raise ValueError(f"batches must be iterable twice for dense tasks. Received: {type(batches).__name__}")
    true: dict[str, list[np.ndarray]] = {name: [] for name in kept}
    pred: dict[str, list[np.ndarray]] = {name: [] for name in kept}
    is_empty = True
    for images, labels in batches:
        is_empty = False
        outputs = predict(images)
        for name in tasks:
            if name not in outputs:
                raise ValueError(f"The model has no output for task {name!r}. Its outputs: {', '.join(outputs)}")
            if name in dense:
                dense[name].update(labels[name], outputs[name])
                continue
            true[name].append(np.asarray(labels[name]))
            pred[name].append(np.asarray(outputs[name], "float32"))
    if is_empty:
        raise ValueError("There is nothing to evaluate: the split is empty.")
    # Task by task, so that at most one task is in memory twice.
    all_true, all_pred = ({name: np.concatenate(parts.pop(name)) for name in kept} for parts in (true, pred))
    for _, labels in batches if dense else ():
        for name, evaluation in dense.items():
            evaluation.update_constants(labels[name])
    return Outputs(all_true, all_pred, {name: evaluation.result() for name, evaluation in dense.items()})


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


def constant_predictions(task: Task, labels: np.ndarray) -> list[np.ndarray]:
    """Returns the candidates for the best constant prediction, each `(samples, *task.shape)`.

    The first is the mean: the shares of the classes, of numbers and images the mean of each number. It has the least
    squared error. For numbers and images the second is the median, which has the least absolute error.

    Args:
        task: the task.
        labels: its labels `(samples, ...)`, none missing.
    """
    if not len(labels):
        return [np.zeros((0, *task.shape), "float32")]
    if task.head == "classification":
        counts = np.bincount(labels.astype(int).ravel(), minlength=task.shape[-1])
        constants = [counts / counts.sum()]
    elif task.head == "binary":
        constants = [labels.mean(axis=0)]
    else:
        constants = [labels.mean(axis=0), np.median(labels, axis=0)]
    shape = (len(labels), *task.shape)
    return [np.broadcast_to(constant.astype("float32").reshape(task.shape), shape) for constant in constants]


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
        return math.nan
    metric.reset_state()
    # In slices, since losses and metrics make several copies of their inputs, and images are large.
    for start in range(0, len(true), _SLICE):
        metric.update_state(true[start : start + _SLICE], pred[start : start + _SLICE])
    return float(metric.result())


def _overall(binary: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> dict[str, Score]:
    """Returns macro and micro scores of the binary tasks, for their predictions and constant predictions."""
    if len(binary) < 2:
        return {}
    predicted, constant = ([(task[0], task[side]) for task in binary] for side in (1, 2))
    return {
        f"{average}_{name}": score
        for average, scores in (("macro", macro_scores), ("micro", micro_scores))
        for name, score in _paired(scores(predicted), scores(constant)).items()
    }


def _paired(values: Mapping[str, float], baselines: Mapping[str, float]) -> dict[str, Score]:
    return {name: Score(value, baselines[name]) for name, value in values.items()}


def _scores(values: Mapping[str, Any]) -> dict[str, Score]:
    return {name: Score(number(entry["value"]), number(entry["baseline"])) for name, entry in values.items()}


def number(value: float | None) -> float:
    """Returns a number from JSON; null becomes NaN."""
    return math.nan if value is None else float(value)
