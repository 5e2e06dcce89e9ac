"""What was measured epoch by epoch, as lines: learning curves and task weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtl_keras.reports.canvas import PHONE, TEXT, canvas, count_epochs
from mtl_keras.reports.palette import GREY, style

_MOST_MARKERS = 12


@dataclass(frozen=True)
class Curve:
    """A line.

    Args:
        name: what it is called in the legend.
        values: `(epochs,)`; NaN where nothing is known.
    """

    name: str
    values: Sequence[float]


def curves_figure(panels: Mapping[str, Sequence[Curve]], best: int | None = None) -> Figure:
    """Returns one panel a quantity beside each other, with the same legend for all.

    Args:
        panels: title -> its lines; a name has the same style in all panels.
        best: an epoch, counted from 0, to be marked.

    Raises:
        ValueError: if there are no panels.
    """
    if not panels:
        raise ValueError("There is nothing to draw: `panels` must have at least one entry. Received: none")
    names = list(dict.fromkeys(curve.name for curves in panels.values() for curve in curves))
    figure, axes = canvas(PHONE if len(panels) > 1 else 0.75 * PHONE, 2.5, len(panels))
    for each, (title, curves) in zip(axes, panels.items()):
        each.set_title(title, fontsize=TEXT, loc="left")
        for curve in curves:
            look = _look(curve, names.index(curve.name), markers=True)
            each.plot(range(1, len(curve.values) + 1), curve.values, label=curve.name, **look)
        if best is not None:
            each.axvline(best + 1, color=GREY, linewidth=1, linestyle=(0, (1, 2)), label="best epoch")
        count_epochs(each)
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=min(3, len(labels)), fontsize=TEXT, handlelength=2.6
        )
    return figure


def sparkline(curves: Sequence[Curve], best: int | None = None) -> Figure:
    """Returns lines without axes, as small as a word; numbers belong beside it.

    Args:
        curves: the lines, in one scale.
        best: an epoch, counted from 0, to be marked.
    """
    figure = Figure((1.5, 0.36))
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    last = max((len(curve.values) for curve in curves), default=0) - 1

    def place(epoch: int) -> float:
        return 0.03 + 0.94 * epoch / last if last > 0 else 0.5

    # Without axes, which would take most of the time of a page with many of them.
    for index, curve in enumerate(curves):
        heights = [0.1 + 0.8 * (value - low) / (high - low) if high > low else 0.5 for value in curve.values]
        look = {**_look(curve, index, markers=False), "linewidth": 1.2}
        figure.add_artist(Line2D(list(map(place, range(len(heights)))), heights, **look))
    if best is not None:
        figure.add_artist(Line2D([place(best)] * 2, [0.02, 0.98], color=GREY, linewidth=0.8, linestyle=(0, (1, 2))))
    return figure


def _look(curve: Curve, index: int, markers: bool) -> dict[str, Any]:
    """How the line with this number is drawn, as matplotlib's arguments."""
    look = style(index)
    known = [math.isfinite(value) for value in curve.values]
    # A value whose neighbours are unknown has no line to either side.
    alone = any(here and not any(known[max(0, i - 1) : i] + known[i + 1 : i + 2]) for i, here in enumerate(known))
    return {
        "color": look.color,
        "linestyle": look.linestyle,
        "linewidth": 1.6,
        "marker": look.marker if markers or alone else None,
        "markersize": 3.5,
        "markevery": 1 if alone else max(1, math.ceil(len(curve.values) / _MOST_MARKERS)),
    }
