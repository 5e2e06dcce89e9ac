"""Precision-recall curves and calibration of a classifier's probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import average_precision_score, precision_recall_curve

from mtl_keras.reports.canvas import PHONE, TEXT, canvas
from mtl_keras.reports.palette import BLUE, GREY, style

_BINS = 10
_MAX_POINTS = 60
_MAX_CLASSES = 10


@dataclass(frozen=True)
class Ranking:
    """Precision-recall curve of one class.

    Args:
        name: the class.
        recall: (points,), decreasing.
        precision: (points,).
        average_precision: the area under the curve; NaN if the class never occurs.
    """

    name: str
    recall: np.ndarray
    precision: np.ndarray
    average_precision: float


@dataclass(frozen=True)
class Calibration:
    """Calibration: how often predictions of a given probability come true.

    Args:
        said: (bins,), the mean probability in each non-empty bin.
        found: (bins,), the share of the predictions in it that came true.
        error: the mean distance of the two, weighted by the examples in each bin (expected calibration error).
    """

    said: np.ndarray
    found: np.ndarray
    error: float


def ranking(name: str, true: np.ndarray, probability: np.ndarray) -> Ranking:
    """Returns the precision-recall curve of a class, reduced to a few points.

    Args:
        name: the class.
        true: bool (examples,), whether they are of the class.
        probability: (examples,), the predicted probability that they are.
    """
    if not true.any():
        return Ranking(name, np.zeros(0), np.zeros(0), float("nan"))
    precision, recall, _ = precision_recall_curve(true, probability)
    # The curve is a step function: the omitted points lie between points of nearly the same recall.
    shown = np.unique(np.searchsorted(-recall, -np.linspace(0, 1, _MAX_POINTS)).clip(0, len(recall) - 1))
    return Ranking(name, recall[shown], precision[shown], float(average_precision_score(true, probability)))


def calibration(came_true: np.ndarray, probability: np.ndarray) -> Calibration:
    """Returns how often predictions came true, in ten bins of equal width.

    Args:
        came_true: bool (examples,), whether the prediction came true.
        probability: (examples,), its predicted probability.

    References:
        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: the expected calibration error, eq. 3.
    """
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    occupied = counts > 0
    said = np.bincount(bins, probability, _BINS)[occupied] / counts[occupied]
    found = np.bincount(bins, came_true, _BINS)[occupied] / counts[occupied]
    return Calibration(said, found, float(np.sum(counts[occupied] * np.abs(said - found)) / max(1, len(probability))))


def reliability_figure(rankings: Sequence[Ranking], judged: Calibration) -> Figure:
    """Returns precision-recall curves and, next to them, the calibration.

    Args:
        rankings: one for each class; only the first ten are drawn.
        judged: calibration over the decisions of all classes.
    """
    figure, (left, right) = canvas(PHONE, 2.7, 2)
    for number, each in enumerate(rankings[:_MAX_CLASSES]):
        look = style(number)
        left.plot(
            each.recall, each.precision, label=each.name, color=look.color, linestyle=look.linestyle, linewidth=1.3
        )
    left.set_title("precision over recall", fontsize=TEXT, loc="left")
    left.set_xlabel("recall", fontsize=TEXT)
    right.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 2)))
    right.plot(judged.said, judged.found, color=BLUE, marker="o", markersize=3.5, linewidth=1.3)
    right.set_title("calibration: came true", fontsize=TEXT, loc="left")
    right.set_xlabel("predicted probability", fontsize=TEXT)
    for axes in (left, right):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.05)
    if len(rankings) > 1:
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=TEXT - 1, handlelength=2.2)
        figure.set_size_inches(PHONE, 2.7 + 0.16 * -(-len(labels) // 4))
    return figure


def small_ranking(each: Ranking) -> Figure:
    """Returns a small precision-recall curve without axes, to be shown next to numbers."""
    return _small(each.recall, each.precision, diagonal=False)


def small_calibration(judged: Calibration) -> Figure:
    """Returns a small calibration curve without axes, with the diagonal of perfect calibration."""
    return _small(judged.said, judged.found, diagonal=True)


def _small(x: np.ndarray, y: np.ndarray, *, diagonal: bool) -> Figure:
    figure = Figure((0.7, 0.5))
    if diagonal:
        figure.add_artist(Line2D([0.05, 0.95], [0.05, 0.95], color=GREY, linewidth=0.8, linestyle=(0, (2, 2))))
    points = [0.05 + 0.9 * np.asarray(values) for values in (x, y)]
    figure.add_artist(Line2D(*points, color=BLUE, linewidth=1.2, marker="o" if len(x) < 2 else None, markersize=3))
    return figure
