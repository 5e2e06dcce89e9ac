"""Formats the logs of an epoch as a table of tasks, or as one line of text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from mtl_keras.logs import group_by_task

_COLUMNS = {"loss": 7, "metric": 7, "val loss": 8, "val metric": 10, "weight": 7, "active": 6, "trend": 7}
_COLOURS = {"v": "green", "^": "red"}
_TASKS_IN_A_LINE = 6


def task_table(
    logs: Mapping[str, float],
    names: Sequence[str],
    metrics: Mapping[str, str],
    trends: Mapping[str, float],
    width: int,
    rows: int | None = None,
) -> Text:
    """Returns a table with one row per task, below a row for the whole run.

    Args:
        logs: the logs of an epoch, without NaN.
        names: the names of the tasks.
        metrics: task -> the metric to show, e.g. `"accuracy"`.
        trends: task -> relative change of its loss, where it is known.
        width: width of the terminal in characters; from 80 on, only long names are shortened, in the middle.
        rows: number of tasks to show, those with the greatest change; `None` for all.
    """
    groups = group_by_task(logs, names)
    shown = _most_changed(names, trends, rows)
    totals = [groups[None, validation].get(key) for validation in (False, True) for key in ("loss", "mtl_score")]
    cells = [("task", *_COLUMNS), ("all tasks", *map(_number, totals), "", "", "")]
    for name in shown:
        training, validation = groups[name, False], groups[name, True]
        metric = metrics.get(name, "")
        cells.append(
            (
                name,
                *map(_number, (training.get("loss"), training.get(metric))),
                *map(_number, (validation.get("loss"), validation.get(metric))),
                _number(training.get("weight")),
                f"{training['active']:.0%}" if "active" in training else "-",
                _trend(trends.get(name)),
            )
        )
    text = _align(cells, width)
    if len(shown) < len(names):
        text.append(f"... and {len(names) - len(shown)} more, whose loss changed less\n", "dim")
    counts = Counter(metrics.values())
    listed = ", ".join(f"{metric} ({count})" if len(counts) > 1 else metric for metric, count in counts.items())
    return text.append(f"metric: {listed or '-'}; all tasks: mtl_score", "dim")


def epoch_line(
    epoch: int,
    epochs: int,
    seconds: float,
    logs: Mapping[str, float],
    metrics: Mapping[str, str],
    width: int | None = None,
) -> str:
    """Returns one line about an epoch: the totals and, if there are few tasks, a metric of each.

    Args:
        epoch: index of the epoch, from 0.
        epochs: number of epochs.
        seconds: duration of the epoch.
        logs: its logs, without NaN.
        metrics: task -> its metric; the value on validation data is shown if there is one.
        width: largest length of the line in characters; parts that do not fit are omitted. `None` for no limit.
    """
    keys = ["loss", "val_loss", "val_mtl_score", "mtl_score"]
    if len(metrics) <= _TASKS_IN_A_LINE:
        for name, metric in metrics.items():
            key = f"{name}_{metric}"
            keys.append(f"val_{key}" if f"val_{key}" in logs else key)
    duration = f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
    line = f"epoch {epoch + 1}/{epochs} {duration}"
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
    """Returns at most `rows` names in their original order, so that the rows stay in place."""
    chosen = sorted(names, key=lambda name: -abs(trends.get(name, 0.0)))[:rows]
    return [name for name in names if name in chosen]


def _align(rows: Sequence[tuple[str, ...]], width: int) -> Text:
    """Returns aligned rows, the first two as titles. A rich table would take ten times as long in each epoch."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[1:]]
    widths = [max(pair) for pair in zip(widths, _COLUMNS.values(), strict=True)]
    room = max(12, width - sum(widths) - len(widths))
    name_width = min(room, max(cell_len(row[0]) for row in rows))
    text = Text(no_wrap=True, overflow="ellipsis")
    for number, (name, *cells) in enumerate(rows):
        numbers = " ".join(cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
        text.append(
            f"{set_cell_size(_shorten(name, name_width), name_width)} {numbers}\n", "bold" if number < 2 else ""
        )
        if number > 1 and cells[-1][0] in _COLOURS:
            text.stylize(_COLOURS[cells[-1][0]], len(text) - len(cells[-1]) - 1)
    return text


def _shorten(name: str, length: int) -> str:
    """Shortens a long name in the middle, since numbered names differ at the end."""
    if len(name) <= length:
        return name
    tail = (length - 2) // 2
    return f"{name[: length - 2 - tail]}..{name[-tail:]}"


def _number(value: float | None) -> str:
    """Formats a number in at most 7 characters, 8 with a sign."""
    if value is None:
        return "-"
    size = abs(value)
    if size and (size < 1e-3 or size >= 1e4):
        return f"{value:.1e}"
    return f"{value:.4f}" if size < 10 else f"{value:.2f}" if size < 1000 else f"{value:.1f}"


def _trend(change: float | None) -> str:
    if change is None:
        return "-"
    percent = min(999, round(100 * abs(change))) if abs(change) < 10 else 999
    if percent == 0:
        return "= 0%"
    return f"v -{percent}%" if change < 0 else f"^ +{percent}%"
