"""The predictions of a run's model on the test split: figures and tables, and the best and worst images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, r2_score

from experiments.predictions import SavedArrays
from experiments.report.dense import dense_examples, dense_task
from mtl_keras.reports.diagnostics import (
    MAX_CURVES,
    Calibration,
    PrecisionRecall,
    calibration,
    classifier_figure,
    confusion_figure,
    most_confused,
    precision_recall,
    scatter_figure,
    small_curve,
)
from mtl_keras.reports.filters import decimal, listed, percent
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import data_uri, picture, side_by_side
from mtl_keras.reports.svg import Drawing, svg

MAX_FIGURES = 8
"""Up to this many binary tasks, each has its own figures; for more there is a table."""
_SIDE, _SMALL_SIDE, _MAP_SIDE = 128, 96, 160
"""Pixels of the longer side of an image, of a small one if there are many tasks, and of a map."""


def predictions(saved: SavedArrays, outputs: Mapping[str, Output]) -> dict[str, Any]:
    """Returns figures and tables of the predictions on the test split.

    Args:
        saved: `predictions.npz`.
        outputs: task -> description of its output.

    Raises:
        ValueError: if the file is damaged.
    """
    binary: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    dense: list[dict[str, Any]] = []
    unlabelled: list[str] = []
    rows: list[list[object]] = []
    many = sum(output.head == "binary" for output in outputs.values()) > MAX_FIGURES
    try:
        for name, output in outputs.items():
            if output.head == "reconstruction":
                continue
            if output.is_dense:
                dense.append(dense_task(saved, name, output))
                continue
            true, predicted = labelled(output, saved.get(f"true/{name}"), saved.get(f"pred/{name}"))
            if not len(true):
                unlabelled.append(name)
            elif output.head == "classification":
                others.append(_classification(name, output, true.astype(int), predicted))
            elif output.head == "regression":
                others.append(_regression(name, output, true, predicted))
            elif many:
                rows.append(_binary_row(name, true > 0.5, predicted.reshape(-1)))
            else:
                binary.append(_binary(name, output, true > 0.5, predicted.reshape(-1)))
    except (IndexError, TypeError) as cause:
        raise ValueError(f"{saved.path} is damaged: {cause}") from cause
    return {"unlabelled": unlabelled, "binary_rows": rows, "tasks": [*binary, *others, *dense]}


def labelled(output: Output, true: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels and predictions of the examples that have all of their labels.

    Those of numbers are `(examples, numbers)`; classes are `(examples,)`.
    """
    flat = np.asarray(true, "float64").reshape(len(true), -1)
    present = np.isfinite(flat).all(axis=1)
    if output.head in ("classification", "binary"):
        present &= flat[:, 0] >= 0
        return flat[present, 0], predicted[present]
    return flat[present], predicted[present].reshape(-1, flat.shape[1])


def _classification(name: str, output: Output, true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    classes = output.classes
    decided = predicted.argmax(axis=1)
    counts = confusion_matrix(true, decided, labels=range(len(classes)))
    confused = [f"{one!r} predicted as {other!r} ({count})" for one, other, count in most_confused(counts, classes)]
    curves = [precision_recall(each, true == index, predicted[:, index]) for index, each in enumerate(classes)]
    curves.sort(key=lambda each: each.average_precision)
    calibrated = calibration(decided == true, predicted.max(axis=1))
    alt = f"Confusion matrix of {name}. Most often confused: {listed(confused)}."
    drawings = [svg(confusion_figure(counts, classes), alt), _classifier(name, curves, calibrated)]
    return {"heading": f"{name}: classes", "drawings": drawings}


def _binary(name: str, output: Output, true: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    no, yes = output.classes
    counts = confusion_matrix(true, probability > 0.5, labels=[False, True])
    shares = f"{counts[1, 1]} of {counts[1].sum()} {yes!r} and {counts[0, 1]} of {counts[0].sum()} {no!r}"
    alt = f"Confusion matrix of {name}. {shares} were predicted as {yes!r}."
    curves = [precision_recall(yes, true, probability)]
    drawings = [
        svg(confusion_figure(counts, [no, yes]), alt),
        _classifier(name, curves, calibration(true, probability)),
    ]
    return {"heading": f"{name}: decisions at 0.5", "drawings": drawings}


def _classifier(name: str, curves: list[PrecisionRecall], calibrated: Calibration) -> Drawing:
    known = [each.average_precision for each in curves if np.isfinite(each.average_precision)]
    average = "Average precision" if len(curves) == 1 else "Mean average precision of the classes"
    alt = (
        f"Precision over recall, and calibration, of {name}. {average}: "
        f"{decimal(float(np.mean(known)) if known else None, 3)}. Expected calibration error: "
        f"{decimal(calibrated.error, 3)}."
    )
    if len(curves) > MAX_CURVES:
        alt += f" The figure shows the {MAX_CURVES} classes with the lowest average precision."
    return svg(classifier_figure(curves, calibrated), alt)


def _binary_row(name: str, true: np.ndarray, probability: np.ndarray) -> list[object]:
    counts = confusion_matrix(true, probability > 0.5, labels=[False, True])
    curve, calibrated = precision_recall(name, true, probability), calibration(true, probability)
    small_recall, small_calibration = (
        small_curve(curve.recall, curve.precision),
        small_curve(calibrated.probability, calibrated.frequency, diagonal=True),
    )
    row: list[object] = [name, percent(float(true.mean())), *counts[1, ::-1], *counts[0, ::-1]]
    row += [decimal(curve.average_precision, 3), svg(small_recall, f"precision over recall of {name}")]
    return [*row, decimal(calibrated.error, 3), svg(small_calibration, f"calibration of {name}")]


def _regression(name: str, output: Output, true: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    names = [f"{point} {axis}" for point in output.labels for axis in "xy"] if output.is_points else [name]
    if len(names) != true.shape[1]:
        names = list(map(str, range(true.shape[1])))
    rows = []
    for column, each in enumerate(names):
        labels, error = true[:, column], predicted[:, column] - true[:, column]
        r2 = r2_score(labels, predicted[:, column]) if len(labels) > 1 else None
        rows.append([each, *map(decimal, (np.abs(error).mean(), error.mean(), labels.std(), r2))])
    alt = f"Predicted over true {name}; predictions on the dashed line are exact."
    if true.shape[1] > 1:
        alt += " All numbers of the task are in one figure."
    drawing = svg(scatter_figure(true.ravel(), predicted.ravel()), alt)
    return {"heading": f"{name}: predicted against true", "drawings": [drawing], "name": name, "errors": rows}


def examples(saved: SavedArrays, outputs: Mapping[str, Output]) -> dict[str, Any]:
    """Returns, for each task, the images of the test split with the smallest and the largest loss.

    `tasks` has the pictures of each task, or for a dense task the result of `dense_examples`; `drawn` is whether points
    or reconstructions are drawn. `saved` is `examples.npz`; other arguments and errors are those of `predictions`.
    """
    many = len(outputs) > MAX_FIGURES
    tasks: dict[str, Any] = {}
    try:
        for name, output in outputs.items():
            rows = [(kind, int(row)) for kind in ("best", "worst") for row in saved.get(f"{kind}/{name}")]
            if output.is_dense:
                tasks[name] = dense_examples(saved, rows, name, output, _SMALL_SIDE if many else _MAP_SIDE)
            else:
                side = _SMALL_SIDE if many else _SIDE
                tasks[name] = [_example(saved, row, kind, name, output, side) for kind, row in rows]
    except (IndexError, TypeError, ValueError) as cause:
        raise ValueError(f"{saved.path} is damaged: {cause}") from cause
    drawn = any(output.is_drawn and not output.is_dense for output in outputs.values())
    return {"many": many, "drawn": drawn, "tasks": tasks}


def _example(saved: SavedArrays, row: int, kind: str, task: str, output: Output, side: int) -> dict[str, Any]:
    true, predicted = saved.get(f"true/{task}")[row], saved.get(f"pred/{task}")[row]
    image = saved.get("images")[row]
    if output.head == "reconstruction":
        drawn = side_by_side([picture(image, side=side), picture(predicted, side=side)])
        true, predicted = (np.asarray(values, "float64") / 255 for values in (true, predicted))
    elif output.is_points:
        drawn = picture(image, true_points=true, predicted_points=predicted, side=side)
    else:
        drawn = picture(image, side=side)
    name = saved.example_name(row)
    return {
        "source": data_uri(drawn),
        "size": drawn.size,
        "alt": f"{name} of the test split, {kind} of {task}",
        "caption": f"{kind}, {name}: {output.describe_result(true, predicted)}",
    }
