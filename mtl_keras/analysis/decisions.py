"""Decisions between two or more classes, counted: accuracy, precision, recall and F1, of a task and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SCORES = ("accuracy", "precision", "recall", "f1")


@dataclass(frozen=True)
class Decisions:
    """How often a yes-or-no decision was right and wrong.

    Sums of `Decisions` are pooled decisions: their scores are the micro averages of those of the parts.

    A share of nothing (the precision where no "yes" was decided, say) is 0, as in scikit-learn, except that all scores
    of no decisions at all are NaN.

    Args:
        true_positives: decided "yes", and it is.
        false_positives: decided "yes", and it is not.
        false_negatives: decided "no", and it is "yes".
        true_negatives: decided "no", and it is.
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
        """Share of the decisions for "yes" that are right."""
        return self._share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of what is "yes" that was found."""
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
    """Counts the decisions that probabilities amount to.

    Args:
        true: labels `(samples, ...)`, 0 or 1, none missing.
        pred: probabilities `(samples, ...)` of 1.
        threshold: the probability above which the decision is "yes", as in `keras.metrics.BinaryAccuracy`.
    """
    is_yes, says_yes = np.asarray(true) > 0.5, np.asarray(pred) > threshold
    found, said, there = (int(np.count_nonzero(part)) for part in (is_yes & says_yes, says_yes, is_yes))
    return Decisions(found, said - found, there - found, is_yes.size - said - there + found)


def macro_scores(tasks: Sequence[Decisions]) -> dict[str, float]:
    """Returns the mean of each score over the tasks that have decisions; NaN if none has.

    The macro F1 is the mean of the tasks' F1, not the F1 of macro precision and macro recall.
    """
    rows = [list(task.scores().values()) for task in tasks if task.count]
    means = np.mean(rows, axis=0).tolist() if rows else [float("nan")] * len(SCORES)
    return dict(zip(SCORES, means))


def micro_scores(tasks: Sequence[Decisions]) -> dict[str, float]:
    """Returns the scores of the decisions of all tasks in one pool. Micro accuracy is also called overall accuracy."""
    return sum(tasks, Decisions()).scores()


def macro_f1(true: np.ndarray, pred: np.ndarray) -> float:
    """Returns the mean F1 of the classes that occur among labels or decisions, as scikit-learn does.

    Args:
        true: class indices `(samples, ...)`, none missing.
        pred: scores `(samples, ..., classes)`; the highest decides.
    """
    classes = pred.shape[-1]
    chosen, right = pred.argmax(axis=-1).ravel(), np.asarray(true).astype(int).ravel()
    said, there = np.bincount(chosen, minlength=classes), np.bincount(right, minlength=classes)
    found = np.bincount(right[right == chosen], minlength=classes)
    occurs = said + there > 0
    return float(np.mean(2 * found[occurs] / (said + there)[occurs])) if occurs.any() else float("nan")
