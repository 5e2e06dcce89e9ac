"""The table that a run ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable

from experiments.comparison_table import natural_width
from experiments.evaluation import Entries, Table, own_metrics
from mtl_keras.analysis import SCORES

_CAPTION = (
    "In brackets: the best constant prediction (majority class or mean).",
    "More metrics are in the JSON file.",
)


def print_table(table: Table, title: str, overall: Entries | None = None, *, console: Console | None = None) -> None:
    """Prints one row a task: each of its own metrics beside its constant-prediction baseline.

    Nothing is wrapped but a title with long paths. A terminal that is too narrow for all metrics is shown those that
    fit. A file or pipe gets all of them. Further metrics, that the tasks were not trained with, are in the JSON file
    only.

    Args:
        table: from `experiments.evaluation.evaluate`.
        title: what was evaluated.
        overall: scores of the binary tasks together, from `experiments.evaluation.evaluate`.
        console: where to print.
    """
    console = console or Console()
    metrics = list(dict.fromkeys(metric for entries in table.values() for metric in own_metrics(entries)))
    # Primary metrics stand first and the loss last: it is what a narrow terminal can do without.
    primary = {own_metrics(entries)[0] for entries in table.values()}
    metrics.sort(key=lambda metric: (metric == "loss", metric not in primary))
    shown = len(metrics)
    view = _view(table, metrics)
    if console.is_terminal:
        while natural_width(view, console) > console.width and shown > 1:
            shown -= 1
            view = _view(table, metrics[:shown])
    else:
        console.width = max(console.width, natural_width(view, console))
    # Not as title and caption of the table: those are wrapped to its width.
    console.print(title, style="table.title", highlight=False, markup=False, soft_wrap=True)
    console.print(view)
    for line in _CAPTION:
        console.print(line, style="table.caption", highlight=False)
    if overall:
        console.print(_overall_view(overall))


def _view(table: Table, metrics: Sequence[str]) -> RichTable:
    view = RichTable()
    view.add_column("task", no_wrap=True)
    for metric in metrics:
        view.add_column(metric, justify="right", no_wrap=True)
    for task, entries in table.items():
        view.add_row(task, *(_cell(entries.get(metric)) for metric in metrics))
    return view


def _overall_view(overall: Entries) -> RichTable:
    view = RichTable(title="Overall: the binary tasks together", title_justify="left")
    view.add_column("score", no_wrap=True)
    for average, meaning in (("macro", "mean of the tasks"), ("micro", "all decisions")):
        view.add_column(f"{average} ({meaning})", justify="right", no_wrap=True)
    for score in SCORES:
        view.add_row(score, *(_cell(overall.get(f"{average}_{score}")) for average in ("macro", "micro")))
    return view


def _cell(entry: dict[str, float] | None) -> str:
    if entry is None:
        return ""
    return f"{_number(entry['value'])} ({_number(entry['baseline'])})"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
