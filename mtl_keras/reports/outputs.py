"""`Output`: describes a task's predictions and formats them as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_keras.tasks import HEADS

_NO_LABEL = "no label"


@dataclass(frozen=True)
class Output:
    """Describes the predictions of one task.

    Args:
        head: one of `mtl_keras.tasks.HEADS`.
        shape: shape of one prediction.
        labels: names of the classes or points.
    """

    head: str
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Output:
        """Returns the output described by `{"head": ..., "shape": ..., "labels": ...}`.

        Raises:
            ValueError: if one of them is missing or invalid.
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
    def is_drawn(self) -> bool:
        """Whether a prediction is shown in a picture (points, images) and not as text."""
        return self.is_points or self.head == "reconstruction"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; their indices if they have no names."""
        count = 2 if self.head == "binary" else self.shape[-1]
        return self.labels if len(self.labels) == count else tuple(map(str, range(count)))

    def class_of(self, predicted: np.ndarray) -> int:
        """Returns the index of the predicted class of a prediction `(classes,)` or `(1,)`."""
        values = np.asarray(predicted).reshape(-1)
        return int(values[0] > 0.5) if self.head == "binary" else int(values.argmax())

    def confidence(self, predicted: np.ndarray) -> float:
        """Returns the predicted probability of the predicted class."""
        values = np.asarray(predicted, "float64").reshape(-1)
        return float(max(values[0], 1 - values[0]) if self.head == "binary" else values.max())

    def describe(self, predicted: np.ndarray) -> str:
        """Returns a prediction as text: `"coat (87%)"`, `"23.4"`."""
        if self.head in ("classification", "binary"):
            return f"{self.classes[self.class_of(predicted)]} ({self.confidence(predicted):.0%})"
        if self.is_points:
            return f"{len(self.labels)} points"
        return "an image" if self.head == "reconstruction" else _numbers(np.asarray(predicted).reshape(-1))

    def describe_label(self, true: np.ndarray) -> str:
        """Returns a label as text; `"no label"` if it is missing."""
        values = np.asarray(true, "float64").reshape(-1)
        if self.head in ("classification", "binary"):
            return self.classes[int(values[0])] if np.isfinite(values[0]) and values[0] >= 0 else _NO_LABEL
        if not np.isfinite(values).any():
            return _NO_LABEL
        if self.is_points:
            return f"{len(self.labels)} points"
        return "an image" if self.head == "reconstruction" else _numbers(values)

    def describe_result(self, true: np.ndarray, predicted: np.ndarray) -> str:
        """Returns a label and a prediction as text: `"right: coat (87%)"`, `"wrong: coat (51%), true: shirt"`."""
        label, prediction = self.describe_label(true), self.describe(predicted)
        if label == _NO_LABEL:
            return f"{prediction}, {_NO_LABEL}"
        if self.head in ("classification", "binary"):
            right = int(np.asarray(true).reshape(-1)[0]) == self.class_of(predicted)
            return f"right: {prediction}" if right else f"wrong: {prediction}, true: {label}"
        error = float(np.nanmean(np.abs(np.subtract(predicted, true, dtype="float64"))))
        if self.is_drawn:
            return f"mean absolute error {error:.3g}"
        return f"{prediction}, true: {label}"


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
