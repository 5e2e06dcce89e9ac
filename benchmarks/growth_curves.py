"""Measurements at several sizes, the polynomial fitted to them, and their tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks import harness

_INK = "#767676"  # legible on white and on black
_STYLES = (("#D55E00", "s"), ("#0C82C4", "o"))  # colour-blind safe, with different markers


@dataclass(frozen=True)
class FittedCurve:
    """Measurements of one alternative at several sizes.

    Args:
        name: the alternative.
        points: size -> measurement of each round, > 0.
        unit: of the measurements.
        each: what the polynomial counts, in the singular.
        power: the polynomial is one in size ** power.
        degree: 1 or 2; 1 if there are too few sizes.
    """

    name: str
    points: Mapping[int, Sequence[float]]
    unit: str
    each: str
    power: int = 1
    degree: int = 1

    def fit(self) -> np.ndarray:
        """Returns the coefficients, constant first, with the least squares of relative errors from the medians."""
        degree = self.degree if len(self.points) > self.degree + 1 else 1
        if len(self.points) <= degree:
            raise ValueError(f"A curve needs at least 2 sizes. Received: {list(self.points)}")
        powers = self._powers(degree, list(self.points))
        return np.linalg.lstsq(powers / self._medians()[:, None], np.ones(len(powers)))[0]

    def predict(self, sizes: Sequence[float]) -> np.ndarray:
        """Returns the values of the polynomial."""
        coefficients = self.fit()
        return self._powers(len(coefficients) - 1, sizes) @ coefficients

    def formula(self) -> str:
        """Returns the polynomial in words: `"12.1 ms + 0.031 ms per task, at most 4% off"`."""
        constant, *others = self.fit()
        text = f"{constant:.3g} {self.unit}"
        for factor, name in zip(others, (self.each, f"{self.each} squared")):
            text += f" {'-' if factor < 0 else '+'} {abs(factor):.2g} {self.unit} per {name}"
        off = np.abs(self.predict(list(self.points)) / self._medians() - 1).max()
        return f"{text}, at most {100 * off:.2g}% off"

    def growth(self, what: str) -> harness.Figure:
        """Returns the ratio of the largest size to the smallest, round by round."""
        smallest, *_, largest = self.points
        return harness.ratio(
            f"{what}, {self.name}: {largest} / {smallest}", self.points[largest], self.points[smallest]
        )

    def _powers(self, degree: int, sizes: Sequence[float]) -> np.ndarray:
        return np.vander(np.asarray(sizes, float) ** self.power, degree + 1, increasing=True)

    def _medians(self) -> np.ndarray:
        return np.array([median(values) for values in self.points.values()])


def table(curves: Sequence[FittedCurve], size: str) -> str:
    """Returns medians and quartiles as a Markdown table, and the formulas below it.

    Args:
        curves: of one axis.
        size: label of the axis.
    """
    columns = [size, *(f"{curve.name} ({curve.unit})" for curve in curves)]
    lines = [f"| {' | '.join(columns)} |", "|---:" * len(columns) + "|"]
    for at in dict.fromkeys(at for curve in curves for at in curve.points):
        cells = [str(at)]
        for curve in curves:
            spread = harness.quartiles(curve.points[at]) if at in curve.points else None
            cells.append("{1:.4g} ({0:.4g} - {2:.4g})".format(*spread) if spread else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"- {curve.name}: {curve.formula()}" for curve in curves)])


def draw(curves: Sequence[FittedCurve], size: str, what: str, path: Path) -> None:
    """Draws medians, quartiles and fits on logarithmic axes into an SVG file, for light and dark pages.

    Args:
        curves: of one axis, two at most.
        size: label of the horizontal axis.
        what: what was measured.
        path: the file; its folder is made if necessary.
    """
    parts = ("text.", "axes.edge", "axes.label", "xtick.", "ytick.", "grid.")
    style: dict[Any, Any] = {f"{part}color": _INK for part in parts}
    # Text stays text: smaller files, and searchable. The same curves give the same file.
    with matplotlib.rc_context(style | {"font.size": 8, "svg.fonttype": "none", "svg.hashsalt": "growth"}):
        figure = Figure(figsize=(3.6, 2.6), layout="constrained")
        axes = figure.subplots()
        for curve, (colour, marker) in zip(curves, _STYLES):
            low, middle, high = np.transpose([harness.quartiles(values) for values in curve.points.values()])
            sizes = list(curve.points)
            spread = (middle - low, high - middle)
            axes.errorbar(sizes, middle, spread, color=colour, marker=marker, markersize=4, ls="none", label=curve.name)
            line = np.geomspace(sizes[0], sizes[-1])
            axes.plot(line, curve.predict(line), color=colour, linewidth=1)
        ticks = sorted({at for curve in curves for at in curve.points})
        axes.set(xscale="log", yscale="log", xlabel=size, ylabel=f"{what} ({curves[0].unit})")
        axes.set_xticks(ticks, [str(at) for at in ticks])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.4, linewidth=0.5)
        figure.legend(loc="outside upper left", ncols=len(curves), frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None, "Title": f"{what}, against {size}"})
