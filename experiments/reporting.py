"""Prints the results of a run as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table as RichTable

from experiments.comparison_table import natural_width
from experiments.evaluation import Evaluation, Score, Scores, own_metrics
from mtl_keras.analysis import SCORES

_CAPTION = (
    "In brackets: the best constant prediction (majority class or mean).",
    "More metrics are in the JSON file.",
)


def print_evaluation(evaluation: Evaluation, title: str, *, console: Console | None = None) -> None:
    """Prints one row per task: each of its own metrics with its constant-prediction baseline.

    Only a title with long paths is wrapped. In a narrow terminal, only the metrics that fit are printed; a file or pipe
    gets all of them. Further metrics, which the tasks were not trained with, are only in the JSON file.

    Args:
        evaluation: the evaluation.
        title: title of the table.
        console: the console to print to.
    """
    console, table = console or Console(), evaluation.tasks
    metrics = list(dict.fromkeys(metric for scores in table.values() for metric in own_metrics(scores)))
    # Primary metrics come first and the loss last, so that a narrow terminal leaves out the loss first.
    primary = {own_metrics(scores)[0] for scores in table.values()}
    metrics.sort(key=lambda metric: (metric == "loss", metric not in primary))
    shown = len(metrics)
    view = _view(table, metrics)
    if console.is_terminal:
        while natural_width(view, console) > console.width and shown > 1:
            shown -= 1
            view = _view(table, metrics[:shown])
    else:
        console.width = max(console.width, natural_width(view, console))
    # Not as title and caption of the table, since rich wraps those to its width.
    console.print(title, style="table.title", highlight=False, markup=False, soft_wrap=True)
    console.print(view)
    for line in _CAPTION:
        console.print(line, style="table.caption", highlight=False)
    if evaluation.overall:
        console.print(_overall_view(evaluation.overall))


def _view(table: Mapping[str, Scores], metrics: Sequence[str]) -> RichTable:
    view = RichTable()
    view.add_column("task", no_wrap=True)
    for metric in metrics:
        view.add_column(metric, justify="right", no_wrap=True)
    for task, scores in table.items():
        view.add_row(task, *(_cell(scores.get(metric)) for metric in metrics))
    return view


def _overall_view(overall: Scores) -> RichTable:
    view = RichTable(title="Overall: the binary tasks together", title_justify="left")
    view.add_column("score", no_wrap=True)
    for average, meaning in (("macro", "mean of the tasks"), ("micro", "all decisions")):
        view.add_column(f"{average} ({meaning})", justify="right", no_wrap=True)
    for name in SCORES:
        view.add_row(name, *(_cell(overall.get(f"{average}_{name}")) for average in ("macro", "micro")))
    return view


def _cell(score: Score | None) -> str:
    return "" if score is None else f"{_number(score.value)} ({_number(score.baseline)})"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"
