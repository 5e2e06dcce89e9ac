"""Metrics that are usual for each kind of task, in addition to the task's own metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtl_keras.analysis import Decisions, count_decisions, inter_ocular_error, macro_f1, macro_scores, micro_scores
from mtl_keras.tasks import Task

EYES = ("left_eye", "right_eye")


def further_metrics(task: Task, true: np.ndarray, pred: np.ndarray) -> dict[str, float]:
    """Returns `{metric: value}`; NaN if there are no samples.

    | head | metrics |
    |---|---|
    | binary | `accuracy`, `precision`, `recall`, `f1` of the decisions at 0.5 |
    | classification | `macro_f1` |
    | regression, reconstruction | `mae`, `mse`, `rmse`, in the unit of the labels |
    | landmarks with a `left_eye` and a `right_eye` | these three, and `nme`: error relative to the eyes' distance |

    Args:
        task: the predicted task.
        true: labels `(samples, ...)`, none missing.
        pred: predictions `(samples, *task.shape)`.
    """
    if task.head == "binary":
        return count_decisions(true, pred).scores()
    if task.head == "classification":
        return {"macro_f1": macro_f1(true, pred)}
    errors = _errors(true, pred)
    if set(EYES) <= set(task.labels):
        errors["nme"] = inter_ocular_error(true, pred, *map(task.labels.index, EYES))
    return errors


def _errors(true: np.ndarray, pred: np.ndarray) -> dict[str, float]:
    """Returns the mean absolute error, the mean squared error and its root."""
    if not len(true):
        return dict.fromkeys(("mae", "mse", "rmse"), float("nan"))
    offset = np.subtract(pred, true, dtype="float32")
    mse = float(np.square(offset).mean(dtype="float64"))
    return {"mae": float(np.abs(offset).mean(dtype="float64")), "mse": mse, "rmse": mse**0.5}


def overall(decisions: Sequence[Mapping[str, Decisions]]) -> dict[str, dict[str, float]]:
    """Returns macro and micro scores of the binary tasks, as entries of a table; empty for fewer than two tasks.

    Args:
        decisions: for each binary task, the model's decisions as `"value"` and those of its constant prediction as
            `"baseline"`.
    """
    if len(decisions) < 2:
        return {}
    entries = {}
    for average, scores in (("macro", macro_scores), ("micro", micro_scores)):
        value, baseline = (scores([task[side] for task in decisions]) for side in ("value", "baseline"))
        entries.update({f"{average}_{name}": entry for name, entry in beside(value, baseline).items()})
    return entries


def beside(value: Mapping[str, float], baseline: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Returns `{metric: {"value": ..., "baseline": ...}}`."""
    return {name: {"value": value[name], "baseline": baseline[name]} for name in value}
