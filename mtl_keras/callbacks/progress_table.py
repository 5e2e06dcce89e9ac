"""The logs of an epoch as a table of tasks, and as one line of text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from mtl_keras.logs import group_by_task

_COLUMNS = {"loss": 7, "metric": 7, "val loss": 8, "val metric": 10, "weight": 7, "active": 6, "trend": 7}
_WIDTH = sum(width + 1 for width in _COLUMNS.values())
_TASKS_IN_A_LINE = 6


def task_table(
    logs: Mapping[str, float],
    names: Sequence[str],
    metrics: Mapping[str, str],
    trends: Mapping[str, float],
    width: int,
    rows: int | None = None,
) -> RenderableType:
    """Returns a table with a row a task, under a row for the run as a whole.

    Args:
        logs: the logs of an epoch, without NaN.
        names: the names of the tasks.
        metrics: task -> the metric to show, e.g. `"accuracy"`.
        trends: task -> relative change of its loss, where it is known.
        width: of the terminal, in characters; from 80 on nothing is cut but long names.
        rows: how many tasks to show; those with the greatest change are chosen. None: all.
    """
    groups = group_by_task(logs, names)
    shown = _most_changed(names, trends, rows)
    table = Table(
        Column("task", no_wrap=True, overflow="ellipsis", max_width=max(12, width - _WIDTH)),
        *(Column(title, justify="right", no_wrap=True, min_width=size) for title, size in _COLUMNS.items()),
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    totals = [groups[None, validation].get(key) for validation in (False, True) for key in ("loss", "mtl_score")]
    table.add_row("all tasks", *map(_number, totals), style="bold")
    for name in shown:
        training, validation = groups[name, False], groups[name, True]
        metric = metrics.get(name, "")
        table.add_row(
            name,
            *map(_number, (training.get("loss"), training.get(metric))),
            *map(_number, (validation.get("loss"), validation.get(metric))),
            _number(training.get("weight")),
            f"{training['active']:.0%}" if "active" in training else "-",
            _trend(trends.get(name)),
        )
    counts = Counter(metrics.values())
    listed = ", ".join(f"{metric} ({count})" if len(counts) > 1 else metric for metric, count in counts.items())
    parts: list[RenderableType] = [table]
    if len(shown) < len(names):
        parts.append(Text(f"... and {len(names) - len(shown)} more, whose loss changed less", style="dim"))
    caption = f"metric: {listed or '-'}; all tasks: mtl_score"
    parts.append(Text(caption, style="dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def epoch_line(
    epoch: int,
    epochs: int,
    seconds: float,
    logs: Mapping[str, float],
    metrics: Mapping[str, str],
    width: int | None = None,
) -> str:
    """Returns one line about an epoch: the totals and, if the tasks are few, a metric of each.

    Args:
        epoch: index of the epoch, from 0.
        epochs: how many there will be.
        seconds: how long it took.
        logs: its logs, without NaN.
        metrics: task -> its metric; the validation data's is shown if it is there.
        width: how long the line may be, in characters; what does not fit is left out. None: as long as it gets.
    """
    keys = ["loss", "val_loss", "val_mtl_score", "mtl_score"]
    if len(metrics) <= _TASKS_IN_A_LINE:
        for name, metric in metrics.items():
            key = f"{name}_{metric}"
            keys.append(f"val_{key}" if f"val_{key}" in logs else key)
    took = f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    line = f"epoch {epoch + 1}/{epochs} {took}"
    for key in keys:
        longer = f"{line} {key}={_number(logs[key])}" if key in logs else line
        if width is not None and len(longer) > width:
            break
        line = longer
    return line


def relative_change(before: float, now: float) -> float:
    """Returns `(now - before) / abs(before)`; infinite if only `before` is 0."""
    if before == now:
        return 0.0
    return (now - before) / abs(before) if before else math.copysign(math.inf, now)


def _most_changed(names: Sequence[str], trends: Mapping[str, float], rows: int | None) -> list[str]:
    """At most `rows` names, in their own order, so that the eye finds them where they were."""
    chosen = sorted(names, key=lambda name: -abs(trends.get(name, 0.0)))[:rows]
    return [name for name in names if name in chosen]


def _number(value: float | None) -> str:
    """At most 7 characters, 8 with a sign."""
    if value is None:
        return "-"
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e4):
        return f"{value:.1e}"
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 1000 else f"{value:.1f}"


def _trend(change: float | None) -> Text:
    if change is None:
        return Text("-")
    percent = min(999, round(100 * abs(change))) if abs(change) < 10 else 999
    if percent == 0:
        return Text("= 0%")
    return Text(f"v -{percent}%", "green") if change < 0 else Text(f"^ +{percent}%", "red")
