"""Counted decisions, against formulas written out."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from mtl_keras.analysis import Decisions, count_decisions, macro_f1, macro_scores, micro_scores


def test_counts_and_scores() -> None:
    true = np.array([[1.0], [1.0], [1.0], [0.0], [0.0], [0.0], [0.0]])
    pred = np.array([[0.9], [0.51], [0.5], [0.7], [0.1], [0.2], [0.0]])  # 0.5 is not above the threshold
    decisions = count_decisions(true, pred)
    assert decisions == Decisions(2, 1, 1, 3)
    expected = {"accuracy": 5 / 7, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
    assert decisions.scores() == pytest.approx(expected)
    assert count_decisions(true, pred, threshold=0.6) == Decisions(1, 1, 2, 3)


def test_they_are_what_keras_says() -> None:
    rng = np.random.default_rng(0)
    true, pred = (rng.random((200, 1)) < 0.2).astype("float32"), rng.random((200, 1)).astype("float32")
    scores = count_decisions(true, pred).scores()
    metrics = {
        "accuracy": keras.metrics.BinaryAccuracy(),
        "precision": keras.metrics.Precision(),
        "recall": keras.metrics.Recall(),
        "f1": keras.metrics.F1Score(average="micro", threshold=0.5),
    }
    for name, metric in metrics.items():
        metric.update_state(true, pred)
        assert scores[name] == pytest.approx(float(metric.result()), abs=1e-6)


def test_a_share_of_nothing() -> None:
    assert Decisions(0, 0, 2, 3).scores() == {"accuracy": 0.6, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert Decisions(0, 0, 0, 5).scores() == {"accuracy": 1.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert all(map(math.isnan, Decisions().scores().values()))


def test_macro_is_the_mean_of_the_tasks_and_micro_their_pool() -> None:
    tasks = [Decisions(1, 1, 0, 0), Decisions(2, 0, 6, 2), Decisions()]
    expected = {"accuracy": (1 / 2 + 4 / 10) / 2, "precision": 3 / 4, "recall": 5 / 8, "f1": (2 / 3 + 4 / 10) / 2}
    assert macro_scores(tasks) == pytest.approx(expected)
    pooled = {"accuracy": 5 / 12, "precision": 3 / 4, "recall": 3 / 9, "f1": 6 / 13}
    assert micro_scores(tasks) == pytest.approx(pooled)
    assert all(math.isnan(value) for scores in (macro_scores([]), micro_scores([])) for value in scores.values())


def test_macro_f1_of_classes() -> None:
    true, chosen = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0])
    # Class 3 occurs nowhere and does not count; class 2 was never found.
    assert macro_f1(true, np.eye(4)[chosen]) == pytest.approx((2 * 2 / 6 + 2 * 2 / 5 + 0) / 3)
    assert macro_f1(true, np.eye(3)[true]) == 1.0
    pixels = macro_f1(true.reshape(1, 2, 3), np.eye(4)[chosen].reshape(1, 2, 3, 4))
    assert pixels == pytest.approx(macro_f1(true, np.eye(4)[chosen]))
    assert math.isnan(macro_f1(np.zeros(0, int), np.zeros((0, 3))))
