"""Confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mtl_keras.reports.canvas import TEXT
from mtl_keras.reports.heat_map import heat_map

_MAX_NAMED = 40


def confusion_figure(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Returns the share of each true class (row) that was predicted as each class (column).

    Args:
        counts: `(classes, classes)`, true by predicted: what `sklearn.metrics.confusion_matrix` returns.
        classes: names of the classes; not shown if there are many.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    named = len(classes) <= _MAX_NAMED
    names = list(classes) if named else [""] * len(classes)
    figure = heat_map(shares, names, names, "share of the true class (row) predicted as class (column)")
    axes = figure.axes[0]
    axes.set_ylabel("true", fontsize=TEXT)
    axes.set_xlabel("predicted", fontsize=TEXT)
    if not named:
        figure.set_size_inches(4.8, 4.4)
        axes.set_xticks([])
        axes.set_yticks([])
    return figure


def most_confused(counts: np.ndarray, classes: Sequence[str], most: int = 5) -> list[tuple[str, str, int]]:
    """Returns the pairs (true, predicted, examples) that were confused most often."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(order, wrong.shape))
    return [(classes[row], classes[column], int(wrong[row, column])) for row, column in pairs if wrong[row, column]]
