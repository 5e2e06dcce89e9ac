"""Metrics of segmentation and of binary masks."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mtl_keras.checks import check_integer
from mtl_keras.dense_metrics.base import DenseMetric, histogram, ratio, without_channel


class _SegmentationMetric(DenseMetric):
    """A metric of class indices `(batch, height, width)` or `(batch, height, width, 1)`.

    Predictions with one channel are probabilities of class 1. NaN in float labels is ignored too.
    """

    _direction = "up"

    def __init__(self, ignore: int = -1, per_batch: bool = False, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(per_batch, name, dtype)
        self.ignore = ignore

    def valid(self, y_true: Any) -> Any:
        labels = without_channel(y_true)
        known = labels != self.ignore
        is_float = keras.backend.is_float_dtype(keras.backend.standardize_dtype(labels.dtype))
        return ops.logical_and(known, ops.logical_not(ops.isnan(labels))) if is_float else known

    def pixels(self, y_true: Any, y_pred: Any) -> Any:
        """Returns 1 where the class is predicted, 0 elsewhere."""
        return _predicted_classes(y_pred) == _classes(y_true)

    def get_config(self) -> dict[str, Any]:
        return {"ignore": self.ignore, **super().get_config()}


def _classes(y_true: Any) -> Any:
    return ops.cast(without_channel(y_true), "int32")


def _predicted_classes(y_pred: Any) -> Any:
    if y_pred.shape[-1] == 1:
        return ops.cast(y_pred[..., 0] > 0.5, "int32")
    return ops.top_k(y_pred, 1)[1][..., 0]  # a third of the time of `argmax` on a CPU, with the same result


@keras.saving.register_keras_serializable("mtl_keras")
class PixelAccuracy(_SegmentationMetric):
    """Share of the labelled pixels whose class is predicted.

    Args:
        ignore: the label of pixels without a class.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    NAME = "pixel_accuracy"


@keras.saving.register_keras_serializable("mtl_keras")
class MeanIoU(_SegmentationMetric):
    """Mean over the classes of the intersection over union: `correct / (labelled + predicted - correct)` pixels.

    Classes that are neither in the labels nor in the predictions are left out of the mean.

    Args:
        classes: number of classes: the channels of the predictions, which are probabilities or logits.
        ignore: the label of pixels without a class.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.

    Example:

    ```python
    metric = MeanIoU(2)
    metric.update_state([[[0, 1, -1]]], keras.ops.one_hot([[[0, 0, 1]]], 2))
    metric.by_class()  # class 0: 1 of 2 pixels, class 1: 0 of 1
    ```
    """

    NAME = "mean_iou"

    def __init__(
        self, classes: int, ignore: int = -1, per_batch: bool = False, name: str | None = None, dtype: Any = None
    ) -> None:
        self.classes = check_integer("classes", classes, 1)
        super().__init__(ignore, per_batch, name, dtype)

    def size(self) -> int:
        return self.classes**2

    def sums(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """Returns the confusion matrix `(classes * classes,)`, a row for each class of the labels."""
        cells = _classes(y_true) * self.classes + _predicted_classes(y_pred)
        return histogram(cells, weight, self.classes**2)

    def value(self, totals: Any) -> Any:
        iou = self._by_class(totals)
        known = ops.logical_not(ops.isnan(iou))
        return ratio(ops.sum(ops.where(known, iou, 0.0)), ops.sum(ops.cast(known, iou.dtype)))

    def by_class(self) -> Any:
        """Returns the intersection over union of each class, `(classes,)`; NaN for a class that did not occur.

        Raises:
            ValueError: with `per_batch`, which keeps no sums over pixels.
        """
        if self.per_batch:
            raise ValueError("by_class needs the sums over all pixels. Received: per_batch=True")
        return self._by_class(self.totals.value)

    def _by_class(self, totals: Any) -> Any:
        confusion = ops.reshape(totals, (self.classes, self.classes))
        correct = ops.diagonal(confusion)
        return ratio(correct, ops.sum(confusion, axis=0) + ops.sum(confusion, axis=1) - correct)

    def get_config(self) -> dict[str, Any]:
        return {"classes": self.classes, **super().get_config()}


@keras.saving.register_keras_serializable("mtl_keras")
class MaskIoU(_SegmentationMetric):
    """Intersection over union of a binary mask: pixels in both masks, divided by those in either.

    Labels are 0 or 1, predictions probabilities `(batch, height, width, 1)`.

    Args:
        ignore: the label of pixels without one, besides NaN.
        per_batch: see `DenseMetric`.
        name: name of the metric in the logs.
        dtype: dtype of the sums.
    """

    NAME = "mask_iou"

    def sums(self, y_true: Any, y_pred: Any, weight: Any) -> Any:
        """Returns the numbers of pixels in both masks and in either, `(2,)`."""
        true, predicted = _classes(y_true) == 1, _predicted_classes(y_pred) == 1
        both, either = ops.logical_and(true, predicted), ops.logical_or(true, predicted)
        return ops.stack([ops.sum(weight * ops.cast(mask, weight.dtype)) for mask in (both, either)])
