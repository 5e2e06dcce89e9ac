"""The style of figures: colours, line styles, and empty axes with small text, no frame and a faint grid.

The colours are distinct for people with any colour vision, and every series has its own dash and marker.

References:
    M. Okabe, K. Ito, "Color Universal Design", 2008: the colours, without black (text) and yellow (invisible on white).
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
GREY = "#808890"
"""Visible on white and on black: grids and secondary elements."""
SEQUENTIAL, DIVERGING = "cividis", "PuOr"
"""Matplotlib colour maps for magnitudes and for signed values."""
TEXT = 9.0
"""Size of all text in points: still readable when a phone draws a figure at three quarters of its size."""
PHONE = 4.8
"""The largest width in inches of a figure that fits a phone."""
# Their number has no divisor in common with that of the colours or markers, so that combinations repeat late.
_DASHES = (
    "-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1.2, 2)), (0, (9, 3)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3)),
)  # fmt: skip
_MARKERS = ("o", "s", "^", "D", "v", "X", "P", "<", ">", "*", "p", "h")


def line_style(index: int, *, marker: bool = True) -> dict[str, Any]:
    """Returns matplotlib's arguments for the line of the series with this index.

    The first 42 series differ in colour or dash, and the first 84 in dash or marker.
    """
    style = {"color": COLOURS[index % len(COLOURS)], "linestyle": _DASHES[index % len(_DASHES)], "linewidth": 1.5}
    return style | ({"marker": _MARKERS[index % len(_MARKERS)], "markersize": 3.5} if marker else {})


def ink_on(red: float, green: float, blue: float) -> str:
    """Returns near black or near white, whichever is more readable on a colour with components in [0, 1].

    Not pure black, which a page replaces with the colour of its text.
    """
    return "#101010" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#fdfdfd"


def empty_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Returns a figure of `width` x `height` inches and its axes, `columns` of them side by side."""
    figure = Figure((width, height), layout="constrained")
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=TEXT, width=0.6)
        each.grid(color=GREY, alpha=0.3, linewidth=0.6)
        each.set_axisbelow(True)
    return figure, axes


def label_epochs(axes: Axes) -> None:
    """Labels the horizontal axis with whole epochs; the first is 1."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=TEXT)
