"""Confusion matrices, precision-recall, calibration, scatter plots and pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from mtl_keras.reports.diagnostics import (
    MAX_CURVES,
    calibration,
    classifier_figure,
    confusion_figure,
    most_confused,
    precision_recall,
    scatter_figure,
)
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import data_uri, picture, side_by_side, with_caption
from mtl_keras.reports.style import GREEN, VERMILLION

COUNTS = np.array([[8, 2, 0], [0, 0, 0], [3, 1, 4]])


def test_a_confusion_matrix_has_shares_of_the_true_classes() -> None:
    axes = confusion_figure(COUNTS, ["a", "b", "c"]).axes[0]
    shown = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_allclose(shown, [[0.8, 0.2, 0], [np.nan] * 3, [0.375, 0.125, 0.5]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert most_confused(COUNTS, ["a", "b", "c"]) == [("c", "a", 3), ("a", "b", 2), ("c", "b", 1)]


def test_many_classes_are_drawn_without_names() -> None:
    axes = confusion_figure(np.eye(100, dtype=int), list(map(str, range(100)))).axes[0]
    assert not axes.get_yticklabels()


def test_precision_recall_curve_has_its_average_precision() -> None:
    rng = np.random.default_rng(0)
    true = rng.random(500) < 0.3
    probability = np.clip(true * 0.3 + rng.random(500) * 0.7, 0, 1)
    found = precision_recall("yes", true, probability)
    assert found.average_precision == pytest.approx(average_precision_score(true, probability))
    assert len(found.recall) <= 61
    assert (found.recall[0], found.recall[-1]) == (1, 0)
    assert np.isnan(precision_recall("never", np.zeros(3, bool), np.ones(3)).average_precision)


def test_calibration_is_the_share_of_correct_predictions() -> None:
    probability = np.array([0.05, 0.05, 0.95, 0.95, 0.95, 0.95])
    calibrated = calibration(np.array([0, 1, 1, 1, 1, 0], bool), probability)
    np.testing.assert_allclose(calibrated.probability, [0.05, 0.95])
    np.testing.assert_allclose(calibrated.frequency, [0.5, 0.75])
    assert calibrated.error == pytest.approx((2 * 0.45 + 4 * 0.2) / 6)
    axes = classifier_figure([precision_recall("yes", probability > 0.5, probability)], calibrated).axes[1]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), calibrated.frequency)


def test_the_curves_of_twelve_classes_can_be_told_apart() -> None:
    rng = np.random.default_rng(0)
    curves = [precision_recall(str(number), rng.random(50) < 0.5, rng.random(50)) for number in range(MAX_CURVES)]
    lines = classifier_figure(curves, calibration(rng.random(50) < 0.5, rng.random(50))).axes[0].lines
    assert len(lines) == MAX_CURVES >= 12
    dashes = [(line._dash_pattern[0], tuple(line._dash_pattern[1] or ())) for line in lines]
    assert len({(line.get_color(), dash) for line, dash in zip(lines, dashes)}) == len(lines)
    assert len({(line.get_marker(), dash) for line, dash in zip(lines, dashes)}) == len(lines)


def test_predicted_numbers_are_drawn_over_true_ones() -> None:
    true = np.arange(1000.0)
    line = scatter_figure(true, true + 1).axes[0].lines[1]
    assert len(line.get_xdata()) == 400
    np.testing.assert_array_equal(line.get_ydata(), line.get_xdata() + 1)


def test_points_are_drawn_where_they_are() -> None:
    black = np.zeros((50, 50, 1), np.float32)
    drawn = picture(black, true_points=np.array([0.25, 0.5, np.nan, 0.5]), predicted_points=np.array([0.75, 0.5]))
    assert drawn.size == (128, 128)
    pixels = np.asarray(drawn)
    for colour, column in ((GREEN, 32), (VERMILLION, 96)):
        expected = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        _, columns = np.nonzero((pixels == expected).all(axis=-1))
        assert abs(columns.mean() - column) < 2


def test_pictures_are_joined_captioned_and_embedded() -> None:
    one = picture(np.full((10, 20, 3), 200, np.uint8), side=40)
    assert one.size == (40, 20)
    assert side_by_side([one, one]).width == 84
    sheet = with_caption(one, ["a line that is much too long for a picture of this width, and so it is wrapped"])
    assert sheet.width == 200
    assert sheet.height > 20 + 2 * 14
    content = base64.b64decode(data_uri(one).removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(content)).size == one.size


@pytest.mark.parametrize(
    ("output", "true", "predicted", "words"),
    [
        (Output("classification", (2,), ("a", "b")), 1, [0.2, 0.8], "right: b (80%)"),
        (Output("classification", (2,)), 0, [0.2, 0.8], "wrong: 1 (80%), true: 0"),
        (Output("classification", (2,)), -1, [0.2, 0.8], "1 (80%), no label"),
        (Output("binary", (1,), ("no", "yes")), 0.0, [0.3], "right: no (70%)"),
        (Output("binary", (1,), ("no", "yes")), np.nan, [0.3], "no (70%), no label"),
        (Output("regression", (1,)), [2.5], [3.0], "3, true: 2.5"),
        (Output("regression", (4,), ("eye", "nose")), [0, 0, 0, 0], [0.1, 0.1, 0, 0], "mean absolute error 0.05"),
        (Output("reconstruction", (1, 1, 1)), [[[0.5]]], [[[0.25]]], "mean absolute error 0.25"),
    ],
)
def test_descriptions_of_predictions(output: Output, true: object, predicted: object, words: str) -> None:
    assert output.describe_result(np.array(true), np.array(predicted)) == words
