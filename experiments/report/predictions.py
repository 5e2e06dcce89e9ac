"""The predictions of a run's model: confusion matrices, calibration, predicted against true values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.metrics import confusion_matrix

from experiments.predictions import Kept
from experiments.report.wording import figure, listed, share
from mtl_keras.reports.agreement import agreement_figure
from mtl_keras.reports.confusion import confusion_figure, most_confused
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.page import Html, Section, paragraph, side_by_side, table, text
from mtl_keras.reports.reliability import (
    Calibration,
    Ranking,
    calibration,
    ranking,
    reliability_figure,
    small_calibration,
    small_ranking,
)
from mtl_keras.reports.svg import drawing, svg

_FEW = 8
"""Up to this many binary tasks, each has its own figures; for more there is a table."""


def predictions_section(kept: Kept, outputs: Mapping[str, Output]) -> Section:
    """Returns figures and tables of the predictions on the test split.

    Args:
        kept: `predictions.npz`.
        outputs: task -> description of its output.

    Raises:
        ValueError: if the file is damaged.
    """
    parts: list[str] = []
    binary: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    try:
        for name, output in outputs.items():
            if output.head == "reconstruction":
                continue
            true, predicted = _labelled(output, kept.get(f"true/{name}"), kept.get(f"pred/{name}"))
            if not len(true):
                parts.append(paragraph(f"{name}: no example of the test split has a label."))
            elif output.head == "classification":
                parts.append(_classes(name, output, true.astype(int), predicted))
            elif output.head == "binary":
                binary[name] = true > 0.5, predicted.reshape(-1)
            else:
                parts.append(_numbers(name, output, true, predicted))
    except (IndexError, TypeError) as cause:
        raise ValueError(f"{kept.path} is damaged: {cause}") from cause
    if len(binary) > _FEW:
        parts.insert(0, _table(binary))
    else:
        parts[:0] = [_decision(name, outputs[name], *values) for name, values in binary.items()]
    return Section("Predictions", "predictions", "".join(parts))


def _labelled(output: Output, true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels and predictions of the examples that have all of their labels."""
    flat = np.asarray(true, "float64").reshape(len(true), -1)
    present = np.isfinite(flat).all(axis=1)
    if output.head in ("classification", "binary"):
        present &= flat[:, 0] >= 0
        return flat[present, 0], predicted[present]
    return flat[present], predicted[present].reshape(-1, flat.shape[1])


def _heading(name: str, words: str) -> Html:
    return Html(f"<h3>{text(name)}: {words}</h3>")


def _classes(name: str, output: Output, true: np.ndarray, predicted: np.ndarray) -> str:
    classes = output.classes
    decided = predicted.argmax(axis=1)
    counts = confusion_matrix(true, decided, labels=range(len(classes)))
    pairs = most_confused(counts, classes)
    words = listed([f"{one} predicted as {other} ({count})" for one, other, count in pairs]) or "nothing"
    rankings = [ranking(each, true == index, predicted[:, index]) for index, each in enumerate(classes)]
    judged = calibration(decided == true, predicted.max(axis=1))
    shown = sorted(rankings, key=lambda each: each.average_precision)
    caption = _reliability_words(name, rankings, judged)
    if len(classes) > len(rankings[:10]):
        caption += " The figure shows the ten classes with the lowest average precision."
    return _heading(name, "classes") + side_by_side(
        [
            svg(confusion_figure(counts, classes), f"Confusion matrix of {name}. Most often confused: {words}."),
            svg(reliability_figure(shown, judged), caption),
        ]
    )


def _decision(name: str, output: Output, true: np.ndarray, probability: np.ndarray) -> str:
    no, yes = output.classes
    counts = confusion_matrix(true, probability > 0.5, labels=[False, True])
    found = ranking(yes, true, probability)
    judged = calibration(true, probability)
    shares = f"{counts[1, 1]} of {counts[1].sum()} {yes} and {counts[0, 1]} of {counts[0].sum()} {no}"
    words = f"{shares} were predicted as {yes}."
    return _heading(name, "decisions at 0.5") + side_by_side(
        [
            svg(confusion_figure(counts, [no, yes]), f"Confusion matrix of {name}. {words}"),
            svg(reliability_figure([found], judged), _reliability_words(name, [found], judged)),
        ]
    )


def _reliability_words(name: str, rankings: list[Ranking], judged: Calibration) -> str:
    known = [each.average_precision for each in rankings if np.isfinite(each.average_precision)]
    mean = figure(float(np.mean(known)) if known else float("nan"), 3)
    average = "Average precision" if len(rankings) == 1 else "Mean average precision of the classes"
    return (
        f"Precision over recall, and calibration, of {name}. {average}: {mean}. Expected "
        f"calibration error: {figure(judged.error, 3)}."
    )


def _table(binary: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Html:
    rows = []
    for name, (true, probability) in binary.items():
        counts = confusion_matrix(true, probability > 0.5, labels=[False, True])
        found, judged = ranking(name, true, probability), calibration(true, probability)
        row: list[object] = [name, share(float(true.mean())), *counts[1, ::-1], *counts[0, ::-1]]
        row += [figure(found.average_precision, 3), drawing(small_ranking(found), f"precision over recall of {name}")]
        row += [figure(judged.error, 3), drawing(small_calibration(judged), f"calibration of {name}")]
        rows.append(row)
    header = ["task", "share of yes", "yes, found", "yes, missed", "no, taken for yes", "no, found"]
    header += ["average precision", "precision over recall", "calibration error", "calibration"]
    caption = (
        "Decisions at 0.5. Average precision: the area under the curve of precision over recall. Calibration: the "
        "observed frequency over the predicted probability; the dashed line is perfect calibration. Its error is the "
        "mean distance from that line."
    )
    return table(header, rows, caption)


def _numbers(name: str, output: Output, true: np.ndarray, predicted: np.ndarray) -> str:
    rows = []
    names = [f"{point} {axis}" for point in output.labels for axis in "xy"] if output.is_points else [""]
    if len(names) != true.shape[1]:
        names = list(map(str, range(true.shape[1])))
    for column, each in enumerate(names):
        error = predicted[:, column] - true[:, column]
        entries = (np.abs(error).mean(), error.mean(), true[:, column].std())
        rows.append([each or name, *(figure(float(entry)) for entry in entries)])
    header = ["number", "mean absolute error", "mean error", "spread of the labels"]
    alt = f"Predicted over true {name}; predictions on the dashed line are exact."
    if true.shape[1] > 1:
        alt += " All numbers of the task are in one figure."
    return _heading(name, "predicted against true") + side_by_side(
        [
            svg(agreement_figure(true.ravel(), predicted.ravel()), alt),
            table(header, rows, f"Errors of {name}, in the unit of the labels (of points: shares of the image's side)"),
        ]
    )
