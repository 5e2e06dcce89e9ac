"""Line charts over the epochs: learning curves and task weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtl_keras.reports.canvas import PHONE, TEXT, canvas, count_epochs
from mtl_keras.reports.palette import GREY, style

_MAX_MARKERS = 12


@dataclass(frozen=True)
class Curve:
    """A line.

    Args:
        name: its name in the legend.
        values: `(epochs,)`; NaN where unknown.
    """

    name: str
    values: Sequence[float]


def curves_figure(panels: Mapping[str, Sequence[Curve]], best: int | None = None) -> Figure:
    """Returns one panel per quantity, side by side, with one legend for all.

    Args:
        panels: title -> its lines; a name has the same style in all panels.
        best: epoch to mark, counted from 0.

    Raises:
        ValueError: if there are no panels.
    """
    if not panels:
        raise ValueError("`panels` must not be empty. Received: {}")
    names = list(dict.fromkeys(curve.name for curves in panels.values() for curve in curves))
    figure, axes = canvas(PHONE if len(panels) > 1 else 0.75 * PHONE, 2.5, len(panels))
    for each, (title, curves) in zip(axes, panels.items()):
        each.set_title(title, fontsize=TEXT, loc="left")
        for curve in curves:
            look = _line_options(curve, names.index(curve.name), markers=True)
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
    """Returns small lines without axes, to be shown next to numbers.

    Args:
        curves: the lines, on one scale.
        best: epoch to mark, counted from 0.
    """
    figure = Figure((1.5, 0.36))
    values = [value for curve in curves for value in curve.values if math.isfinite(value)]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    last = max((len(curve.values) for curve in curves), default=0) - 1

    def place(epoch: int) -> float:
        return 0.03 + 0.94 * epoch / last if last > 0 else 0.5

    # No axes: they would take most of the time of a page with many sparklines.
    for index, curve in enumerate(curves):
        heights = [0.1 + 0.8 * (value - low) / (high - low) if high > low else 0.5 for value in curve.values]
        look = {**_line_options(curve, index, markers=False), "linewidth": 1.2}
        figure.add_artist(Line2D(list(map(place, range(len(heights)))), heights, **look))
    if best is not None:
        figure.add_artist(Line2D([place(best)] * 2, [0.02, 0.98], color=GREY, linewidth=0.8, linestyle=(0, (1, 2))))
    return figure


def _line_options(curve: Curve, index: int, markers: bool) -> dict[str, Any]:
    """Returns matplotlib's arguments for the line with this index."""
    look = style(index)
    known = [math.isfinite(value) for value in curve.values]
    # A value between unknown neighbours has no line on either side.
    isolated = any(one and not any(known[max(0, i - 1) : i] + known[i + 1 : i + 2]) for i, one in enumerate(known))
    return {
        "color": look.color,
        "linestyle": look.linestyle,
        "linewidth": 1.6,
        "marker": look.marker if markers or isolated else None,
        "markersize": 3.5,
        "markevery": 1 if isolated else max(1, math.ceil(len(curve.values) / _MAX_MARKERS)),
    }
