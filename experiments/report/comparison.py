"""A method against its baselines: which tasks gained, which suffered, by how much and at what cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.method_comparison import ALL, Measure, MethodComparison
from experiments.method_table import MethodTable
from experiments.run_results import Method
from mtl_keras.analysis import INTERVALS, POSITIVE_IS_BETTER, Comparison, Cost
from mtl_keras.analysis.comparison import BETTER, UNCLEAR, UNKNOWN, WORSE, Spread, TaskComparison
from mtl_keras.reports.bars import gain_bars, grouped_bars
from mtl_keras.reports.curves import curves_figure, sparkline
from mtl_keras.reports.filters import arrow, count, decimal, duration, listed
from mtl_keras.reports.svg import Drawing, svg

_SPLITS = {"test": "test split", "train": "training split"}
_SIGNS = {BETTER: "▲ better", WORSE: "▼ worse", UNCLEAR: "● no clear difference", UNKNOWN: "● not known"}
_HEADINGS = {
    BETTER: "Gained",
    WORSE: "Suffered (negative transfer)",
    UNCLEAR: "Undecided (the interval contains 0)",
    UNKNOWN: "Not known (one seed, or a result that is not finite)",
}
_MAX_FIGURES = 8
"""Up to this many tasks, each has its own figure; for more there is a table of small curves."""
_MAX_COLUMNS = 12
"""With more metrics than this, the gains and ranks of all methods have a table of their own."""


def against_baseline(comparison: MethodComparison) -> dict[str, Any]:
    """Returns the tasks that gained, suffered or are undecided, the gains, and the numbers of each task."""
    first, every = comparison.first, comparison.all_metrics
    tasks, by_verdict = first.tasks, first.by_verdict()
    alt = (
        f"Gain of each of {count(len(tasks), 'task')}: clearly better {listed(by_verdict[BETTER])}; clearly worse "
        f"{listed(by_verdict[WORSE])}."
    )
    if len(comparison.seeds) < 2:
        alt += " One seed: no intervals."
    bars = gain_bars(
        comparison.tasks,
        np.transpose(list(map(_gain, tasks))),
        [task.verdict for task in tasks],
        "gain in % of the baseline",
    )
    left_out = {"tasks": comparison.tasks_left_out, "seeds": comparison.seeds_left_out}
    return {
        "method": comparison.method,
        "baseline": comparison.baseline,
        "seeds": comparison.seeds,
        "groups": {
            heading: listed(by_verdict[verdict])
            for verdict, heading in _HEADINGS.items()
            if by_verdict[verdict] or verdict in (BETTER, WORSE)
        },
        "overall": _overall_verdict(first),
        "gains": first.gains("mean relative gain of the tasks' primary metrics"),
        "all_gains": every.gains("all metrics of each task") if every is not first else "",
        "after_holm": _after_holm(first),
        "tasks": len(tasks),
        "confidence": comparison.delta_m.confidence,
        "intervals": INTERVALS[first.intervals],
        "drawing": svg(bars, f"{comparison.method} against {comparison.baseline}. {alt}"),
        "tables": [_table(measure, found.tasks) for measure, found in comparison.measures.items()],
        "left_out": "; ".join(f"{what} {', '.join(map(str, names))}" for what, names in left_out.items() if names),
    }


def _table(measure: Measure, tasks: Sequence[TaskComparison]) -> dict[str, Any]:
    rows = []
    for task in tasks:
        numbers = (str(task.method), str(task.baseline), str(task.difference))
        tests = (_SIGNS[task.verdict], decimal(task.p_value), decimal(task.holm_p_value), _SIGNS[task.holm_verdict])
        rows.append([task.task, *numbers, *tests, f"{task.metric}{arrow(task.higher_is_better)}"])
    what = {"loss": "Loss", ALL: "All metrics"}.get(measure.metric, "Primary metric")
    return {"what": f"{what} on the {_SPLITS[measure.split]}", "rows": rows}


def _after_holm(comparison: Comparison) -> str:
    """Returns which tasks remain better and worse after Holm's correction; empty for fewer than two tests."""
    if not comparison.holm_note():
        return ""
    remaining = comparison.by_verdict(after_holm=True)
    return f"better: {listed(remaining[BETTER])}; worse: {listed(remaining[WORSE])}"


def all_methods(table: MethodTable | None) -> dict[str, Any]:
    """Returns the table of all methods; with many metrics, first one of the gains and ranks alone."""
    if table is None:
        return {}
    header, *rows = table.rows()
    short, *short_rows = table.rows(with_metrics=False)
    is_wide = len(table.metrics) > _MAX_COLUMNS
    return {
        "about": f"gains in % of {table.reference} ({table.convention}) and the mean rank",
        "notes": table.notes,
        "short": (short, short_rows) if is_wide else None,
        "full": (header, rows),
        "metrics": count(len(table.metrics), "metric"),
    }


def _gain(task: TaskComparison) -> tuple[float, float, float]:
    """Returns the difference and its interval in percent of the baseline, signed so that positive is better."""
    if not task.baseline.mean > 0:
        return math.nan, math.nan, math.nan
    scale = 100 / task.baseline.mean * (1 if task.higher_is_better else -1)
    mean, low, high = (scale * value for value in (task.difference.mean, task.difference.low, task.difference.high))
    if not math.isfinite(mean):
        # One seed gives a difference without an interval.
        mean = scale * (task.method.mean - task.baseline.mean)
    return mean, min(low, high), max(low, high)


def _overall_verdict(comparison: Comparison) -> str:
    delta_m = comparison.delta_m
    if not math.isfinite(delta_m.low):
        return "unknown (no interval)"
    if not delta_m.excludes_zero:
        return "no clear difference"
    return "better" if (delta_m.mean > 0) == (comparison.convention == POSITIVE_IS_BETTER) else "worse"


def metric_bars(comparisons: Sequence[MethodComparison]) -> list[Drawing]:
    """Returns bars of the primary metrics of all methods on the test split, one figure per metric."""
    sides: dict[str, dict[str, Spread]] = {}
    for comparison in comparisons:
        for task in comparison.first.tasks:
            sides.setdefault(comparison.method, {}).setdefault(task.task, task.method)
            sides.setdefault(comparison.baseline, {}).setdefault(task.task, task.baseline)
    all_tasks, unknown = _tasks(comparisons), Spread(math.nan, math.nan)
    drawings = []
    for metric in dict.fromkeys(task.metric for task in all_tasks.values()):
        tasks = [name for name, task in all_tasks.items() if task.metric == metric]
        bars = {
            name: np.transpose([(spread.mean, spread.std) for spread in (spreads.get(task, unknown) for task in tasks)])
            for name, spreads in sides.items()
        }
        known = {name: means[np.isfinite(means)] for name, (means, _) in bars.items()}
        words = ", ".join(f"{name} {decimal(means.mean() if len(means) else None)}" for name, means in known.items())
        figure = grouped_bars(tasks, bars, f"{metric}{arrow(all_tasks[tasks[0]].higher_is_better)}")
        drawings.append(svg(figure, f"{metric} of each task and method on the test split; means over tasks: {words}."))
    return drawings


def seed_rows(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> tuple[list[int], list[list[str]]]:
    """Returns the seeds, and a row for each task and method with its primary metric on the test split by seed."""
    seeds = _seeds(comparisons)
    rows = []
    for name, task in _tasks(comparisons).items():
        for method in methods:
            values = method.by_seed(name, task.metric, comparisons[0].judge_at, "test")
            rows.append([name, method.name, *(decimal(values.get(seed)) for seed in seeds)])
    return seeds, rows


def validation_curves(methods: Sequence[Method], comparisons: Sequence[MethodComparison]) -> dict[str, Any]:
    """Returns the methods' learning curves in validation, task by task."""
    tasks, seeds = _tasks(comparisons), _seeds(comparisons)
    drawings, rows = [], []
    for name, task in tasks.items():
        panels = {
            quantity: {method.name: method.curve(name, f"val_{quantity}", seeds) for method in methods}
            for quantity in dict.fromkeys(("loss", task.metric))
        }
        lines = panels[task.metric]
        if len(tasks) <= _MAX_FIGURES:
            ends = ", ".join(f"{method} {decimal(values[-1])}" for method, values in lines.items() if values)
            figure = curves_figure({f"{name}: {quantity}": panel for quantity, panel in panels.items()})
            alt = f"{name} in validation, mean over the seeds; {task.metric} at the end: {ends}."
            drawings.append(svg(figure, alt))
        else:
            small = svg(sparkline(lines), f"{task.metric} of {name} in validation")
            numbers = [decimal(values[-1], 3) if values else "-" for values in lines.values()]
            rows.append([name, f"{task.metric}{arrow(task.higher_is_better)}", small, *numbers])
    return {"drawings": drawings, "rows": rows}


def cost_rows(comparisons: Sequence[MethodComparison]) -> list[list[str]]:
    """Returns a row for each method: weights, time per step and of training, and the method's cost relative to it."""
    rows = [[comparisons[0].method, *_cost(comparisons[0].cost.method), "", "", ""]]
    for comparison in comparisons:
        ratios = (comparison.cost.ratio[key] for key in ("parameters", "seconds_per_step", "seconds"))
        rows.append([comparison.baseline, *_cost(comparison.cost.baseline), *(decimal(one, 2) for one in ratios)])
    return rows


def _cost(cost: Cost) -> list[str]:
    return [f"{cost.parameters:,}", duration(cost.seconds_per_step), duration(cost.seconds)]


def _tasks(comparisons: Sequence[MethodComparison]) -> dict[str, TaskComparison]:
    return {task.task: task for comparison in comparisons for task in comparison.first.tasks}


def _seeds(comparisons: Sequence[MethodComparison]) -> list[int]:
    return sorted({seed for comparison in comparisons for seed in comparison.seeds})
