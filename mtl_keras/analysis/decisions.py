"""Accuracy, precision, recall and F1 of classification tasks, from counts of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SCORES = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True)
class Decisions:
    """Counts of the right and wrong decisions of a binary task.

    Sums of `Decisions` are pooled decisions: their scores are the micro averages of the parts.

    A score with a zero denominator (e.g. precision without any "yes" decision) is 0, as in scikit-learn. Without any
    decisions, all scores are NaN.

    Args:
        true_positives: decision "yes", label "yes".
        false_positives: decision "yes", label "no".
        false_negatives: decision "no", label "yes".
        true_negatives: decision "no", label "no".
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    def __add__(self, other: Decisions) -> Decisions:
        return Decisions(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.true_negatives + other.true_negatives,
        )

    @property
    def count(self) -> int:
        """Number of decisions."""
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def accuracy(self) -> float:
        """Share of the decisions that are right."""
        return self._share(self.true_positives + self.true_negatives, self.count)

    @property
    def precision(self) -> float:
        """Share of the "yes" decisions that are right."""
        return self._share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the "yes" labels that were found."""
        return self._share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return self._share(
            2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives
        )

    def scores(self) -> dict[str, float]:
        """Returns the scores by name, in the order of `SCORES`."""
        return {name: getattr(self, name) for name in SCORES}

    def _share(self, part: int, whole: int) -> float:
        if not self.count:
            return float("nan")
        return part / whole if whole else 0.0


def count_decisions(true: np.ndarray, pred: np.ndarray, threshold: float = 0.5) -> Decisions:
    """Counts the decisions that follow from probabilities.

    Args:
        true: labels `(samples, ...)`, 0 or 1, none missing.
        pred: probabilities `(samples, ...)` of 1.
        threshold: the probability above which the decision is "yes", as in `keras.metrics.BinaryAccuracy`.
    """
    positive, decided = np.asarray(true) > 0.5, np.asarray(pred) > threshold
    hits, decisions, positives = (int(np.count_nonzero(part)) for part in (positive & decided, decided, positive))
    return Decisions(hits, decisions - hits, positives - hits, positive.size - decisions - positives + hits)


def macro_scores(tasks: Sequence[Decisions]) -> dict[str, float]:
    """Returns the mean of each score over the tasks that have decisions; NaN if none has.

    The macro F1 is the mean of the tasks' F1, not the F1 of macro precision and macro recall.
    """
    rows = [list(task.scores().values()) for task in tasks if task.count]
    means = np.mean(rows, axis=0).tolist() if rows else [float("nan")] * len(SCORES)
    return dict(zip(SCORES, means))


def micro_scores(tasks: Sequence[Decisions]) -> dict[str, float]:
    """Returns the scores of the pooled decisions of all tasks. Micro accuracy is also called overall accuracy."""
    return sum(tasks, Decisions()).scores()


def macro_f1(true: np.ndarray, pred: np.ndarray) -> float:
    """Returns the mean F1 of the classes that occur among labels or decisions, as scikit-learn does.

    Args:
        true: class indices `(samples, ...)`, none missing.
        pred: scores `(samples, ..., classes)`; the highest decides.
    """
    classes = pred.shape[-1]
    decided, labels = pred.argmax(axis=-1).ravel(), np.asarray(true).astype(int).ravel()
    predicted, positives = np.bincount(decided, minlength=classes), np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[labels == decided], minlength=classes)
    occurs = predicted + positives > 0
    return float(np.mean(2 * hits[occurs] / (predicted + positives)[occurs])) if occurs.any() else float("nan")
