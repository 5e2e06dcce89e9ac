"""`Output`: describes a task's predictions and formats them as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_keras.analysis import pixels
from mtl_keras.tasks import DENSE_HEADS, HEADS, Task

_NO_LABEL = "no label"
_LISTED_CLASSES, _LISTED_SHARE = 4, 0.005


@dataclass(frozen=True)
class Output:
    """Describes the predictions of one task.

    Args:
        head: one of `mtl_keras.tasks.HEADS`.
        shape: shape of one prediction.
        labels: names of the classes or points.
        invalid: of a dense task, the label of pixels that have none, besides NaN.
    """

    head: str
    shape: tuple[int, ...]
    labels: tuple[str, ...] = ()
    invalid: float | None = None

    @classmethod
    def of(cls, task: Task) -> Output:
        """Returns the description of a task's predictions."""
        return cls(task.head, task.shape, task.labels, task.invalid)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Output:
        """Returns the output described by `{"head": ..., "shape": ..., "labels": ...}`, of a dense task with `invalid`.

        Raises:
            ValueError: if one of them is missing or invalid.
        """
        try:
            head, shape, labels = values["head"], tuple(map(int, values["shape"])), tuple(map(str, values["labels"]))
            invalid = None if values.get("invalid") is None else float(values["invalid"])
        except (KeyError, TypeError, ValueError, AttributeError) as cause:
            raise ValueError(f"a task is described by head, shape and labels. Received: {values!r}") from cause
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}. Received: head={head!r}")
        return cls(head, shape, labels, invalid)

    @property
    def is_dense(self) -> bool:
        """Whether a prediction is a map: something for every pixel."""
        return self.head in DENSE_HEADS

    @property
    def is_points(self) -> bool:
        """Whether a prediction is points in the image: x0, y0, x1, y1, ... in [0, 1]."""
        return self.head == "regression" and bool(self.labels) and 2 * len(self.labels) == self.shape[0]

    @property
    def is_drawn(self) -> bool:
        """Whether a prediction is shown in a picture (points, images, maps) and not as text."""
        return self.is_points or self.is_dense or self.head == "reconstruction"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; their indices if they have no names."""
        count = 2 if self.head in ("binary", "mask") else self.shape[-1]
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
        """Returns a prediction as text: `"coat (87%)"`, `"23.4"`, `"wall 45%, floor 20%"`."""
        if self.is_dense:
            return self._describe_map(self.prediction_map(predicted))
        if self.head in ("classification", "binary"):
            return f"{self.classes[self.class_of(predicted)]} ({self.confidence(predicted):.0%})"
        if self.is_points:
            return f"{len(self.labels)} points"
        return "an image" if self.head == "reconstruction" else _numbers(np.asarray(predicted).reshape(-1))

    def describe_label(self, true: np.ndarray) -> str:
        """Returns a label as text; `"no label"` if it is missing."""
        if self.is_dense:
            return self._describe_map(self.label_map(true))
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
        if self.is_dense:
            return self.describe_measure(self.measure(true, predicted))
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

    def label_map(self, true: np.ndarray) -> np.ndarray:
        """Returns a label of a dense task as a map; maps are returned unchanged.

        Returns:
            int16 `(height, width)` class indices, -1 without a label; or floats `(height, width, channels)`, NaN
            without a label.
        """
        return pixels.label_map(self.head, np.asarray(true)[None], self.invalid)[0]

    def prediction_map(self, predicted: np.ndarray) -> np.ndarray:
        """Returns a prediction of a dense task as a map, as `label_map` does; maps are returned unchanged."""
        predicted = np.asarray(predicted)
        is_map = predicted.ndim == 2 and predicted.dtype.kind in "iu"
        return predicted.astype("int16") if is_map else pixels.prediction_map(self.head, predicted[None])[0]

    def pixel_errors(self, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """Returns the error of each pixel of a dense task `(height, width)`: `mtl_keras.analysis.pixels.pixel_errors`.

        Args:
            true: a label or its map.
            predicted: a prediction or its map.
        """
        return pixels.pixel_errors(self.head, self.label_map(true)[None], self.prediction_map(predicted)[None])[0]

    def measure(self, true: np.ndarray, predicted: np.ndarray) -> float:
        """Returns the measure of one image of a dense task: IoU of classes, mean error of others; NaN without a label.

        Args:
            true: a label or its map.
            predicted: a prediction or its map.
        """
        maps = self.label_map(true)[None], self.prediction_map(predicted)[None]
        return float(pixels.measure_images(self.head, *maps, len(self.classes))[0])

    def describe_measure(self, value: float) -> str:
        """Returns the measure of one image as text: `"mean IoU 0.43 of this image"`, `"mean angle 12.3 degrees"`."""
        if not np.isfinite(value):
            return "nothing to compare" if self.head in pixels.CLASS_HEADS else _NO_LABEL
        digits = ".2f" if self.head in pixels.CLASS_HEADS else ".3g"
        unit = " degrees" if self.head == "normals" else " of this image" if self.head in pixels.CLASS_HEADS else ""
        return f"{pixels.MEASURES[self.head]} {value:{digits}}{unit}"

    def class_shares(self, values: np.ndarray) -> np.ndarray:
        """Returns the share of each class `(classes,)` among the labelled pixels of a map; NaN without any."""
        counts = np.bincount(values[values >= 0], minlength=len(self.classes))
        return counts / counts.sum() if counts.any() else np.full(len(counts), np.nan)

    def _describe_map(self, values: np.ndarray) -> str:
        known = pixels.is_labelled(values[None])[0]
        if not known.any():
            return _NO_LABEL
        if self.head == "mask":
            return f"{self.classes[1]} {self.class_shares(values)[1]:.0%}"
        if self.head == "segmentation":
            shares = self.class_shares(values)
            order = [index for index in np.argsort(-shares, kind="stable") if shares[index] > 0]
            large = [index for index in order[:_LISTED_CLASSES] if shares[index] >= _LISTED_SHARE]
            words = [f"{self.classes[index]} {shares[index]:.0%}" for index in large]
            return ", ".join(words + ([f"{len(order) - len(words)} more"] if len(order) > len(words) else []))
        numbers = values[known].astype("float64")
        if self.head == "normals":
            return f"mean direction ({_numbers(numbers.mean(axis=0).round(2))})"
        return f"{numbers.min():.3g} to {numbers.max():.3g}, mean {numbers.mean():.3g}"


def _numbers(values: Sequence[float] | np.ndarray) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
