"""The results of a run: each task against the best constant prediction, and warnings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from experiments.config import FEW_STEPS
from experiments.evaluation import Score
from experiments.predictions import SavedArrays, measure_name
from experiments.report.dense import metric_tables
from experiments.report.predictions import labelled
from experiments.run_flags import train_command
from experiments.run_results import RunResult
from mtl_keras.analysis import SCORES, Interval, mean_interval
from mtl_keras.reports.filters import arrow, decimal, listed
from mtl_keras.reports.outputs import Output

_BETTER, _UNCLEAR, _WORSE, _UNKNOWN = "▲ better", "● no clear difference", "▼ worse", "not known"
_SMALL_SPLIT = 500
_MEASURED = ("mean_iou", "mask_iou", "depth_error", "angle", "mae")
"""Metrics of dense tasks that `predictions.npz` has for single images."""


def results(run: RunResult, predicted: SavedArrays | None = None) -> dict[str, Any]:
    """Returns the primary metrics on the test split with those of the best constant prediction, and the verdicts.

    Args:
        run: the run.
        predicted: its `predictions.npz`, for the uncertainty of the differences.
    """
    rows, verdicts, outputs = [], {}, run.outputs
    for task in run.tasks:
        score = run.score(task)
        verdict = _verdict(score, bool(run.higher_is_better(task)))
        if verdict in (_BETTER, _WORSE) and predicted and task in outputs:
            gains = _gains(predicted, task, outputs[task], run.primary(task) or "")
            if gains is not None and not (gains.excludes_zero and (gains.mean > 0) == (verdict == _BETTER)):
                verdict = _UNCLEAR
        verdicts[task] = verdict
        numbers = decimal(score.value), decimal(score.baseline), decimal(score.value - score.baseline, sign=True)
        rows.append([task, *numbers, verdict, f"{run.primary(task)}{arrow(run.higher_is_better(task))}"])
    evaluation = run.evaluations["best_mean", "test"] if run.finished else None
    overall = evaluation.overall if evaluation else {}
    return {
        "rows": rows,
        "better": [task for task, verdict in verdicts.items() if verdict == _BETTER],
        "not_better": [task for task, verdict in verdicts.items() if verdict in (_UNCLEAR, _WORSE)],
        "unknown": [task for task, verdict in verdicts.items() if verdict == _UNKNOWN],
        "dense": metric_tables(outputs, evaluation.tasks) if evaluation else {},
        "overall": [[name, *_averages(overall, name)] for name in SCORES] if overall else [],
    }


def _gains(saved: SavedArrays, task: str, output: Output, metric: str) -> Interval | None:
    """Returns the mean gain of an example over the best constant prediction, with its interval.

    `None` if the metric is not a mean over examples that is known here, or there are no predictions.
    """
    if output.head == "reconstruction":
        return None
    if output.is_dense:
        return _dense_gains(saved, task, output) if metric in _MEASURED else None
    true, pred = labelled(output, saved.get(f"true/{task}"), saved.get(f"pred/{task}"))
    if not len(true):
        return None
    if metric == "accuracy" and output.head in ("classification", "binary"):
        decided = pred.reshape(-1) > 0.5 if output.head == "binary" else pred.argmax(axis=1)
        classes, counts = np.unique(true, return_counts=True)
        right, constant = decided == true, true == classes[counts.argmax()]
        return mean_interval(right.astype(float) - constant)
    if output.head != "regression" or metric not in ("mae", "scaled_mae", "point_error"):
        return None
    offsets = np.stack([np.median(true, axis=0) - true, pred - true])
    if metric == "point_error":
        offsets = np.hypot(offsets[..., 0::2], offsets[..., 1::2])
    constant, error = np.abs(offsets).mean(axis=-1)
    return mean_interval(constant - error)


def _dense_gains(saved: SavedArrays, task: str, output: Output) -> Interval | None:
    """Returns the mean gain of an image over the best constant prediction, in IoU or mean error, with its interval."""
    measure = measure_name(output)
    gains = saved.get(f"{measure}/{task}") - saved.get(f"constant_{measure}/{task}")
    gains = gains[np.isfinite(gains)] * (1 if measure == "iou" else -1)
    return mean_interval(gains.astype("float64")) if len(gains) else None


def _averages(overall: Mapping[str, Score], name: str) -> Iterator[str]:
    for score in (overall[f"macro_{name}"], overall[f"micro_{name}"]):
        yield from (decimal(score.value), decimal(score.baseline))


def _verdict(score: Score, higher_is_better: bool) -> str:
    gain = score.value - score.baseline if higher_is_better else score.baseline - score.value
    if not math.isfinite(gain):
        return _UNKNOWN
    gain = round(gain, 4)  # as the table shows it
    return _BETTER if gain > 0 else _WORSE if gain < 0 else _UNCLEAR


def warnings_about(run: RunResult) -> Iterator[tuple[str, str]]:
    """Yields the warnings about a run, each as a heading and a text."""
    if run.failed and not run.finished:
        yield "Stopped", "the loss of a task became NaN or infinite; details are in nonfinite/."
    elif not run.finished:
        planned = run.config.get("epochs")
        yield "Not finished", f"{run.epochs} of {planned} epochs are done, and nothing is evaluated yet."
    if run.synthetic:
        yield SYNTHETIC
    if run.finished:
        yield "One run, one seed", _advice(run)
    skipped = (run.config.get("data") or {}).get("skipped") or {}
    if any(skipped.values()):
        yield "Examples skipped", f"some could not be read: {skipped}."
    yield from _unscaled(run)
    if run.finished:
        yield from small_test_split(run.config)
    overfitted = list(filter(None, (_overfitted(run, task) for task in run.tasks)))
    if overfitted:
        yield (
            "Overfitting",
            "training and validation differ much at the end, and in the second half of the epochs the training loss "
            f"fell but the validation loss did not: {listed(overfitted)}.",
        )
    if run.finished and run.cost.steps < FEW_STEPS:
        yield few_steps(run.cost.steps)
    elif run.finished and run.epochs > 2 and run.best_epoch == run.epochs - 1:
        yield "Still improving", "the best epoch was the last. More epochs may give better results."


SYNTHETIC = "Synthetic images", "the images are generated. These numbers say nothing about the real dataset."
"""The warning about a run on synthetic data."""


def _advice(run: RunResult) -> str:
    text = "another seed would give other numbers"
    if len(run.tasks) < 2:
        return f"{text}."
    text += ", and one run cannot show whether sharing helps. To find out:"
    without = ("seed", "verbose", "profile", "export", "distribute")
    command = train_command(run.config, "--compare", "single_task", "--seeds", "0,1,2", without=without)
    # The data of a run without a command were made in Python.
    return Markup("{} <code>{}</code>").format(text, command or "mtl_keras.analysis.compare_with_single_task")


def few_steps(steps: int) -> tuple[str, str]:
    """Returns the warning about a run of fewer than `FEW_STEPS` training steps."""
    return (
        "Few steps",
        f"{steps} in all: the network is hardly trained. If it has batch normalisation, its moving averages may not "
        "have settled yet, and its predictions may be much worse than its training suggests. Use a lower --batch_size "
        "or more --epochs.",
    )


def small_test_split(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields a warning if the test split is small, or the part of it that is labelled for some task.

    Args:
        config: the content of a run's `config.json`.
    """
    data = config.get("data") or {}
    examples = (data.get("sizes") or {}).get("test")
    if not isinstance(examples, int):
        return
    unit = "row" if data.get("features") else "image"
    missing = {task: by_split.get("test", 0) for task, by_split in (data.get("missing_labels") or {}).items()}
    # A task without any label is reported as not known.
    labelled, task = min(
        ((examples - count, task) for task, count in missing.items() if count < examples), default=(examples, "")
    )
    if 0 < labelled < _SMALL_SPLIT:
        part = f", {labelled} of which have a label of {task}" if labelled < examples else ""
        yield (
            "Small test split",
            f"{examples} {unit}s{part}. One more correct {unit} raises an accuracy by {100 / labelled:.1f} percentage "
            f"points, so small differences may be chance. All seeds use the same test {unit}s, so an interval over "
            "seeds does not include this uncertainty.",
        )


def _unscaled(run: RunResult) -> Iterator[tuple[str, str]]:
    """Yields a warning if a task's errors are in a large unit, so that they dominate the mean over the tasks."""
    if len(run.tasks) < 2:
        return
    errors = {task: np.array(run.column(f"val_{task}_mae")) for task in run.tasks if run.primary(task) == "mae"}
    large = [
        f"{task} (up to {np.nanmax(values):.3g})"
        for task, values in errors.items()
        if np.isfinite(values).any() and np.nanmax(values) > 1
    ]
    if large:
        yield (
            "Task in data units",
            f"the primary metric mae is in the unit of the labels: {listed(large)}. It dominates mtl_score, the mean "
            "of the primary metrics, which selects the best epoch. Give Task.regression the mean and the deviation of "
            "the labels.",
        )


def _overfitted(run: RunResult, task: str) -> str | None:
    """Returns a task's name with its final values if it is overfitted."""
    # The direction of the metric is not known before the run is finished; that of the loss is.
    higher_is_better = run.higher_is_better(task)
    metric = "loss" if higher_is_better is None else run.primary(task)
    names = f"{task}_loss", f"val_{task}_loss", f"{task}_{metric}", f"val_{task}_{metric}"
    losses, val_losses, values, val_values = columns = [run.column(name) for name in names]
    known = run.epochs >= 3 and np.isfinite(columns).all()
    if not known or not is_overfitting(losses, val_losses, values, val_values, bool(higher_is_better)):
        return None
    return f"{task} ({metric} {decimal(values[-1], 3)} in training, {decimal(val_values[-1], 3)} in validation)"


def is_overfitting(
    training_losses: Sequence[float],
    validation_losses: Sequence[float],
    training_metrics: Sequence[float],
    validation_metrics: Sequence[float],
    higher_is_better: bool,
) -> bool:
    """Returns whether a task is overfitted, by the gap between training and validation and by the trend.

    The gap: at the end, the metric is worse in validation, by more than 0.1 if higher is better, else by more than half
    of the training value. The trend: in the second half of the epochs, the training loss fell by more than 5%, and the
    validation loss did not. Each value is a mean over a quarter of the epochs, because single epochs are noisy.

    Args:
        training_losses: (epochs,), finite.
        validation_losses: (epochs,), finite.
        training_metrics: (epochs,), the primary metric, or the losses again.
        validation_metrics: (epochs,).
        higher_is_better: the direction of the metric.
    """
    epochs = len(training_losses)
    window = max(1, epochs // 4)

    def mean(values: Sequence[float], end: int) -> float:
        return sum(values[end - window : end]) / window

    training, validation = mean(training_metrics, epochs), mean(validation_metrics, epochs)
    gap = training - validation > 0.1 if higher_is_better else validation > 1.5 * training
    fell, validation_fell = (
        mean(losses, epochs) < 0.95 * mean(losses, max(window, epochs // 2))
        for losses in (training_losses, validation_losses)
    )
    return gap and fell and not validation_fell
