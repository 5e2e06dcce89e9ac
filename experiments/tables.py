"""Prints evaluations and comparisons as tables, in a terminal or as Markdown."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from experiments.evaluation import Evaluation, Score, Scores, own_metrics
from experiments.judging import RULES
from experiments.method_comparison import ALL, MethodComparison
from experiments.method_table import MethodTable
from mtl_keras.analysis import INTERVALS, SCORES

_CAPTION = (
    "In brackets: the best constant prediction (majority class, mean or median).",
    "More metrics are in the JSON file.",
)
_MAX_METRICS = 8
"""With more different metrics than this, each task and metric has a row."""
_MAX_ROWS = 40
"""A comparison by more metrics than this is on the page only."""
_WIDTH = 160  # of files and pipes
# Column numbers that a narrow terminal leaves out: the p-values, the values of both sides, the metric, the difference.
_LEFT_OUT: tuple[Collection[int], ...] = ((), (6,), (2, 3), (2, 3, 6), (1, 2, 3, 6), (1, 2, 3, 4), (1, 2, 3, 4, 6))
SPLITS = {"test": "test split", "train": "training split"}


def print_evaluation(evaluation: Evaluation, title: str, *, console: Console | None = None) -> None:
    """Prints one row per task: each of its own metrics with its constant-prediction baseline.

    Only a title with long paths is wrapped. In a narrow terminal, only the metrics that fit are printed; a file or pipe
    gets all of them. Further metrics, which the tasks were not trained with, are only in the JSON file.

    With more than eight different metrics, such as those of depth and normals, there is one row per metric of a task.

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
    is_long = shown > _MAX_METRICS
    view = _long_view(table) if is_long else _scores_view(table, metrics)
    if not console.is_terminal:
        console.width = max(console.width, _natural_width(view, console))
    while console.is_terminal and not is_long and shown > 1 and _natural_width(view, console) > console.width:
        shown -= 1
        view = _scores_view(table, metrics[:shown])
    # Not as title and caption of the table, since rich wraps those to its width.
    console.print(title, style="table.title", highlight=False, markup=False, soft_wrap=True)
    console.print(view)
    for line in _CAPTION[1 if is_long else 0 :]:
        console.print(line, style="table.caption", highlight=False)
    if evaluation.overall:
        console.print(_overall_view(evaluation.overall))
    for task, classes in evaluation.iou.items():
        found = ", ".join(f"{name} {_number(value)}" for name, value in classes.items())
        # Wrap at words in a terminal, and do not wrap elsewhere.
        console.print(f"IoU of {task}: {found}", highlight=False, markup=False, soft_wrap=not console.is_terminal)


def _scores_view(table: Mapping[str, Scores], metrics: Sequence[str]) -> Table:
    view = Table()
    view.add_column("task", no_wrap=True)
    for metric in metrics:
        view.add_column(metric, justify="right", no_wrap=True)
    for task, scores in table.items():
        view.add_row(task, *(_cell(scores.get(metric)) for metric in metrics))
    return view


def _long_view(table: Mapping[str, Scores]) -> Table:
    view = Table()
    view.add_column("task", no_wrap=True)
    view.add_column("metric", no_wrap=True)
    view.add_column("value", justify="right", no_wrap=True)
    view.add_column("best constant", justify="right", no_wrap=True)
    for task, scores in table.items():
        for position, metric in enumerate(names := own_metrics(scores)):
            score, is_last = scores[metric], position == len(names) - 1
            row = ("" if position else task, metric, _number(score.value), _number(score.baseline))
            view.add_row(*row, end_section=is_last)
    return view


def _overall_view(overall: Scores) -> Table:
    view = Table(title="Overall: the binary tasks together", title_justify="left")
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


def print_comparison(comparison: MethodComparison, console: Console | None = None, *, markdown: bool = False) -> None:
    """Prints the effect of a method on each task, the summary and the cost.

    In a narrow terminal, only the columns that fit are printed.

    Args:
        comparison: the comparison.
        console: the console to print to.
        markdown: whether to print Markdown.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    method, baseline = comparison.method, comparison.baseline
    seeds = f"{len(comparison.seeds)} seed{'s' * (len(comparison.seeds) > 1)}"
    for (split, metric), measured in comparison.measures.items():
        if metric == ALL and len(measured.tasks) > _MAX_ROWS:
            continue
        what = {"loss": "loss", ALL: "all metrics"}.get(metric, "primary metric")
        title = f"{method} against {baseline}: {what}, {SPLITS[split]}, {seeds}"
        console.print(f"**{title}**\n" if markdown else title, highlight=False)
        console.print(_table_that_fits(measured.rows(), console, markdown))
        console.print()
    for line in _summary(comparison):
        # Wrap at words in a terminal, and do not wrap elsewhere.
        console.print(line, highlight=False, soft_wrap=markdown or not console.is_terminal)
        if markdown:
            console.print()
    cost = comparison.cost
    view = _view(markdown, "cost", method, f"{baseline}, all its networks", "ratio")
    for key, name, form in (
        ("parameters", "parameters", ",.0f"),
        ("seconds_per_step", "seconds a step", ".4f"),
        ("seconds", "seconds of training", ".1f"),
    ):
        numbers = [format(getattr(side, key), form) for side in (cost.method, cost.baseline)]
        view.add_row(name, *numbers, format(cost.ratio[key], ".3f"))
    console.print(view)
    console.print()


def _summary(comparison: MethodComparison) -> list[str]:
    first, every = comparison.first, comparison.all_metrics
    worse = ", ".join(comparison.negative_transfer) or ("none" if len(comparison.seeds) > 1 else "not known")
    lines = [
        first.gains("mean relative gain of the tasks' primary metrics on the test split"),
        *([every.gains("all metrics on the test split")] if every is not first else []),
        f"Negative transfer (clearly worse): {worse}.",
        *filter(None, (first.chance_note(), first.holm_note())),
        RULES[comparison.judge_at],
        f"↑ higher is better, ↓ lower is better. In square brackets: the {comparison.delta_m.confidence:.0%} interval "
        f"of the mean of the paired differences, one per seed ({INTERVALS[first.intervals]}).",
    ]
    if comparison.tasks_left_out:
        lines.append(f"Left out, no finished run on both sides: {', '.join(comparison.tasks_left_out)}.")
    if comparison.seeds_left_out:
        seeds = ", ".join(map(str, comparison.seeds_left_out))
        lines.append(f"Left out, not every task has a result on both sides: seeds {seeds}.")
    return lines


def print_group_verdicts(notes: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None) -> None:
    """Prints the verdict on groups, task by task.

    Args:
        notes: the result of `experiments.method_table.group_notes`.
        rows: the result of `experiments.method_table.group_verdicts`.
        console: the console to print to.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    console.print("Groups, task by task: primary metric on the test split, and verdicts on the groups", highlight=False)
    console.print(_plain_view(rows))
    for line in notes:
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    console.print()


def print_method_table(table: MethodTable, console: Console | None = None) -> None:
    """Prints the table of all methods. Where the metrics do not fit, only the gains and ranks are printed.

    Args:
        table: the table.
        console: the console to print to.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    console.print("All methods", highlight=False)
    view = _plain_view(table.rows())
    if _natural_width(view, console) > console.width:
        view = _plain_view(table.rows(with_metrics=False))
    console.print(view)
    for line in table.notes:
        console.print(line, highlight=False, markup=False, soft_wrap=not console.is_terminal)
    console.print()


def _plain_view(rows: Sequence[Sequence[str]], markdown: bool = False) -> Table:
    """Returns a table; the first row has the titles."""
    view = _view(markdown, *rows[0])
    for row in rows[1:]:
        view.add_row(*row)
    return view


def _natural_width(view: Table, console: Console) -> int:
    """Returns the width of the whole table, in characters."""
    return Measurement.get(console, console.options.update(max_width=10_000), view).maximum


def _table_that_fits(rows: Sequence[Sequence[str]], console: Console, markdown: bool) -> Table:
    """Returns a table with the columns that fit; the first row has the titles."""
    for left_out in _LEFT_OUT:
        shown = [[cell for number, cell in enumerate(row) if number not in left_out] for row in rows]
        view = _plain_view(shown, markdown)
        if markdown or _natural_width(view, console) <= console.width:
            break
    return view


def _view(markdown: bool, *columns: str) -> Table:
    view = Table(box=box.MARKDOWN if markdown else box.ROUNDED)
    for number, column in enumerate(columns):
        view.add_column(column, no_wrap=True, justify="left" if number == 0 or column == "verdict" else "right")
    return view
