"""Training, epoch by epoch: learning curves, active tasks and task weights."""

from __future__ import annotations

import numpy as np

from experiments.report.wording import arrow, figure, listed, share
from experiments.run_results import RunResult
from mtl_keras.reports.curves import Curve, curves_figure, sparkline
from mtl_keras.reports.heat_map import heat_map
from mtl_keras.reports.page import Html, Section, details, paragraph, side_by_side, table
from mtl_keras.reports.svg import drawing, svg

_FEW = 8
"""Up to this many tasks, each has its own figure; for more there is a table of small curves."""
_WEIGHTS = "Task weights"
_NOTHING_YET = "No epoch is finished yet."


def curves_section(run: RunResult) -> Section:
    """Returns the losses (unweighted) and primary metrics of all tasks in training and validation."""
    if not run.epochs:
        body = paragraph(_NOTHING_YET)
    elif len(run.tasks) <= _FEW:
        body = side_by_side(_curves_of(run, task) for task in run.tasks)
    else:
        body = _small_curves(run)
    return Section("Learning curves", "curves", body)


def _panels(run: RunResult, task: str) -> dict[str, list[Curve]]:
    names = list(dict.fromkeys(["loss", run.primary(task) or "loss"]))
    return {
        name: [
            Curve("training", run.column(f"{task}_{name}")),
            Curve("validation", run.column(f"val_{task}_{name}")),
        ]
        for name in names
    }


def _curves_of(run: RunResult, task: str) -> Html:
    panels = {f"{task}: {name}": curves for name, curves in _panels(run, task).items()}
    ends = "; ".join(
        f"{name} at the end {figure(curves[0].values[-1])} in training, {figure(curves[1].values[-1])} in validation"
        for name, curves in _panels(run, task).items()
    )
    return svg(curves_figure(panels, run.best_epoch), f"{task} over {run.epochs} epochs: {ends}.")


def _small_curves(run: RunResult) -> Html:
    rows = []
    for task in run.tasks:
        row: list[object] = [task]
        panels = _panels(run, task)
        for name in ("loss", run.primary(task) or "loss"):
            curves = panels[name]
            alt = f"{name} of {task} over {run.epochs} epochs"
            row.append(drawing(sparkline(curves, run.best_epoch), alt))
            row.extend([figure(curves[0].values[-1], 3), figure(curves[1].values[-1], 3)])
        row.insert(4, f"{run.primary(task)}{arrow(run.higher_is_better(task))}")
        rows.append(row)
    header = ["task", "loss", "training", "validation", "primary metric", "its curve", "training", "validation"]
    return table(
        header,
        rows,
        "Solid: training; dashed: validation; dotted: the best epoch. Each curve has its own scale; the numbers are "
        "those of the last epoch. Losses are unweighted.",
    )


def schedule_section(run: RunResult) -> Section:
    """Returns the schedule's effect: the tasks' probabilities and the shares of steps in which they ran."""
    active, probability = run.table("active"), run.table("probability")
    if not run.epochs:
        return Section("Schedule", "schedule", paragraph(_NOTHING_YET))
    if np.all(active == 1):
        words = "Every task ran in every step."
        return Section("Schedule", "schedule", paragraph(words))
    parts = [svg(heat_map(active, run.tasks, None, "share of the steps in which the task ran"), _heat_alt(active, run))]
    if np.isfinite(probability).any():
        map_ = heat_map(probability, run.tasks, None, "probability of running")
        parts.insert(0, svg(map_, f"The schedule's probabilities. {_heat_alt(probability, run)}"))
    rows = [
        [task, share(_mean(probability[i])), share(_mean(active[i])), share(np.nanmin(active[i])), share(active[i][-1])]
        for i, task in enumerate(run.tasks)
    ]
    header = ["task", "mean probability", "mean share of steps", "minimum of an epoch", "in the last epoch"]
    numbers = table(header, rows, f"Effect of the schedule {run.config.get('schedule')}")
    shown = numbers if len(run.tasks) <= _FEW else details("The numbers of each task", numbers)
    return Section("Schedule", "schedule", Html(side_by_side(parts) + shown))


def weights_section(run: RunResult) -> Section:
    """Returns the task weights over time, in the steps in which the tasks ran."""
    if not run.epochs:
        return Section(_WEIGHTS, "weights", paragraph(_NOTHING_YET))
    active = run.table("active")
    # The logs have the mean over all steps, with weight 0 in the steps where the task was dropped.
    weights = np.divide(run.table("weight"), active, out=np.full_like(active, np.nan), where=active > 0)
    first, last = (np.array([_known(row)[end] for row in weights]) for end in (0, -1))
    if np.allclose(np.where(np.isnan(weights), first[:, None], weights), first[:, None], rtol=1e-4, equal_nan=True):
        same: dict[str, list[str]] = {}
        for task, weight in zip(run.tasks, first):
            same.setdefault(f"{weight:g}" if np.isfinite(weight) else "none (it never ran)", []).append(task)
        words = "; ".join(f"{weight} for {listed(names)}" for weight, names in same.items())
        words = f"Constant in the steps in which a task ran: {words}."
        return Section(_WEIGHTS, "weights", paragraph(words))
    caption = "Each task's weight in the loss: the mean over the steps of an epoch in which it ran."
    if len(run.tasks) <= _FEW:
        drawn = curves_figure({"weight": [Curve(task, row.tolist()) for task, row in zip(run.tasks, weights)]})
    else:
        caption += " The map shows it as a multiple of the weight in the first epoch."
        multiples = weights / first[:, None]
        top = float(np.nanmax(multiples))
        drawn = heat_map(multiples, run.tasks, None, "weight, as a multiple of the first", limits=(0.0, top))
    changes = [f"{task} {figure(old, 3)} to {figure(new, 3)}" for task, old, new in zip(run.tasks, first, last)]
    alt = f"Weights from the first epoch to the last: {listed(changes, 50)}."
    rows = [[task, figure(old, 4), figure(new, 4)] for task, old, new in zip(run.tasks, first, last)]
    numbers = table(["task", "first epoch", "last epoch"], rows, "Weights")
    shown = numbers if len(run.tasks) <= _FEW else details("The weights of each task", numbers)
    return Section(_WEIGHTS, "weights", Html(svg(drawn, alt, caption) + shown))


def _known(row: np.ndarray) -> np.ndarray:
    return row[np.isfinite(row)] if np.isfinite(row).any() else row


def _heat_alt(values: np.ndarray, run: RunResult) -> str:
    means = [_mean(row) for row in values]
    order = np.argsort(means)
    least, most = (f"{run.tasks[i]} ({share(means[i])})" for i in (order[0], order[-1]))
    return f"Tasks as rows, epochs as columns. Lowest on average: {least}; highest: {most}."


def _mean(row: np.ndarray) -> float:
    return float(np.nanmean(row)) if np.isfinite(row).any() else float("nan")
