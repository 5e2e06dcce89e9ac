"""How a training step on each task affects the others: heat map, table, and whether the evidence is sufficient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.report.training import MAX_FIGURES
from experiments.run_results import RunResult
from mtl_keras.analysis import Affinity
from mtl_keras.reports.filters import count, decimal, listed
from mtl_keras.reports.heat_map import heat_map_figure
from mtl_keras.reports.style import DIVERGING
from mtl_keras.reports.svg import svg

_FEW = 10  # measurements of a pair
_MAX_PAIRS = 20


def affinity(run: RunResult) -> dict[str, Any] | None:
    """Returns the mean affinities of a run with their standard errors; `None` if none was measured."""
    if run.affinity is None or not run.affinity.run.count.any():
        return None
    found = run.affinity.run
    shown = np.where(np.eye(len(found.tasks), dtype=bool), math.nan, found.mean)  # without tasks on themselves
    largest = float(np.nanmax(np.abs(shown), initial=0))
    factor = 10 ** max(0, math.ceil(-math.log10(largest))) if largest else 1
    limit = math.ceil(factor * largest) or 1
    title = f"affinity, in units of {1 / factor:g}" if factor > 1 else "affinity"
    figure = heat_map_figure(factor * shown, found.tasks, found.tasks, title, limits=(-limit, limit), colours=DIVERGING)
    alt = f"Sources by tasks. Clearly above 0: {_named(found, 1)}. Clearly below 0: {_named(found, -1)}."
    matrix = len(found.tasks) <= MAX_FIGURES
    counts = found.count[_pairs(found)]
    return {
        "every": run.affinity.every,
        "sources": run.affinity.sources,
        "epochs": len(run.affinity.epochs),
        "measured": f"{counts.min()} to {counts.max()} times" if len(set(counts)) > 1 else f"{counts.max()} times",
        "warnings": list(_warnings(found)),
        "drawing": svg(figure, alt),
        "header": ["source", *(f"on {task}" for task in found.tasks)]
        if matrix
        else ["source", "on", "affinity", "measurements"],
        "rows": _matrix(found) if matrix else _clearest(found),
        "title": "Affinities ± standard error" + ("" if matrix else f"; the {_MAX_PAIRS} pairs farthest from 0"),
    }


def _pairs(found: Affinity) -> np.ndarray:
    """Returns `(tasks, tasks)` booleans that are true for pairs of two tasks that were measured."""
    return (found.count > 0) & ~np.eye(len(found.tasks), dtype=bool)


def _named(found: Affinity, sign: int) -> str:
    places = np.argwhere(found.clear() & (sign * found.mean > 0))
    return listed([f"{found.tasks[source]} on {found.tasks[task]}" for source, task in places])


def _warnings(found: Affinity) -> Iterator[tuple[str, str]]:
    pairs, clear = int(_pairs(found).sum()), int(found.clear().sum())
    least = int(found.count[_pairs(found)].min(initial=found.count.max()))
    if least < _FEW:
        yield (
            "Few measurements",
            f"Some pairs were measured only {count(least, 'time')}: measure more steps.",
        )
    if pairs and clear <= pairs / 2:
        yield (
            "Thin evidence",
            f"Only {clear} of {count(pairs, 'pair')} {'is' if clear == 1 else 'are'} clearly not 0 (t tests, Holm's "
            "correction for all pairs): this says little about which tasks belong together.",
        )


def _cell(found: Affinity, source: int, task: int) -> str:
    mean, error = float(found.mean[source, task]), float(found.error[source, task])
    return decimal(mean, 4, sign=True) + (f" ± {decimal(error)}" if math.isfinite(error) else "")


def _matrix(found: Affinity) -> list[list[str]]:
    places = range(len(found.tasks))
    return [[found.tasks[source], *(_cell(found, source, task) for task in places)] for source in places]


def _clearest(found: Affinity) -> list[list[str]]:
    """Returns the pairs that are the most standard errors from 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(_pairs(found), np.nan_to_num(np.abs(found.mean) / found.error, posinf=0.0), -1.0)
    order = np.argsort(-distance, axis=None, kind="stable")[: min(_MAX_PAIRS, int(_pairs(found).sum()))]
    places = [divmod(int(place), len(found.tasks)) for place in order]
    return [[found.tasks[i], found.tasks[j], _cell(found, i, j), str(found.count[i, j])] for i, j in places]
