"""Bar charts of the results of each task with several methods, and of its gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtl_keras.analysis.comparison import BETTER, WORSE
from mtl_keras.reports.style import BLUE, COLOURS, GREY, PHONE, TEXT, VERMILLION, empty_figure

# One more than there are colours, so that combinations repeat late.
_HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||", "...")
_STYLES = {BETTER: (BLUE, "", "▲"), WORSE: (VERMILLION, "////", "▼")}


def grouped_bars(tasks: Sequence[str], sides: Mapping[str, np.ndarray], label: str) -> Figure:
    """Returns one group of bars per task, with one bar per side.

    Args:
        tasks: names of the groups.
        sides: name of the side -> `(2, tasks)`: where the bars end, and half the lengths of their whiskers. NaN for
            a bar or whisker that is not drawn.
        label: name of the plotted quantity.
    """
    thickness = 0.8 / len(sides)
    figure, axes = _task_axes(tasks, label, 1.1 + len(tasks) * max(0.26, 0.15 * len(sides)))
    for index, (name, (values, whiskers)) in enumerate(sides.items()):
        places = np.arange(len(tasks)) - 0.4 + thickness * (index + 0.5)
        style = _style(COLOURS[index % len(COLOURS)], _HATCHES[index % len(_HATCHES)])
        axes.barh(places, values, 0.9 * thickness, xerr=whiskers, label=name, **style)
    figure.legend(loc="outside upper left", ncols=2, fontsize=TEXT)
    return figure


def gain_bars(tasks: Sequence[str], gains: np.ndarray, verdicts: Sequence[str], label: str) -> Figure:
    """Returns one bar per task, to the right of 0 for a gain, with a sign of its verdict: ▲ better, ▼ worse, else ●.

    Args:
        tasks: names of the bars.
        gains: `(3, tasks)`: where the bars end, and the ends of their whiskers. NaN where nothing is drawn.
        verdicts: one per task, from `mtl_keras.analysis.comparison`.
        label: name of the plotted quantity.
    """
    figure, axes = _task_axes(tasks, label, 0.8 + 0.26 * max(len(tasks), 2))
    for place, ((value, low, high), verdict) in enumerate(zip(gains.T, verdicts)):
        colour, hatch, sign = _STYLES.get(verdict, (GREY, "", "●"))
        axes.barh(place, value, 0.62, xerr=[[value - low], [high - value]], **_style(colour, hatch))
        axes.annotate(
            sign, (1.0, place), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
            va="center", ha="left", fontsize=TEXT, color=colour,
        )  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    return figure


def _task_axes(tasks: Sequence[str], label: str, height: float) -> tuple[Figure, Axes]:
    figure, (axes,) = empty_figure(PHONE, height)
    axes.set_yticks(range(len(tasks)), tasks, fontsize=TEXT)
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.set_xlabel(label, fontsize=TEXT)
    axes.grid(visible=False, axis="y")
    return figure, axes


def _style(colour: str, hatch: str) -> dict[str, Any]:
    whiskers = {"ecolor": "black", "elinewidth": 1.3}
    return {"color": colour, "edgecolor": colour, "hatch": hatch, "hatchcolor": "#fdfdfd", "error_kw": whiskers}
