"""Bar charts of the results of each task with several methods, and of its gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtl_keras.analysis.comparison import BETTER, WORSE
from mtl_keras.reports.style import BLUE, COLOURS, GREY, PHONE, TEXT, VERMILLION, empty_figure

# One more than there are colours, so that combinations repeat late.
_HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||", "...")
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
    figure, axes = _task_axes(tasks, label, 1.1 + len(tasks) * max(0.26, 0.15 * len(sides)))
    for index, (name, bars) in enumerate(sides.items()):
        colour, hatch = COLOURS[index % len(COLOURS)], _HATCHES[index % len(_HATCHES)]
        for task, bar in enumerate(bars):
            place = task - 0.4 + thickness * (index + 0.5)
            _draw(axes, bar, place, 0.9 * thickness, colour, hatch, None if task else name)
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
    figure, axes = _task_axes(tasks, label, 0.8 + 0.26 * max(len(tasks), 2))
    for place, (bar, verdict) in enumerate(zip(gains, verdicts)):
        colour, hatch, sign = _STYLES.get(verdict, (GREY, "", "●"))
        _draw(axes, bar, place, 0.62, colour, hatch)
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


def _draw(
    axes: Axes, bar: Bar, place: float, thickness: float, colour: str, hatch: str, name: str | None = None
) -> None:
    axes.barh(
        place, bar.value, thickness, color=colour, edgecolor=colour, hatch=hatch, hatchcolor="#fdfdfd", label=name
    )
    if math.isfinite(bar.low) and math.isfinite(bar.high):
        axes.plot([bar.low, bar.high], [place, place], color="black", linewidth=1.3, solid_capstyle="butt")
