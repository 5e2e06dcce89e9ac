"""`Output`: what is known of a task's predictions, and how they are put into words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

HEADS = ("classification", "binary", "regression", "reconstruction")
_NO_LABEL = "no label"


@dataclass(frozen=True)
class Output:
    """What one task predicts.

    Args:
        head: one of `mtl_keras.tasks.HEADS`.
        shape: of a prediction.
        labels: names of the classes, or of the points.
    """

    head: str
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Output:
        """Returns what `{"head": ..., "shape": ..., "labels": ...}` says.

        Raises:
            ValueError: if one of them is not there or not what it should be.
        """
        try:
            head, shape, labels = values["head"], tuple(map(int, values["shape"])), tuple(map(str, values["labels"]))
        except (KeyError, TypeError, ValueError) as cause:
            raise ValueError(f"a task is described by head, shape and labels. Received: {values!r}") from cause
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}. Received: head={head!r}")
        return cls(head, shape, labels)

    @property
    def is_points(self) -> bool:
        """Whether a prediction is points in the image: x0, y0, x1, y1, ... in [0, 1]."""
        return self.head == "regression" and bool(self.labels) and 2 * len(self.labels) == self.shape[0]

    @property
    def says_more_than_a_picture(self) -> bool:
        """Whether there are words for a prediction: there are none for points and images."""
        return not self.is_points and self.head != "reconstruction"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; their numbers where they have no names."""
        count = 2 if self.head == "binary" else self.shape[-1]
        return self.labels if len(self.labels) == count else tuple(map(str, range(count)))

    def class_of(self, predicted: np.ndarray) -> int:
        """Returns the class that a prediction `(classes,)` or `(1,)` decides for."""
        values = np.asarray(predicted).reshape(-1)
        return int(values[0] > 0.5) if self.head == "binary" else int(values.argmax())

    def probability(self, predicted: np.ndarray) -> float:
        """Returns how likely the model takes the class that it decides for to be."""
        values = np.asarray(predicted, "float64").reshape(-1)
        return float(max(values[0], 1 - values[0]) if self.head == "binary" else values.max())

    def said(self, predicted: np.ndarray) -> str:
        """Returns a prediction in words: `"coat (87%)"`, `"23.4"`."""
        if self.head in ("classification", "binary"):
            return f"{self.classes[self.class_of(predicted)]} ({self.probability(predicted):.0%})"
        if self.is_points:
            return f"{len(self.labels)} points"
        return "an image" if self.head == "reconstruction" else _numbers(np.asarray(predicted).reshape(-1))

    def label(self, true: np.ndarray) -> str:
        """Returns a label in words; one that is missing is `"no label"`."""
        values = np.asarray(true, "float64").reshape(-1)
        if self.head in ("classification", "binary"):
            return self.classes[int(values[0])] if np.isfinite(values[0]) and values[0] >= 0 else _NO_LABEL
        if not np.isfinite(values).any():
            return _NO_LABEL
        if self.is_points:
            return f"{len(self.labels)} points"
        return "an image" if self.head == "reconstruction" else _numbers(values)

    def compared(self, true: np.ndarray, predicted: np.ndarray) -> str:
        """Returns a label and a prediction in words: `"right: coat (87%)"`, `"wrong: coat (51%), it is a shirt"`."""
        label, said = self.label(true), self.said(predicted)
        if label == _NO_LABEL:
            return f"{said}, {_NO_LABEL}"
        if self.head in ("classification", "binary"):
            right = int(np.asarray(true).reshape(-1)[0]) == self.class_of(predicted)
            return f"right: {said}" if right else f"wrong: {said}, true: {label}"
        error = float(np.nanmean(np.abs(np.subtract(predicted, true, dtype="float64"))))
        if self.is_points or self.head == "reconstruction":
            return f"mean absolute error {error:.3g}"
        return f"{said}, true: {label}"


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
