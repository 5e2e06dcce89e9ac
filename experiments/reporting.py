"""The table that a run ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable

from experiments.evaluation import Table


def print_table(table: Table, title: str, console: Console | None = None) -> None:
    """Prints one row a task: each metric beside its constant-prediction baseline.

    A terminal that is too narrow for all metrics is shown those that fit. A file or pipe gets all of them.

    Args:
        table: from `experiments.evaluation.evaluate`.
        title: what was evaluated.
        console: where to print.
    """
    console = console or Console()
    metrics = list(dict.fromkeys(metric for entries in table.values() for metric in entries))
    # The loss stands last: it is what a narrow terminal can do without.
    metrics.sort(key=lambda metric: metric == "loss")
    shown = len(metrics)
    view = _view(table, title, metrics, shown)
    if console.is_terminal:
        while _width(view, console) > console.width and shown > 1:
            shown -= 1
            view = _view(table, title, metrics[:shown], len(metrics))
    else:
        console.width = max(console.width, _width(view, console))
    console.print(view)


def _width(view: RichTable, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=10_000), view).maximum


def _view(table: Table, title: str, metrics: Sequence[str], known: int) -> RichTable:
    caption = "In brackets: the best constant prediction (majority class or mean)."
    if len(metrics) < known:
        caption += " More metrics are in the JSON file."
    view = RichTable(title=title, caption=caption, title_justify="left", caption_justify="left")
    view.add_column("task", no_wrap=True)
    for metric in metrics:
        view.add_column(metric, justify="right", no_wrap=True)
    for task, entries in table.items():
        view.add_row(task, *(_cell(entries.get(metric)) for metric in metrics))
    return view


def _cell(entry: dict[str, float] | None) -> str:
    if entry is None:
        return ""
    return f"{_number(entry['value'])} ({_number(entry['baseline'])})"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
