"""Empty figures in the style of the reports: small text, no frame, a faint grid."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtl_keras.reports.palette import GREY

TEXT = 9.0
"""Size of all text in points: still readable when a phone draws a figure at three quarters of its size."""
PHONE = 4.8
"""The largest width in inches of a figure that fits a phone."""


def canvas(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """Returns a figure of `width` x `height` inches and its axes, `columns` of them side by side."""
    figure = Figure((width, height), layout="constrained")
    axes = [figure.add_subplot(1, columns, number + 1) for number in range(columns)]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=TEXT, width=0.6)
        each.grid(color=GREY, alpha=0.3, linewidth=0.6)
        each.set_axisbelow(True)
    return figure, axes


def count_epochs(axes: Axes) -> None:
    """Labels the horizontal axis with whole epochs; the first is 1."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=TEXT)
