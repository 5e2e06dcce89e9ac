"""Conflicts between the gradients of tasks."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np

from experiments.report.wording import figure, share
from experiments.run_results import RunResult
from mtl_keras.reports.curves import Curve, curves_figure
from mtl_keras.reports.heat_map import heat_map
from mtl_keras.reports.page import Html, Section, code, paragraph, side_by_side, table
from mtl_keras.reports.palette import DIVERGING
from mtl_keras.reports.svg import svg

_TITLE, _ANCHOR = "Gradient conflicts", "gradients"
_MOST_PAIRS = 10
_FEW = 16
"""Up to this many tasks, the heat maps are side by side."""


def gradients_section(run: RunResult) -> Section:
    """Returns the cosines between the tasks' gradients and the conflict rate of each pair."""
    if run.gradients is None or not len(run.gradients.cosine) or len(run.gradients.tasks) < 2:
        words = (
            f"Not monitored in this run: {code('--monitor_gradients 50')} measures the gradients in every 50th step."
        )
        return Section(_TITLE, _ANCHOR, paragraph(Html(words)))
    names, epochs = run.gradients.tasks, len(run.gradients.cosine)
    # A task that did not run in an epoch has no gradient in it.
    with np.errstate(invalid="ignore"):
        cosine, conflict = _mean(run.gradients.cosine), _mean(run.gradients.conflict)
    for matrix in (cosine, conflict):
        np.fill_diagonal(matrix, math.nan)  # of a task with itself
    pairs = sorted(combinations(range(len(names)), 2), key=lambda pair: _closeness(conflict[pair], cosine[pair]))
    worst = f"{names[pairs[0][0]]} and {names[pairs[0][1]]} ({share(conflict[pairs[0]])} of the steps)"
    largest = max(0.1, math.ceil(10 * np.nanmax(np.abs(cosine), initial=0)) / 10)
    limits = (-largest, largest)
    alt = f"Tasks by tasks, {len(names)} each. Most often in conflict: {worst}."
    parts = [
        svg(heat_map(cosine, names, names, "mean cosine of the gradients", limits=limits, colours=DIVERGING), alt),
        svg(heat_map(conflict, names, names, "share of the steps in conflict (cosine < 0)"), alt),
    ]
    if run.epochs > 1 and np.isfinite(run.column("conflict_rate")).any():
        rate = list(run.column("conflict_rate"))
        over_time = curves_figure({"share of all pairs in conflict": [Curve("conflict", rate)]})
        parts.append(
            svg(over_time, f"Pairs in conflict: {share(rate[0])} in the first epoch, {share(rate[-1])} in the last.")
        )
    rows = [
        [f"{names[i]} and {names[j]}", share(conflict[i, j]), figure(cosine[i, j], 3)]
        for i, j in pairs[:_MOST_PAIRS]
        if math.isfinite(conflict[i, j])
    ]
    caption = (
        f"The pairs most often in conflict. Measured in every {run.gradients.every}th step, on the variables that "
        f"both tasks share; means over {epochs} epoch{'s' * (epochs > 1)}"
    )
    header = ["pair", "steps in conflict", "mean cosine"]
    drawn = side_by_side(parts) if len(names) <= _FEW else "".join(parts)
    return Section(_TITLE, _ANCHOR, Html(drawn + table(header, rows, caption)))


def _mean(tables: np.ndarray) -> np.ndarray:
    """Returns the mean over the epochs in which a pair was measured."""
    known = np.isfinite(tables)
    return np.where(known, tables, 0).sum(axis=0) / known.sum(axis=0)


def _closeness(conflict: Any, cosine: Any) -> tuple[float, float]:
    """Returns the sort key of a pair: most frequent conflicts first, pairs that were never measured last."""
    return (1.0, 1.0) if math.isnan(conflict) else (-float(conflict), float(cosine))
