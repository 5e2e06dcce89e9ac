"""Draws curves and their laws, to be read on a light page and on a dark one, in colour and without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks import timing
from benchmarks.curves import Curve

_INK = "#767676"  # as far from white as from black
_STYLES = (("#D55E00", "s"), ("#0C82C4", "o"))  # told apart by readers who are colour-blind, and by their markers


def draw(curves: Sequence[Curve], size: str, what: str, path: Path) -> None:
    """Draws medians, quartiles and laws, both axes logarithmic, into an SVG file.

    Args:
        curves: those of one axis, two at most.
        size: what the horizontal axis is.
        what: was measured.
        path: the file; its folder is made if need be.
    """
    parts = ("text.", "axes.edge", "axes.label", "xtick.", "ytick.", "grid.")
    style: dict[Any, Any] = {f"{part}color": _INK for part in parts}
    # Letters as letters: smaller, and found by a search. The same curves give the same file.
    with matplotlib.rc_context(style | {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "growth"}):
        figure = Figure(figsize=(3.6, 2.6), layout="constrained")
        axes = figure.subplots()
        for curve, (colour, marker) in zip(curves, _STYLES):
            _draw(axes, curve, colour, marker)
        sizes = sorted({at for curve in curves for at in curve.points})
        axes.set(xscale="log", yscale="log", xlabel=size, ylabel=f"{what} ({curves[0].unit})")
        axes.set_xticks(sizes, [str(at) for at in sizes])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.4, linewidth=0.5)
        figure.legend(loc="outside upper left", ncols=len(curves), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None, "Title": f"{what}, against {size}"})


def _draw(axes: Axes, curve: Curve, colour: str, marker: str) -> None:
    low, middle, high = np.transpose([timing.quartiles(values) for values in curve.points.values()])
    sizes = np.array(list(curve.points))
    spread = (middle - low, high - middle)
    axes.errorbar(sizes, middle, spread, color=colour, marker=marker, markersize=4, linestyle="none", label=curve.name)
    line = np.geomspace(sizes[0], sizes[-1])
    axes.plot(line, [curve.law(at**curve.power) for at in line], color=colour, linewidth=1)
