"""Line charts over the epochs: learning curves and task weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtl_keras.reports.style import GREY, PHONE, TEXT, empty_figure, label_epochs, line_style

_MAX_MARKERS = 12
Lines = Mapping[str, Sequence[float]]
"""Name of a line -> its values `(epochs,)`, NaN where unknown."""


def curves_figure(panels: Mapping[str, Lines], best: int | None = None) -> Figure:
    """Returns one panel per quantity, side by side, with one legend for all.

    Args:
        panels: title -> its lines; a name has the same style in all panels.
        best: epoch to mark, counted from 0.

    Raises:
        ValueError: if there are no panels.
    """
    if not panels:
        raise ValueError("`panels` must not be empty. Received: {}")
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    figure, axes = empty_figure(PHONE if len(panels) > 1 else 0.75 * PHONE, 2.5, len(panels))
    for each, (title, lines) in zip(axes, panels.items()):
        each.set_title(title, fontsize=TEXT, loc="left")
        for name, values in lines.items():
            style = _style(values, names.index(name), markers=True)
            each.plot(range(1, len(values) + 1), values, label=name, **style)
        if best is not None:
            each.axvline(best + 1, color=GREY, linewidth=1, linestyle=(0, (1, 2)), label="best epoch")
        label_epochs(each)
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        columns = min(3, len(labels))
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, fontsize=TEXT, handlelength=2.6)
        figure.set_figheight(2.5 + 0.16 * max(0, -(-len(labels) // columns) - 2))
    return figure


def sparkline(lines: Lines, best: int | None = None) -> Figure:
    """Returns small lines without axes, to be shown next to numbers.

    Args:
        lines: the lines, on one scale.
        best: epoch to mark, counted from 0.
    """
    figure = Figure((1.5, 0.36))
    known = [value for values in lines.values() for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    last = max(map(len, lines.values()), default=0) - 1

    def place(epoch: int) -> float:
        return 0.03 + 0.94 * epoch / last if last > 0 else 0.5

    # No axes: they would take most of the time of a page with many sparklines.
    for index, values in enumerate(lines.values()):
        heights = [0.1 + 0.8 * (value - low) / (high - low) if high > low else 0.5 for value in values]
        style = _style(values, index, markers=False) | {"linewidth": 1.2}
        figure.add_artist(Line2D([place(epoch) for epoch in range(len(heights))], heights, **style))
    if best is not None:
        figure.add_artist(Line2D([place(best)] * 2, [0.02, 0.98], color=GREY, linewidth=0.8, linestyle=(0, (1, 2))))
    return figure


def _style(values: Sequence[float], index: int, *, markers: bool) -> dict[str, Any]:
    """Returns matplotlib's arguments for the line with this index."""
    known = [math.isfinite(value) for value in values]
    # A value between unknown neighbours has no line on either side.
    isolated = any(one and not any(known[max(0, i - 1) : i] + known[i + 1 : i + 2]) for i, one in enumerate(known))
    every = 1 if isolated else max(1, math.ceil(len(values) / _MAX_MARKERS))
    return line_style(index, marker=markers or isolated) | {"markevery": every}
