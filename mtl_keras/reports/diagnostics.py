"""Predictions against labels: confusion matrix, precision-recall curves, calibration and scatter plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import average_precision_score, precision_recall_curve

from mtl_keras.reports.heat_map import heat_map_figure
from mtl_keras.reports.style import BLUE, GREY, PHONE, TEXT, empty_figure, line_style

MAX_CURVES = 12
"""Number of classes whose precision-recall curves are drawn in one figure."""
_MAX_NAMED, _BINS, _CURVE_POINTS, _SCATTER_POINTS = 40, 10, 60, 400


def confusion_figure(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Returns the share of each true class (row) that was predicted as each class (column).

    Args:
        counts: `(classes, classes)`, true by predicted: the result of `sklearn.metrics.confusion_matrix`.
        classes: names of the classes; not shown if there are many.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    named = len(classes) <= _MAX_NAMED
    names = list(classes) if named else [""] * len(classes)
    figure = heat_map_figure(shares, names, names, "share of the true class (row) predicted as class (column)")
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


@dataclass(frozen=True)
class PrecisionRecall:
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


def precision_recall(name: str, true: np.ndarray, probability: np.ndarray) -> PrecisionRecall:
    """Returns the precision-recall curve of a class, reduced to a few points.

    Args:
        name: the class.
        true: bool (examples,), whether they are of the class.
        probability: (examples,), the predicted probability that they are.
    """
    if not true.any():
        return PrecisionRecall(name, np.zeros(0), np.zeros(0), float("nan"))
    precision, recall, _ = precision_recall_curve(true, probability)
    # The curve is a step function: the omitted points lie between points of nearly the same recall.
    shown = np.unique(np.searchsorted(-recall, -np.linspace(0, 1, _CURVE_POINTS)).clip(0, len(recall) - 1))
    return PrecisionRecall(name, recall[shown], precision[shown], float(average_precision_score(true, probability)))


@dataclass(frozen=True)
class Calibration:
    """Calibration: how often predictions of a given probability are correct.

    Args:
        probability: (bins,), the mean predicted probability in each non-empty bin.
        frequency: (bins,), the share of the predictions in it that are correct.
        error: the mean distance of the two, weighted by the examples in each bin (expected calibration error).
    """

    probability: np.ndarray
    frequency: np.ndarray
    error: float


def calibration(correct: np.ndarray, probability: np.ndarray) -> Calibration:
    """Returns how often predictions are correct, in ten bins of equal width.

    Args:
        correct: bool (examples,), whether the predicted event occurred.
        probability: (examples,), its predicted probability.

    References:
        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (https://arxiv.org/abs/1706.04599), eq. 3.
    """
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    occupied = counts > 0
    mean, frequency = (
        np.bincount(bins, values, _BINS)[occupied] / counts[occupied] for values in (probability, correct)
    )
    error = float(np.sum(counts[occupied] * np.abs(mean - frequency)) / max(1, len(probability)))
    return Calibration(mean, frequency, error)


def classifier_figure(curves: Sequence[PrecisionRecall], calibrated: Calibration) -> Figure:
    """Returns precision-recall curves and, next to them, the calibration.

    Args:
        curves: one for each class; only the first `MAX_CURVES` are drawn.
        calibrated: calibration over the decisions of all classes.
    """
    figure, (left, right) = empty_figure(PHONE, 2.7, 2)
    for number, each in enumerate(curves[:MAX_CURVES]):
        style = line_style(number) | {"linewidth": 1.3, "markevery": (number, 12)}
        left.plot(each.recall, each.precision, label=each.name, **style)
    left.set_title("precision over recall", fontsize=TEXT, loc="left")
    left.set_xlabel("recall", fontsize=TEXT)
    right.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 2)))
    right.plot(calibrated.probability, calibrated.frequency, color=BLUE, marker="o", markersize=3.5, linewidth=1.3)
    right.set_title("calibration: share correct", fontsize=TEXT, loc="left")
    right.set_xlabel("predicted probability", fontsize=TEXT)
    for axes in (left, right):
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.05)
    if len(curves) > 1:
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4, fontsize=TEXT - 1, handlelength=2.2)
        figure.set_size_inches(PHONE, 2.7 + 0.16 * -(-len(labels) // 4))
    return figure


def small_curve(x: np.ndarray, y: np.ndarray, *, diagonal: bool = False) -> Figure:
    """Returns a curve `(points,)` in [0, 1] without axes, to be shown next to numbers, with an optional diagonal."""
    figure = Figure((0.7, 0.5))
    if diagonal:
        figure.add_artist(Line2D([0.05, 0.95], [0.05, 0.95], color=GREY, linewidth=0.8, linestyle=(0, (2, 2))))
    marker = "o" if len(x) < 2 else None
    figure.add_artist(Line2D(0.05 + 0.9 * x, 0.05 + 0.9 * y, color=BLUE, linewidth=1.2, marker=marker, markersize=3))
    return figure


def scatter_figure(true: np.ndarray, predicted: np.ndarray) -> Figure:
    """Returns a scatter plot of predictions over labels; on the dashed line they are equal.

    Args:
        true: (numbers,), none missing. If there are more than 400, evenly spaced ones are drawn.
        predicted: (numbers,).
    """
    shown = np.unique(np.linspace(0, len(true) - 1, min(_SCATTER_POINTS, len(true))).round().astype(int))
    figure, (axes,) = empty_figure(0.75 * PHONE, 2.9)
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axes.plot(ends, ends, color=GREY, linewidth=1, linestyle=(0, (3, 2)))
    axes.plot(true[shown], predicted[shown], color=BLUE, linestyle="none", marker="o", markersize=2.5, alpha=0.6)
    axes.set_xlabel("true", fontsize=TEXT)
    axes.set_ylabel("predicted", fontsize=TEXT)
    return figure
