"""Metrics of depth."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import keras
from keras import ops

from mtl_keras.checks import check_positive, unknown_value
from mtl_keras.dense_metrics.base import DenseMetric, without_channel


class _DepthMetric(DenseMetric):
    """A metric of distances `(batch, height, width)` or `(batch, height, width, 1)`, in the unit of the labels."""

    def __init__(self, invalid: float | None, per_batch: bool, name: str, dtype: Any) -> None:
        super().__init__(per_batch, name, dtype)
        self.invalid = invalid

    def valid(self, y_true: Any) -> Any:
        depth = without_channel(y_true)
        known = ops.logical_not(ops.isnan(depth))
        return known if self.invalid is None else ops.logical_and(known, depth != self.invalid)

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        return self.compare(*(ops.cast(without_channel(depth), self.dtype) for depth in (y_true, y_pred)))

    @abstractmethod
    def compare(self, true: Any, predicted: Any) -> Any:
        """Returns a number for each pixel; arguments and result are `(batch, height, width)`."""

    def get_config(self) -> dict[str, Any]:
        return {"invalid": self.invalid, **super().get_config()}


@keras.saving.register_keras_serializable("mtl_keras")
class DepthError(_DepthMetric):
    """Error of depth.

    Args:
        kind: `"absolute"`: mean of `|p - g|`; `"relative"`: mean of `|p - g| / g`; `"rmse"`: root of the mean of
            `(p - g)^2`, for predictions `p` and labels `g`.
        invalid: the label of pixels without depth, besides NaN; `None` if every number is a depth.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs; by default `depth_error`, `relative_error` or `rmse`.
        dtype: dtype of the sums.

    Raises:
        ValueError: for an unknown kind.
    """

    _direction = "down"

    def __init__(
        self,
        kind: Literal["absolute", "relative", "rmse"] = "absolute",
        invalid: float | None = 0.0,
        per_batch: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        names = {"absolute": "depth_error", "relative": "relative_error", "rmse": "rmse"}
        if kind not in names:
            raise unknown_value("kind of DepthError", kind, names)
        super().__init__(invalid, per_batch, name or names[kind], dtype)
        self.kind = kind

    def compare(self, true: Any, predicted: Any) -> Any:
        error = ops.abs(predicted - true)
        return error / true if self.kind == "relative" else ops.square(error) if self.kind == "rmse" else error

    def value(self, totals: Any) -> Any:
        mean = super().value(totals)
        return ops.sqrt(mean) if self.kind == "rmse" else mean

    def get_config(self) -> dict[str, Any]:
        return {"kind": self.kind, **super().get_config()}


@keras.saving.register_keras_serializable("mtl_keras")
class DepthAccuracy(_DepthMetric):
    """Share of the pixels whose predicted depth is within a factor of the true one: `max(p / g, g / p) < threshold`.

    Published tables have the thresholds 1.25, 1.25^2 and 1.25^3.

    Args:
        threshold: the factor, > 0.
        invalid: the label of pixels without depth, besides NaN; `None` if every number is a depth.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs; by default `within_<threshold>`, with three digits.
        dtype: dtype of the sums.
    """

    _direction = "up"

    def __init__(
        self,
        threshold: float = 1.25,
        invalid: float | None = 0.0,
        per_batch: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.threshold = check_positive("threshold", threshold)
        super().__init__(invalid, per_batch, name or f"within_{threshold:.3g}", dtype)

    def compare(self, true: Any, predicted: Any) -> Any:
        ratio = ops.maximum(predicted / true, true / predicted)
        return ops.logical_and(ratio < self.threshold, predicted > 0)

    def get_config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, **super().get_config()}
