"""Scores of decisions and landmarks, against formulas written out."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from mtl_keras.analysis import SCORES, binary_scores, inter_ocular_error, macro_f1, macro_scores, micro_scores


def decisions(hits: int, false_alarms: int, misses: int, rejections: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the labels and predictions of so many decisions of each kind."""
    counts = (hits, false_alarms, misses, rejections)
    true, pred = np.repeat([[1.0, 0.0, 1.0, 0.0], [0.9, 0.9, 0.1, 0.1]], counts, axis=1)
    return true, pred[:, None]


def scores(*values: float) -> dict[str, float]:
    return dict(zip(SCORES, values))


def test_a_probability_of_one_half_is_a_no() -> None:
    true = np.array([[1.0], [1.0], [1.0], [0.0], [0.0], [0.0], [0.0]])
    pred = np.array([[0.9], [0.51], [0.5], [0.7], [0.1], [0.2], [0.0]])
    assert binary_scores(true, pred) == pytest.approx(scores(5 / 7, 2 / 3, 2 / 3, 2 / 3))
    assert binary_scores(true, pred, threshold=0.6) == pytest.approx(scores(4 / 7, 1 / 2, 1 / 3, 2 / 5))


def test_they_are_what_keras_says() -> None:
    rng = np.random.default_rng(0)
    true, pred = (rng.random((200, 1)) < 0.2).astype("float32"), rng.random((200, 1)).astype("float32")
    found = binary_scores(true, pred)
    metrics = {
        "accuracy": keras.metrics.BinaryAccuracy(),
        "precision": keras.metrics.Precision(),
        "recall": keras.metrics.Recall(),
        "f1": keras.metrics.F1Score(average="micro", threshold=0.5),
    }
    for name, metric in metrics.items():
        metric.update_state(true, pred)
        assert found[name] == pytest.approx(float(metric.result()), abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((0, 0, 2, 3), (0.6, 0.0, 0.0, 0.0)),  # no "yes" decision
        ((0, 2, 0, 3), (0.6, 0.0, 0.0, 0.0)),  # no "yes" label
        ((0, 0, 0, 5), (1.0, 0.0, 0.0, 0.0)),  # neither
        ((5, 0, 0, 0), (1.0, 1.0, 1.0, 1.0)),
        ((0, 0, 0, 0), (math.nan,) * 4),
    ],
)
def test_scores_with_a_zero_denominator(counts: tuple[int, ...], expected: tuple[float, ...]) -> None:
    assert binary_scores(*decisions(*counts)) == pytest.approx(scores(*expected), nan_ok=True)


def test_macro_is_the_mean_of_the_tasks_and_micro_their_pool() -> None:
    tasks = [decisions(1, 1, 0, 0), decisions(2, 0, 6, 2), decisions(0, 0, 0, 0)]
    expected = scores((1 / 2 + 4 / 10) / 2, 3 / 4, 5 / 8, (2 / 3 + 4 / 10) / 2)
    assert macro_scores(tasks) == pytest.approx(expected)
    assert micro_scores(tasks) == pytest.approx(scores(5 / 12, 3 / 4, 3 / 9, 6 / 13))
    for nothing in ([], tasks[2:]):
        assert all(
            math.isnan(value) for found in (macro_scores(nothing), micro_scores(nothing)) for value in found.values()
        )


def test_macro_f1_of_classes() -> None:
    true, chosen = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    # Class 3 occurs nowhere and does not count; class 2 was never found.
    assert macro_f1(true, np.eye(4)[chosen]) == pytest.approx((2 * 2 / 6 + 2 * 2 / 5 + 0) / 3)
    assert macro_f1(true, np.eye(3)[true]) == 1.0
    pixels = macro_f1(true.reshape(1, 2, 3), np.eye(4)[chosen].reshape(1, 2, 3, 4))
    assert pixels == pytest.approx(macro_f1(true, np.eye(4)[chosen]))
    assert math.isnan(macro_f1(np.zeros(0, int), np.zeros((0, 3))))


# left eye, right eye, nose
FACE = np.array([0.0, 0.0, 4.0, 0.0, 2.0, 3.0])
OFFSET = np.array([0.0, 0.0, 0.0, 0.0, 3.0, 4.0])


def test_the_landmark_error_does_not_depend_on_the_size_of_the_face() -> None:
    # One point of three is off by 5, the eyes are 4 apart.
    true = np.stack([FACE, 10 * FACE + 1])
    pred = np.stack([FACE + OFFSET, 10 * (FACE + OFFSET) + 1])
    assert inter_ocular_error(true[:1], pred[:1]) == pytest.approx(5 / 3 / 4)
    assert inter_ocular_error(true, pred) == pytest.approx(5 / 3 / 4)


def test_the_landmark_error_is_the_mean_over_faces() -> None:
    true = np.stack([FACE, FACE])
    assert inter_ocular_error(true, np.stack([FACE, FACE + OFFSET])) == pytest.approx(5 / 3 / 4 / 2)


def test_which_points_are_the_eyes() -> None:
    assert inter_ocular_error(FACE[None], (FACE + OFFSET)[None], 2, 0) == pytest.approx(5 / 3 / math.sqrt(13))


def test_faces_without_a_distance_do_not_count() -> None:
    true = np.stack([np.zeros(6), FACE])
    assert inter_ocular_error(true, true + OFFSET) == pytest.approx(5 / 3 / 4)
    assert math.isnan(inter_ocular_error(true[:1], true[:1]))
    assert math.isnan(inter_ocular_error(np.zeros((0, 6)), np.zeros((0, 6))))
