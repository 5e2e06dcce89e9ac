"""Training, epoch by epoch: learning curves, active tasks, task weights and gradient conflicts."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np

from experiments.run_results import RunResult
from mtl_keras.reports.curves import curves_figure, sparkline
from mtl_keras.reports.filters import arrow, count, decimal, listed, percent
from mtl_keras.reports.heat_map import heat_map_figure
from mtl_keras.reports.style import DIVERGING
from mtl_keras.reports.svg import svg

MAX_FIGURES = 8
"""Up to this many tasks, each has its own figure; for more there is a table of small curves."""
_MAX_PAIRS = 10


def curves(run: RunResult) -> dict[str, Any]:
    """Returns the losses (unweighted) and primary metrics of all tasks in training and validation."""
    drawings, rows = [], []
    for task in run.tasks if run.epochs else ():
        panels = {
            name: {"training": run.column(f"{task}_{name}"), "validation": run.column(f"val_{task}_{name}")}
            for name in ("loss", run.primary(task) or "loss")
        }
        ends = {name: (lines["training"][-1], lines["validation"][-1]) for name, lines in panels.items()}
        if len(run.tasks) <= MAX_FIGURES:
            figure = curves_figure({f"{task}: {name}": lines for name, lines in panels.items()}, run.best_epoch)
            words = "; ".join(
                f"{name} at the end {decimal(training)} in training, {decimal(validation)} in validation"
                for name, (training, validation) in ends.items()
            )
            drawings.append(svg(figure, f"{task} over {count(run.epochs, 'epoch')}: {words}."))
            continue
        row: list[object] = [task]
        for name, lines in panels.items():
            small = svg(sparkline(lines, run.best_epoch), f"{name} of {task} over {count(run.epochs, 'epoch')}")
            row += [small, *(decimal(end, 3) for end in ends[name])]
        row.insert(4, f"{run.primary(task)}{arrow(run.higher_is_better(task))}")
        rows.append(row)
    return {"drawings": drawings, "rows": rows}


def schedule(run: RunResult) -> dict[str, Any]:
    """Returns the schedule's effect: the tasks' probabilities and the shares of steps in which they ran."""
    active, probability = run.by_task("active"), run.by_task("probability")
    if not run.epochs or np.all(active == 1):
        return {"summary": "Every task ran in every step", "drawings": [], "rows": []}
    least, most = _extremes(active, run)
    drawings = []
    for values, title, words in (
        (probability, "probability of running", "The schedule's probabilities. "),
        (active, "share of the steps in which the task ran", ""),
    ):
        if np.isfinite(values).any():
            low, high = _extremes(values, run)
            alt = f"{words}Tasks as rows, epochs as columns. Lowest on average: {low}; highest: {high}."
            drawings.append(svg(heat_map_figure(values, run.tasks, None, title), alt))
    rows = [
        [task, *map(percent, (_mean(probability[i]), _mean(active[i]), np.nanmin(active[i]), active[i][-1]))]
        for i, task in enumerate(run.tasks)
    ]
    summary = f"On average, a task ran in {percent(np.nanmean(active))} of the steps: least {least}, most {most}"
    return {"summary": summary, "drawings": drawings, "rows": rows}


def weights(run: RunResult) -> dict[str, Any]:
    """Returns the task weights over time, in the steps in which the tasks ran; in words if they are constant."""
    if not run.epochs:
        return {"constant": None, "drawing": None}
    active = run.by_task("active")
    # The logs have the mean over all steps, with weight 0 in the steps where the task was dropped.
    values = np.divide(run.by_task("weight"), active, out=np.full_like(active, np.nan), where=active > 0)
    first, last = (np.array([_known(row)[end] for row in values]) for end in (0, -1))
    if np.allclose(np.where(np.isnan(values), first[:, None], values), first[:, None], rtol=1e-4, equal_nan=True):
        same: dict[str, list[str]] = {}
        for task, weight in zip(run.tasks, first):
            same.setdefault(f"{weight:g}" if np.isfinite(weight) else "none (it never ran)", []).append(task)
        return {"constant": "; ".join(f"{weight} for {listed(names)}" for weight, names in same.items())}
    if len(run.tasks) <= MAX_FIGURES:
        figure = curves_figure({"weight": {task: row.tolist() for task, row in zip(run.tasks, values)}})
    else:
        multiples = values / first[:, None]
        limits = (0.0, float(np.nanmax(multiples)))
        figure = heat_map_figure(multiples, run.tasks, None, "weight, as a multiple of the first", limits=limits)
    changes = [f"{task} {decimal(old, 3)} to {decimal(new, 3)}" for task, old, new in zip(run.tasks, first, last)]
    return {
        "constant": None,
        "drawing": svg(figure, f"Weights from the first epoch to the last: {listed(changes, 50)}."),
        "rows": [[task, decimal(old), decimal(new)] for task, old, new in zip(run.tasks, first, last)],
    }


def gradients(run: RunResult) -> dict[str, Any] | None:
    """Returns the cosines between the tasks' gradients and the conflict rate of each pair; `None` if not monitored."""
    if run.gradients is None or not len(run.gradients.cosine) or len(run.gradients.tasks) < 2:
        return None
    names = run.gradients.tasks
    # A task that did not run in an epoch has no gradient in it.
    with np.errstate(invalid="ignore"):
        cosine, conflict = map(_mean_over_epochs, (run.gradients.cosine, run.gradients.conflict))
    for matrix in (cosine, conflict):
        np.fill_diagonal(matrix, math.nan)  # of a task with itself
    # The most frequent conflicts first, pairs that were never measured last.
    pairs = sorted(
        combinations(range(len(names)), 2),
        key=lambda pair: (math.isnan(conflict[pair]), -conflict[pair], cosine[pair]),
    )
    worst = f"{names[pairs[0][0]]} and {names[pairs[0][1]]} ({percent(conflict[pairs[0]])} of the steps)"
    largest = max(0.1, math.ceil(10 * np.nanmax(np.abs(cosine), initial=0)) / 10)
    size = f"Tasks by tasks, {len(names)} each."
    title, limits = "mean cosine of the gradients", (-largest, largest)
    drawings = [
        svg(heat_map_figure(cosine, names, names, title, limits=limits, colours=DIVERGING), f"{size} Mean cosine."),
        svg(
            heat_map_figure(conflict, names, names, "share of the steps in conflict (cosine < 0)"),
            f"{size} Most often in conflict: {worst}.",
        ),
    ]
    rate = list(run.column("conflict_rate"))
    if run.epochs > 1 and np.isfinite(rate).any():
        alt = f"Pairs in conflict: {percent(rate[0])} in the first epoch, {percent(rate[-1])} in the last."
        drawings.append(svg(curves_figure({"share of all pairs in conflict": {"conflict": rate}}), alt))
    return {
        "tasks": len(names),
        "epochs": len(run.gradients.cosine),
        "every": run.gradients.every,
        "drawings": drawings,
        "rows": [
            [f"{names[i]} and {names[j]}", percent(conflict[i, j]), decimal(cosine[i, j], 3)]
            for i, j in pairs[:_MAX_PAIRS]
            if math.isfinite(conflict[i, j])
        ],
    }


def _mean_over_epochs(tables: np.ndarray) -> np.ndarray:
    """Returns the mean over the epochs in which a pair was measured."""
    known = np.isfinite(tables)
    return np.where(known, tables, 0).sum(axis=0) / known.sum(axis=0)


def _known(row: np.ndarray) -> np.ndarray:
    return row[np.isfinite(row)] if np.isfinite(row).any() else row


def _extremes(values: np.ndarray, run: RunResult) -> tuple[str, str]:
    """Returns the tasks with the lowest and the highest mean, and these."""
    means = [_mean(row) for row in values]
    order = np.argsort(means, kind="stable")
    least, most = (f"{run.tasks[i]} ({percent(means[i])})" for i in (order[0], order[-1]))
    return least, most


def _mean(row: np.ndarray) -> float:
    return float(np.nanmean(row)) if np.isfinite(row).any() else math.nan
