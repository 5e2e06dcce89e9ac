"""Scores of predictions for a whole split: decisions, classes and facial landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtl_keras.extras import import_extra

SCORES = ("accuracy", "precision", "recall", "f1")

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]
"""The labels and the probabilities of each binary task."""


def binary_scores(true: np.ndarray, pred: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Returns accuracy, precision, recall and F1 of a binary task, computed by scikit-learn.

    A score with a zero denominator (e.g. precision without any "yes" decision) is 0. Without any samples, all scores
    are NaN.

    Args:
        true: labels `(samples, ...)`, 0 or 1, none missing.
        pred: probabilities `(samples, ...)` of 1.
        threshold: the probability above which the decision is "yes", as in `keras.metrics.BinaryAccuracy`.
    """
    labels, decided = np.ravel(true) > 0.5, np.ravel(pred) > threshold
    if not labels.size:
        return dict.fromkeys(SCORES, float("nan"))
    metrics = import_extra("sklearn.metrics", "analysis")
    scores = metrics.precision_recall_fscore_support(labels, decided, average="binary", zero_division=0)[:3]
    return dict(zip(SCORES, map(float, (np.mean(labels == decided), *scores))))


def macro_scores(tasks: Pairs) -> dict[str, float]:
    """Returns the mean of each score over the binary tasks that have samples; NaN if none has.

    The macro F1 is the mean of the tasks' F1, not the F1 of macro precision and macro recall.
    """
    rows = [list(binary_scores(true, pred).values()) for true, pred in tasks if np.size(true)]
    means = np.mean(rows, axis=0).tolist() if rows else [float("nan")] * len(SCORES)
    return dict(zip(SCORES, means))


def micro_scores(tasks: Pairs) -> dict[str, float]:
    """Returns the scores of the pooled decisions of all binary tasks. Its accuracy is also called overall accuracy."""
    if not tasks:
        return dict.fromkeys(SCORES, float("nan"))
    true, pred = (np.concatenate([np.ravel(values) for values in side]) for side in zip(*tasks))
    return binary_scores(true, pred)


def macro_f1(true: np.ndarray, pred: np.ndarray) -> float:
    """Returns scikit-learn's macro F1: the mean F1 of the classes that occur among labels or decisions.

    Args:
        true: class indices `(samples, ...)`, none missing.
        pred: scores `(samples, ..., classes)`; the highest decides.
    """
    labels, decided = np.ravel(true).astype(int), np.ravel(pred.argmax(axis=-1))
    if not labels.size:
        return float("nan")
    metrics = import_extra("sklearn.metrics", "analysis")
    return float(metrics.f1_score(labels, decided, average="macro", zero_division=0))


def inter_ocular_error(true: np.ndarray, pred: np.ndarray, left_eye: int = 0, right_eye: int = 1) -> float:
    """Returns the normalised mean error (NME) of landmarks: mean point error divided by the distance of the true eyes.

    The quotient is computed for each face and averaged over the faces. Faces whose true eyes coincide are left out; the
    result is NaN if there are no other faces.

    Args:
        true: `(faces, 2 * points)`: x0, y0, x1, y1, ...
        pred: predictions of the same shape.
        left_eye: index of the left eye among the points.
        right_eye: index of the right eye among the points.

    References:
        Z. Zhang, P. Luo, C. C. Loy, X. Tang, *Facial Landmark Detection by Deep Multi-task Learning*, ECCV 2014;
        extended in https://arxiv.org/abs/1408.3967.
    """
    true_points, points = (
        np.asarray(array, "float64").reshape(len(array), array.shape[1] // 2, 2) for array in (true, pred)
    )
    error = np.linalg.norm(true_points - points, axis=-1).mean(axis=-1)
    eye_distance = np.linalg.norm(true_points[:, left_eye] - true_points[:, right_eye], axis=-1)
    valid = eye_distance > 0
    return float(np.mean(error[valid] / eye_distance[valid])) if valid.any() else float("nan")
