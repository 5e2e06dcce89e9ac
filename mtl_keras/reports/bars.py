"""Bar charts of the results of each task with several methods, and of its gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from mtl_keras.analysis.comparison import BETTER, WORSE
from mtl_keras.reports.canvas import PHONE, TEXT, canvas
from mtl_keras.reports.palette import BLUE, COLOURS, GREY, VERMILLION

_HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||")
_STYLES = {BETTER: (BLUE, "", "▲"), WORSE: (VERMILLION, "////", "▼")}


@dataclass(frozen=True)
class Bar:
    """A bar with its whisker.

    Args:
        value: where the bar ends.
        low: where the whisker begins; NaN if there is none.
        high: where the whisker ends; NaN if there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan


def grouped_bars(tasks: Sequence[str], sides: Mapping[str, Sequence[Bar]], label: str) -> Figure:
    """Returns one group of bars per task, with one bar per side.

    Args:
        tasks: names of the groups.
        sides: name of the side -> one bar per task.
        label: what the bars measure.
    """
    thickness = 0.8 / len(sides)
    figure, (axes,) = canvas(PHONE, 1.1 + len(tasks) * max(0.26, 0.15 * len(sides)))
    for index, (name, bars) in enumerate(sides.items()):
        places = [task - 0.4 + thickness * (index + 0.5) for task in range(len(tasks))]
        colour, hatch = COLOURS[index % len(COLOURS)], _HATCHES[index % len(_HATCHES)]
        axes.barh(
            places,
            [bar.value for bar in bars],
            thickness * 0.9,
            color=f"{colour}99",
            edgecolor=colour,
            hatch=hatch,
            label=name,
        )
        for place, bar in zip(places, bars):
            if math.isfinite(bar.low) and math.isfinite(bar.high):
                axes.plot([bar.low, bar.high], [place, place], color="black", linewidth=1.3, solid_capstyle="butt")
    axes.set_yticks(range(len(tasks)), tasks, fontsize=TEXT)
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.set_xlabel(label, fontsize=TEXT)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper left", ncols=2, fontsize=TEXT)
    return figure


def gain_bars(tasks: Sequence[str], gains: Sequence[Bar], verdicts: Sequence[str], label: str) -> Figure:
    """Returns one bar per task, to the right of 0 for a gain, with a sign of its verdict: ▲ better, ▼ worse, else ●.

    Args:
        tasks: names of the bars.
        gains: the bars, with the intervals as whiskers.
        verdicts: one per task, from `mtl_keras.analysis.comparison`.
        label: what the bars measure.
    """
    figure, (axes,) = canvas(PHONE, 0.8 + 0.26 * max(len(tasks), 2))
    for place, (bar, verdict) in enumerate(zip(gains, verdicts)):
        colour, hatch, sign = _STYLES.get(verdict, (GREY, "", "●"))
        axes.barh(place, bar.value, 0.62, color=f"{colour}99", edgecolor=colour, hatch=hatch)
        if math.isfinite(bar.low) and math.isfinite(bar.high):
            axes.plot([bar.low, bar.high], [place, place], color="black", linewidth=1.3, solid_capstyle="butt")
        axes.annotate(
            sign, (1.0, place), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
            va="center", ha="left", fontsize=TEXT, color=colour,
        )  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(tasks)), tasks, fontsize=TEXT)
    axes.set_ylim(len(tasks) - 0.4, -0.6)
    axes.set_xlabel(label, fontsize=TEXT)
    axes.grid(visible=False, axis="y")
    return figure
