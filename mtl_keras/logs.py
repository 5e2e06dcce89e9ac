"""Parses the log keys of a multi-task run: the task that a key belongs to, and the quantity it measures.

| key | meaning |
|---|---|
| `loss` | total loss, weighted by the task weights |
| `mtl_score` | mean of the primary metrics, each in its good direction |
| `learning_rate` | the optimizer's learning rate |
| `<task>_loss` | the task's own loss, unweighted |
| `<task>_<metric>` | a metric of the task |
| `<task>_weight` | its weight, mean over the epoch's steps |
| `<task>_active` | the share of the epoch's steps in which the task ran |
| `<task>_probability` | its scheduling probability |

Validation puts `val_` before a key. NaN means that there is no value: the task did not run, or had no labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

GRADIENTS = ("gradient_cosine", "conflict_rate", "gradient_norm_ratio")
SHARING = ("gate_entropy", "unused_experts")
SUMMARY = ("loss", "mtl_score", "learning_rate", "steps_per_second", *GRADIENTS, *SHARING)
TRAINING = ("loss", "weight", "active", "probability")
_VALIDATION = "val_"


class LogKey(NamedTuple):
    """A parsed log key.

    Attributes:
        validation: whether it was measured on validation data.
        task: the task it belongs to; None if it describes the run as a whole.
        quantity: the measured quantity: one of `TRAINING` or the name of a metric; for the whole run, any string.
    """

    validation: bool
    task: str | None
    quantity: str


def parse_key(key: str, task_names: Iterable[str]) -> LogKey:
    """Parses a log key.

    Task names may contain `_`, and one may be a prefix of another; the longest match is the task.

    Args:
        key: the key, e.g. `"val_hat_accuracy"`.
        task_names: the names of the model's tasks.

    Example:

    ```python
    parse_key("val_hat_band_loss", ["hat", "hat_band"])  # LogKey(True, "hat_band", "loss")
    ```
    """
    validation = key.startswith(_VALIDATION)
    rest = key.removeprefix(_VALIDATION)
    if rest in SUMMARY:
        return LogKey(validation, None, rest)
    names = frozenset(task_names)
    end = rest.rfind("_", 0, -1)
    while end > 0:
        if rest[:end] in names:
            return LogKey(validation, rest[:end], rest[end + 1 :])
        end = rest.rfind("_", 0, end)
    return LogKey(validation, None, rest)


def without_nan(logs: Mapping[str, float]) -> dict[str, float]:
    """Returns the logs without NaN values."""
    return {key: value for key, value in logs.items() if not math.isnan(value)}


def group_by_task(
    logs: Mapping[str, float], task_names: Iterable[str]
) -> dict[tuple[str | None, bool], dict[str, float]]:
    """Returns `{(task, validation): {quantity: value}}`; task None is the whole run.

    Every task and the whole run have a group, which may be empty.

    Args:
        logs: key -> value, as callbacks receive them at the end of an epoch.
        task_names: the names of the model's tasks.
    """
    names = frozenset(task_names)
    groups: dict[tuple[str | None, bool], dict[str, float]] = {
        (task, validation): {} for task in (None, *names) for validation in (False, True)
    }
    for key, value in logs.items():
        validation, task, quantity = parse_key(key, names)
        groups[task, validation][quantity] = value
    return groups


def primary_metrics(model: Any, logs: Mapping[str, float]) -> dict[str, str]:
    """Returns `{task: quantity}`: the primary metric of each task that has metrics.

    This is the entry in `model.primary_metrics`. For tasks without an entry it is the alphabetically first metric,
    since Keras sorts the logs before callbacks see them.

    Args:
        model: a multi-task model.
        logs: the logs of an epoch.
    """
    names = task_names(model)
    declared: Mapping[str, str] = getattr(model, "primary_metrics", {})
    groups = group_by_task(logs, names)
    primary = {}
    for name in names:
        measured = sorted({*groups[name, False], *groups[name, True]} - set(TRAINING))
        metric = declared.get(name) or next(iter(measured), None)
        if metric:
            primary[name] = metric
    return primary


def task_names(model: Any) -> tuple[str, ...]:
    """Returns the names of a model's tasks.

    Raises:
        TypeError: if `model` is not a multi-task model.
    """
    names = getattr(model, "task_names", None)
    if names is None:
        raise TypeError(
            "This callback needs a model with `task_names`, such as mtl_keras.MultiTaskModel. "
            f"Received: model={type(model).__name__}"
        )
    return tuple(names)
