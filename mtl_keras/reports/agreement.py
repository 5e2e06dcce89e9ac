"""Scatter plots of predicted against true numbers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mtl_keras.reports.canvas import PHONE, TEXT, canvas
from mtl_keras.reports.palette import BLUE, GREY

_MAX_POINTS = 400


def agreement_figure(true: np.ndarray, predicted: np.ndarray) -> Figure:
    """Returns a scatter plot of predictions over labels; on the dashed line they are equal.

    Args:
        true: (numbers,), none missing. If there are more than 400, evenly spaced ones are drawn.
        predicted: (numbers,).
    """
    shown = np.unique(np.linspace(0, len(true) - 1, min(_MAX_POINTS, len(true))).round().astype(int))
    figure, (axes,) = canvas(0.75 * PHONE, 2.9)
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=(0, (3, 2)))
    axes.plot(true[shown], predicted[shown], color=BLUE, linestyle="none", marker="o", markersize=2.5, alpha=0.6)
    axes.set_xlabel("true", fontsize=TEXT)
    axes.set_ylabel("predicted", fontsize=TEXT)
    return figure
