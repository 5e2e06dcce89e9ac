"""Prints comparisons as tables, in a terminal or as Markdown."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDTH = 160  # of files and pipes
# Column numbers that a narrow terminal leaves out: the values of both sides, the metric, the difference.
_LEFT_OUT: tuple[Collection[int], ...] = ((), (2, 3), (1, 2, 3), (1, 2, 3, 4))
_SPLITS = {"test": "test split", "train": "training split"}


def print_comparison(outcome: Mapping[str, Any], console: Console | None = None, *, markdown: bool = False) -> None:
    """Prints the effect of a method on each task, the summary and the cost.

    In a narrow terminal, only the columns that fit are printed.

    Args:
        outcome: from `experiments.comparison.Outcome.to_json`.
        console: the console to print to.
        markdown: whether to print Markdown.
    """
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    method, baseline = outcome["method"], outcome["baseline"]
    for measure in outcome["measures"]:
        what = "loss" if measure["metric"] == "loss" else "primary metric"
        title = f"{method} against {baseline}: {what}, {_SPLITS[measure['split']]}, {_seeds(outcome)}"
        console.print(f"**{title}**\n" if markdown else title, highlight=False)
        rows = [("task", "metric", method, baseline, "difference", "verdict")]
        for task in measure["tasks"]:
            sides = [_spread(task[side]) for side in ("method", "baseline")]
            rows.append((task["task"], _metric(task), *sides, interval(task["difference"]), task["verdict"]))
        console.print(_table_that_fits(rows, console, markdown))
        console.print()
    for line in _summary(outcome):
        # Wrap at words in a terminal, and do not wrap elsewhere.
        console.print(line, highlight=False, soft_wrap=markdown or not console.is_terminal)
        if markdown:
            console.print()
    cost = outcome["cost"]
    view = _view(markdown, "cost", method, f"{baseline}, all its networks", "ratio")
    for key, name, form in (
        ("parameters", "parameters", ",.0f"),
        ("seconds_per_step", "seconds a step", ".4f"),
        ("seconds", "seconds of training", ".1f"),
    ):
        numbers = [format(_number(cost[side][key]), form) for side in ("method", "baseline")]
        view.add_row(name, *numbers, format(_number(cost["ratio"][key]), ".3f"))
    console.print(view)
    console.print()


def interval(entry: Mapping[str, Any], digits: int = 4) -> str:
    """Returns a difference with its interval: `"+0.0040 [+0.0012, +0.0068]"`."""
    mean, low, high = (_number(entry[key]) for key in ("mean", "low", "high"))
    if math.isnan(mean):
        return "-"
    return f"{mean:+.{digits}f}" + ("" if math.isnan(low) else f" [{low:+.{digits}f}, {high:+.{digits}f}]")


def _summary(outcome: Mapping[str, Any]) -> list[str]:
    worse = ", ".join(outcome["negative_transfer"]) or ("none" if len(outcome["seeds"]) > 1 else "not known")
    confidence = outcome["delta_m"]["confidence"]
    lines = [
        f"delta_m: {interval(outcome['delta_m'], 2)} % ({outcome['delta_m_convention']}; mean relative gain of the "
        "tasks' primary metrics on the test split).",
        f"Negative transfer (clearly worse): {worse}.",
        f"↑ higher is better, ↓ lower is better. In square brackets: the {confidence:.0%} interval of the mean of the "
        "paired differences, one a seed (Student's t).",
    ]
    if outcome["tasks_left_out"]:
        lines.append(f"Left out, no finished run on both sides: {', '.join(outcome['tasks_left_out'])}.")
    if outcome["seeds_left_out"]:
        seeds = ", ".join(map(str, outcome["seeds_left_out"]))
        lines.append(f"Left out, not every task has a result on both sides: seeds {seeds}.")
    return lines


def natural_width(view: Table, console: Console) -> int:
    """Returns the width of the whole table, in characters."""
    return Measurement.get(console, console.options.update(max_width=10_000), view).maximum


def _table_that_fits(rows: Sequence[Sequence[str]], console: Console, markdown: bool) -> Table:
    """Returns a table with the columns that fit; the first row has the titles."""
    for left_out in _LEFT_OUT:
        titles, *cells = [[cell for number, cell in enumerate(row) if number not in left_out] for row in rows]
        view = _view(markdown, *titles)
        for row in cells:
            view.add_row(*row)
        if markdown or natural_width(view, console) <= console.width:
            break
    return view


def _view(markdown: bool, *columns: str) -> Table:
    view = Table(box=box.MARKDOWN if markdown else box.ROUNDED)
    for number, column in enumerate(columns):
        view.add_column(column, no_wrap=True, justify="left" if number == 0 or column == "verdict" else "right")
    return view


def _metric(task: Mapping[str, Any]) -> str:
    return f"{task['metric']} {'↑' if task['higher_is_better'] else '↓'}"


def _spread(entry: Mapping[str, Any]) -> str:
    mean, std = _number(entry["mean"]), _number(entry["std"])
    return f"{mean:.4f}" + ("" if math.isnan(std) else f" ± {std:.4f}")


def _seeds(outcome: Mapping[str, Any]) -> str:
    count = len(outcome["seeds"])
    return f"{count} seed{'s' * (count > 1)}"


def _number(value: float | None) -> float:
    return math.nan if value is None else value
