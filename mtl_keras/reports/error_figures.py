"""Errors of the pixels of dense tasks: over the label, and as a histogram of angles."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mtl_keras.reports.style import BLUE, GREY, PHONE, SKY, TEXT, empty_figure

_DEGREES = 5
"""Width of a bar of the histogram of angles."""


def error_figure(bins: np.ndarray, counts: np.ndarray, errors: np.ndarray) -> Figure:
    """Returns the mean absolute error over the label and, next to it, the share of the pixels with such labels.

    Args:
        bins: `(bins + 1,)`, the edges of intervals of labels.
        counts: `(bins,)`, pixels in each.
        errors: `(bins,)`, their mean absolute error; NaN in an empty interval.
    """
    figure, (left, right) = empty_figure(PHONE, 2.5, 2)
    middle = (bins[1:] + bins[:-1]) / 2
    left.plot(middle, errors, color=BLUE, linewidth=1.5, marker="o", markersize=3)
    left.set_title("mean absolute error", fontsize=TEXT, loc="left")
    left.set_ylim(bottom=0)
    right.bar(middle, counts / max(1, counts.sum()), 0.9 * np.diff(bins), color=SKY)
    right.set_title("share of the pixels", fontsize=TEXT, loc="left")
    for axes in (left, right):
        axes.set_xlabel("label", fontsize=TEXT)
    return figure


def angle_figure(counts: np.ndarray) -> Figure:
    """Returns the histogram of angles and, next to it, the share of the pixels below each angle.

    Args:
        counts: `(180,)`, pixels by angle in degrees.
    """
    figure, (left, right) = empty_figure(PHONE, 2.5, 2)
    shares = counts / max(1, counts.sum())
    last = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else len(counts)
    starts = np.arange(0, last, _DEGREES)
    left.bar(starts, np.add.reduceat(shares, starts), 0.9 * _DEGREES, align="edge", color=SKY)
    left.set_title(f"share of the pixels, by {_DEGREES} degrees", fontsize=TEXT, loc="left")
    right.plot(np.arange(last + 1), np.concatenate([[0], np.cumsum(shares[:last])]), color=BLUE, linewidth=1.5)
    for angle, style in ((11.25, ":"), (22.5, "--"), (30, "-.")):
        right.axvline(angle, color=GREY, linewidth=1, linestyle=style)
    right.set_title("share below the angle", fontsize=TEXT, loc="left")
    right.set_ylim(-0.02, 1.05)
    for axes in (left, right):
        axes.set_xlabel("angle in degrees", fontsize=TEXT)
    return figure
