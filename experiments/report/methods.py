"""Compares several methods: results, learning curves and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.comparison import MethodComparison
from experiments.report.outcome import TaskSide, sides
from experiments.report.wording import arrow, duration, figure
from experiments.run_results import Method
from mtl_keras.analysis import Cost
from mtl_keras.reports.bars import Bar, grouped_bars
from mtl_keras.reports.curves import Curve, curves_figure, sparkline
from mtl_keras.reports.page import Section, side_by_side, table
from mtl_keras.reports.svg import drawing, svg

_FEW = 8
"""Up to this many tasks, each has its own figure; for more there is a table of small curves."""


def methods_section(comparisons: Sequence[MethodComparison]) -> Section:
    """Returns bars of the primary metrics of all methods, one figure per metric."""
    found = sides(comparisons)
    tasks = list(dict.fromkeys(task for entries in found.values() for task in entries))
    about = {task: entries[task] for entries in found.values() for task in entries}
    figures = []
    for metric in dict.fromkeys(about[task].metric for task in tasks):
        of_metric = [task for task in tasks if about[task].metric == metric]
        bars = {name: [_bar(entries.get(task)) for task in of_metric] for name, entries in found.items()}
        label = f"{metric}{arrow(about[of_metric[0]].higher_is_better)}"
        caption = f"{label} on the test split. Lines: one standard deviation over the seeds in either direction."
        best = ", ".join(f"{name} {figure(_mean(values))}" for name, values in bars.items())
        alt = f"{metric} of each task and method; means over the tasks: {best}."
        figures.append(svg(grouped_bars(of_metric, bars, label), alt, caption))
    return Section("Methods", "methods", side_by_side(figures))


def curves_section(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> Section:
    """Returns the methods' learning curves in validation, task by task."""
    about = {task.task: task for comparison in comparisons for task in comparison.first.tasks}
    seeds = sorted({seed for comparison in comparisons for seed in comparison.seeds})

    def curves(task: str, quantity: str) -> list[Curve]:
        return [Curve(method.name, method.curve(task, quantity, seeds)) for method in methods]

    if len(about) <= _FEW:
        figures = []
        for task, entry in about.items():
            panels = {name: curves(task, f"val_{name}") for name in dict.fromkeys(("loss", entry.metric))}
            drawn = curves_figure({f"{task}: {name}": lines for name, lines in panels.items()})
            reached = f"{entry.metric} at the end: {_ends(panels[entry.metric])}"
            figures.append(svg(drawn, f"{task} in validation, mean over the seeds; {reached}."))
        return Section("Learning curves", "curves", side_by_side(figures))
    rows = []
    for task, entry in about.items():
        lines = curves(task, f"val_{entry.metric}")
        small = drawing(sparkline(lines), f"{entry.metric} of {task} in validation")
        ends = [figure(line.values[-1], 3) if line.values else "-" for line in lines]
        rows.append([task, f"{entry.metric}{arrow(entry.higher_is_better)}", small, *ends])
    header = ["task", "metric", "curves", *(method.name for method in methods)]
    caption = (
        "The primary metric in validation, mean over the seeds; the numbers are those of the last epoch. Solid: "
        f"{methods[0].name}; dashed, dotted and so on: the others, in the order of the columns."
    )
    return Section("Learning curves", "curves", table(header, rows, caption))


def cost_section(comparisons: Sequence[MethodComparison]) -> Section:
    """Returns the cost of each method: weights, time per step, time of training."""
    method = comparisons[0].method
    rows: list[list[str]] = [[method, *_cost(comparisons[0].cost.method), "", "", ""]]
    for comparison in comparisons:
        ratios = [figure(comparison.cost.ratio[key], 2) for key in ("parameters", "seconds_per_step", "seconds")]
        rows.append([comparison.baseline, *_cost(comparison.cost.baseline), *ratios])
    names = ["weights", "a step", "training"]
    caption = (
        f"Means over the seeds; single-task networks are summed. The last three columns: the cost of {method} as a "
        "multiple of the row's. Training excludes validation and checkpoints, and includes other load on the machine."
    )
    header = ["method", *names, *(f"{name}, ratio" for name in names)]
    return Section("Cost", "cost", table(header, rows, caption))


def _bar(side: TaskSide | None) -> Bar:
    if side is None:
        return Bar(math.nan)
    mean, std = side.spread.mean, side.spread.std
    return Bar(mean, mean - std, mean + std)


def _mean(bars: Sequence[Bar]) -> float:
    values = [bar.value for bar in bars if math.isfinite(bar.value)]
    return sum(values) / len(values) if values else math.nan


def _ends(lines: Sequence[Curve]) -> str:
    return ", ".join(f"{line.name} {figure(line.values[-1])}" for line in lines if line.values)


def _cost(cost: Cost) -> list[str]:
    weights = f"{cost.parameters:,.0f}" if math.isfinite(cost.parameters) else "-"
    return [weights, duration(cost.seconds_per_step), duration(cost.seconds)]
