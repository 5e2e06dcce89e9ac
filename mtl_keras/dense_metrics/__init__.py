"""Metrics of dense tasks: segmentation, depth and surface normals, over the valid pixels.

They are ordinary `keras.metrics.Metric` objects. Their state is a vector of sums over pixels, so a result is that of
all pixels of the set, however it is divided into batches or over devices. Published tables often show the mean of the
results of single batches instead: `per_batch=True` gives that.

Labels are `(batch, height, width)` class indices or `(batch, height, width, channels)` floats, predictions
`(batch, height, width, channels)`. Sample weights may be `(batch,)` or `(batch, height, width)`.
"""

from mtl_keras.dense_metrics.base import DenseMetric
from mtl_keras.dense_metrics.depth import DepthAccuracy, DepthError
from mtl_keras.dense_metrics.normals import AngularAccuracy, AngularError, MedianAngularError
from mtl_keras.dense_metrics.segmentation import MaskIoU, MeanIoU, PixelAccuracy

__all__ = [
    "AngularAccuracy",
    "AngularError",
    "DenseMetric",
    "DepthAccuracy",
    "DepthError",
    "MaskIoU",
    "MeanIoU",
    "MedianAngularError",
    "PixelAccuracy",
]
