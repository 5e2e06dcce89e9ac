"""What tasks share in a network with soft sharing: experts, stitches, attention and branches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.report.training import MAX_FIGURES
from experiments.run_results import RunResult
from mtl_keras.callbacks.sharing_summary import BranchSummary, GateSummary, SharingSummary, StitchSummary, Table
from mtl_keras.reports.curves import curves_figure
from mtl_keras.reports.filters import decimal, listed, percent
from mtl_keras.reports.heat_map import heat_map_figure
from mtl_keras.reports.style import DIVERGING
from mtl_keras.reports.svg import svg

_MAX_PANELS = 3
_DECIDED = 0.6  # least probability of a choice


def sharing(run: RunResult) -> dict[str, Any] | None:
    """Returns the figures of the best epoch, and the gates' entropies over the epochs; `None` without soft sharing.

    They are those of the last measured epoch if the best one was not measured.
    """
    if not run.sharing:
        return None
    best = run.best_epoch
    epoch = best if best is not None and best in run.sharing else max(run.sharing)
    last = run.sharing[epoch]
    if not last:
        return None
    return {
        "epoch": epoch + 1,
        "best": epoch == best,
        "undecided": [branch.owner for branch in last.branches if branch.probability < _DECIDED],
        "examples": last.examples,
        "unused": last.unused_experts,
        "partial": len({gate.experts for gate in last.gates}) > 1,
        "levels": _levels(last),
        "entropy": _entropy(run, last.gates) if last.gates else None,
        "stitches": [_stitch(stitch) for stitch in last.stitches],
        "attention": _attention(last) if last.attention else None,
        "tree": _tree(last.paths or {}),
        "choices": [_choice(branch) for branch in last.branches],
    }


def _levels(last: SharingSummary) -> list[dict[str, Any]]:
    """Returns the mean weights of the experts, and the shares of the examples by top expert, for each level."""
    levels = []
    top = last.gate_tables("top")
    for level, weights in last.gate_tables("weights").items():
        heaviest = (
            f"{row}: {weights.columns[int(np.nanargmax(values))]} ({percent(np.nanmax(values))})"
            for row, values in zip(weights.rows, weights.values)
            if np.isfinite(values).any()
        )
        figure = heat_map_figure(
            weights.values, weights.rows, weights.columns, f"mean weight of the experts{_suffix(level, last.gates)}"
        )
        levels.append(
            {
                "level": level,
                "drawing": svg(
                    figure, f"Gates by experts. The largest weight of each gate: {listed(list(heaviest), 50)}."
                ),
                "experts": weights.columns,
                "weights": _rows(weights),
                "top": _rows(top[level]),
            }
        )
    return levels


def _entropy(run: RunResult, gates: Sequence[GateSummary]) -> dict[str, Any]:
    """Returns the entropy of each gate over the epochs, as a share of that of equal weights."""
    measured = [
        {gate.layer: gate for gate in run.sharing[e].gates} if e in run.sharing else {} for e in range(run.epochs)
    ]
    names = [f"{gate.owner}{_suffix(gate.level, gates)}" for gate in gates]
    values = np.array(
        [[each[gate.layer].entropy_share if gate.layer in each else math.nan for each in measured] for gate in gates]
    )
    panels: dict[str, dict[str, list[float]]] = {}
    for gate, row in zip(gates, values):
        panels.setdefault(f"entropy{_suffix(gate.level, gates)}", {})[gate.owner] = row.tolist()
    if max(map(len, panels.values())) <= MAX_FIGURES and len(panels) <= _MAX_PANELS:
        figure = curves_figure(panels)
    else:
        figure = heat_map_figure(values, names, None, "entropy of the gates")
    known = [row[np.isfinite(row)] for row in values]
    rows = [
        [name, *((decimal(row[0], 3), decimal(row[-1], 3)) if len(row) else ("-", "-")), decimal(gate.entropy, 3)]
        for name, row, gate in zip(names, known, gates)
    ]
    ends = [f"{name} {first} to {last}" for name, first, last, _ in rows]
    return {"drawing": svg(figure, f"From the first epoch to the last: {listed(ends, 50)}."), "rows": rows}


def _stitch(stitch: StitchSummary) -> dict[str, Any]:
    """Returns a mixing matrix, drawn with 0 in the middle of the scale, or from 0 to 1 if all of it is there."""
    table = stitch.table()
    shares = stitch.kind == "NDDR"
    title = f"{stitch.kind}, level {stitch.level}"
    if shares:
        figure = heat_map_figure(table.values, table.rows, table.columns, title)
    else:
        largest = max(0.1, math.ceil(10 * np.nanmax(np.abs(table.values), initial=0)) / 10)
        figure = heat_map_figure(
            table.values, table.rows, table.columns, title, limits=(-largest, largest), colours=DIVERGING
        )
    strongest = []
    for row, values in zip(table.rows, table.values):
        others = [place for place, column in enumerate(table.columns) if column != row]
        if others:
            place = max(others, key=lambda i: abs(values[i]))
            strongest.append(f"{row} from {table.columns[place]} ({decimal(values[place], 3)})")
    alt = f"{title}: rows are mixed from columns. The largest weight of another: {listed(strongest, 50)}."
    return {
        "title": title,
        "drawing": svg(figure, alt),
        "columns": table.columns,
        "rows": _rows(table),
        "what": "share of the absolute weights" if shares else "weight",
    }


def _attention(last: SharingSummary) -> dict[str, Any]:
    table = last.attention_table()
    figure = heat_map_figure(table.values, table.rows, table.columns, "mean of the attention mask")
    low, high = (f"{percent(float(each))}" for each in (np.nanmin(table.values), np.nanmax(table.values)))
    return {
        "drawing": svg(figure, f"Tasks by levels. The mean mask is between {low} and {high}."),
        "columns": table.columns,
        "rows": _rows(table),
    }


def _choice(branch: BranchSummary) -> list[str]:
    return [branch.owner, branch.chosen, percent(branch.probability), str(len(branch.parents))]


def _tree(paths: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Returns the tree of the chosen nodes: `{"name": ..., "tasks": those whose head reads the node, "below": ...}`."""
    names = list(dict.fromkeys(path[0] for path in paths.values() if path))
    nodes = []
    for name in names:
        inside = {task: path[1:] for task, path in paths.items() if path[:1] == (name,)}
        nodes.append(
            {"name": name, "tasks": [task for task, path in inside.items() if not path], "below": _tree(inside)}
        )
    return nodes


def _rows(table: Table) -> list[list[str]]:
    return [[name, *(decimal(value, 3) for value in values)] for name, values in zip(table.rows, table.values)]


def _suffix(level: int, gates: Sequence[GateSummary]) -> str:
    """Returns `", level 2"` if there are several levels."""
    return f", level {level}" if len({gate.level for gate in gates}) > 1 else ""
