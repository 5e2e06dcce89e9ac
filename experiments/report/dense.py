"""Dense tasks in the report of a run: tables and figures over all pixels, and maps of the best and worst examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from experiments.evaluation import Scores
from experiments.predictions import SavedArrays, measure_name
from mtl_keras.analysis.pixels import CLASS_HEADS, MEASURES, class_iou
from mtl_keras.reports.diagnostics import confusion_figure, most_confused
from mtl_keras.reports.error_figures import angle_figure, error_figure
from mtl_keras.reports.filters import decimal, listed, percent
from mtl_keras.reports.maps import class_colour, error_limit, legend, limits_of, panels
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import data_uri
from mtl_keras.reports.svg import svg

MAX_CONFUSION = 20
"""Up to this many classes, a figure shows the confusion matrix."""
_MAX_ROWS = 60
_PUBLISHED_ANGLES = (11.25, 22.5, 30)


def dense_task(saved: SavedArrays, name: str, output: Output) -> dict[str, Any]:
    """Returns the heading, the drawings, the tables and a note about a dense task on the test split.

    Args:
        saved: `predictions.npz`.
        name: the task.
        output: the description of its output.

    Raises:
        ValueError: if the file has no such arrays.
    """
    measures = saved.get(f"{measure_name(output)}/{name}")
    known = measures[np.isfinite(measures)]
    note = "No example of the test split has a label."
    if len(known):
        low, middle, high = np.quantile(known, [0, 0.5, 1])
        note = f"Single images: {MEASURES[output.head]} from {low:.3g} to {high:.3g}, median {middle:.3g}."
    about = {"name": name, "note": note}
    if output.head in CLASS_HEADS:
        return about | _classes(name, output, saved.get(f"confusion/{name}"))
    if output.head == "normals":
        return about | _angles(name, saved.get(f"angles/{name}"))
    return about | _errors(name, output, *(saved.get(f"{key}/{name}") for key in ("bins", "count", "mean_error")))


def _classes(name: str, output: Output, confusion: np.ndarray) -> dict[str, Any]:
    classes, total = output.classes, max(1, int(confusion.sum()))
    labelled, predicted, iou = confusion.sum(axis=1), confusion.sum(axis=0), class_iou(confusion)
    order = np.argsort(-labelled, kind="stable")
    occurring = [index for index in order if labelled[index] or predicted[index]]
    rows = [
        [
            _swatch(index, classes[index]),
            decimal(float(iou[index]), 3),
            percent(labelled[index] / total),
            percent(predicted[index] / total),
            percent(confusion[index, index] / labelled[index] if labelled[index] else None),
        ]
        for index in occurring[:_MAX_ROWS]
    ]
    left_out = [classes[index] for index in order if index not in occurring[:_MAX_ROWS]]
    caption = (
        f"Classes of {name}. IoU: intersection over union of all labelled pixels; labels, predictions: share of these "
        "pixels; recall: share of the pixels of a class that are predicted as it."
    )
    if left_out:
        caption += f" Not shown, rare or never labelled and predicted: {listed(left_out)}."
    drawings = []
    if len(classes) <= MAX_CONFUSION:
        confused = [
            f"{one!r} predicted as {other!r} ({percent(count / total)} of the pixels)"
            for one, other, count in most_confused(confusion, classes)
        ]
        alt = f"Confusion matrix of the pixels of {name}. Most often confused: {listed(confused)}."
        drawings.append(svg(confusion_figure(confusion, classes), alt))
    header = ["class", "IoU", "labels", "predictions", "recall"]
    table = {"header": header, "rows": rows, "caption": caption}
    return {"heading": f"{name}: classes of the pixels", "drawings": drawings, "tables": [table]}


def _swatch(index: int, label: str) -> Markup:
    """Returns a class with a spot of its colour."""
    return Markup('<span class="class"><span class="swatch" style="background:{}"></span>{}</span>').format(
        class_colour(int(index))[0], label
    )


def _angles(name: str, counts: np.ndarray) -> dict[str, Any]:
    total = max(1, int(counts.sum()))
    median = float(np.searchsorted(np.cumsum(counts), total / 2)) + 0.5
    within = np.interp(_PUBLISHED_ANGLES, np.arange(len(counts) + 1), np.concatenate([[0], np.cumsum(counts)]))
    words = [f"{percent(share / total)} below {angle:g}" for angle, share in zip(_PUBLISHED_ANGLES, within)]
    alt = f"Angles between true and predicted {name}, in degrees. Median about {median:g}; {listed(words)}."
    return {
        "heading": f"{name}: angles between true and predicted normals",
        "drawings": [svg(angle_figure(counts), alt)] if counts.any() else [],
        "tables": [],
    }


def _errors(name: str, output: Output, bins: np.ndarray, counts: np.ndarray, errors: np.ndarray) -> dict[str, Any]:
    drawings = []
    known = np.flatnonzero(np.isfinite(errors))
    if len(known):
        alt = (
            f"Mean absolute error of {name} over the label, and the share of the pixels with such labels. From labels "
            f"near {bins[known[0]]:.3g} to those near {bins[known[-1] + 1]:.3g}, the error goes from "
            f"{errors[known[0]]:.3g} to {errors[known[-1]]:.3g}."
        )
        drawings.append(svg(error_figure(bins, counts, errors), alt))
    what = "depth" if output.head == "depth" else "label"
    return {"heading": f"{name}: error against {what}", "drawings": drawings, "tables": []}


def dense_examples(
    saved: SavedArrays, rows: Sequence[tuple[str, int]], name: str, output: Output, side: int
) -> dict[str, Any]:
    """Returns the maps of the best and worst examples, with a legend.

    Args:
        saved: `examples.npz`.
        rows: (`"best"` or `"worst"`, row) of each example.
        name: the task.
        output: the description of its output.
        side: longer side of a picture, in pixels.

    Returns:
        `legend`, a list of classes with their colours; `scale`, what the colours mean; and `examples`, each with its
        `panels` and `caption`.
    """
    true = [output.label_map(saved.get(f"true/{name}")[row]) for _, row in rows]
    predicted = [output.prediction_map(saved.get(f"pred/{name}")[row]) for _, row in rows]
    errors = [output.pixel_errors(label, prediction) for label, prediction in zip(true, predicted)]
    limits, limit = limits_of(true), error_limit(errors)
    examples = []
    for (kind, row), label, prediction in zip(rows, true, predicted):
        source = saved.example_name(row)
        drawn = panels(output, saved.get("images")[row], label, prediction, limits=limits, limit=limit, side=side)
        words = {"label": f": {output.describe(label)}", "prediction": f": {output.describe(prediction)}"}
        measure = output.describe_measure(float(saved.get(f"{measure_name(output)}/{name}")[row]))
        examples.append(
            {
                "panels": [
                    {
                        "source": data_uri(each),
                        "size": each.size,
                        "title": title,
                        "alt": f"{source} of the test split, {kind} of {name}, {title}{words.get(title, '')}",
                    }
                    for title, each in drawn.items()
                ],
                "caption": f"{kind}, {source}: {measure}",
            }
        )
    return {
        "legend": legend(output, [*true, *predicted]),
        "scale": _scale(output, limits, limit),
        "examples": examples,
    }


def _scale(output: Output, limits: tuple[float, float], limit: float) -> str:
    """Returns what the colours of maps mean."""
    if output.head in CLASS_HEADS:
        return (
            "Black: without a label. Errors: vermillion where the class is wrong, almost white where it is right, grey "
            "without a label."
        )
    errors = (
        f"Errors: from 0 (black) to {limit:g}{' degrees' if output.head == 'normals' else ''} or more (light yellow)"
    )
    ends = f"from {limits[0]:.3g} (dark purple) to {limits[1]:.3g} (yellow)"
    if output.head == "normals":
        colours = "x, y and z of the normals as red, green and blue: (n + 1) / 2"
    elif output.shape[-1] >= 3:
        ends = f"from {limits[0]:.3g} (dark) to {limits[1]:.3g} (light)"
        colours = f"The first three channels as red, green and blue, {ends}, in labels and predictions"
    else:
        channel = "The first channel" if output.shape[-1] > 1 else "Labels and predictions"
        colours = f"{channel}: {ends}"
    return f"{colours}; black without a label. {errors}, grey without a label."


def metric_tables(outputs: Mapping[str, Output], scores: Mapping[str, Scores]) -> dict[str, list[list[str]]]:
    """Returns, for each dense task, a row for each metric: its name, its value, that of the best constant."""
    return {
        name: [[metric, decimal(score.value), decimal(score.baseline)] for metric, score in scores[name].items()]
        for name, output in outputs.items()
        if output.is_dense and name in scores
    }
