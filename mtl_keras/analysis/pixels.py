"""Labels and predictions of dense tasks as maps, and what is wrong with them, in NumPy.

A map is `(batch, height, width)` int16 for `segmentation` and `mask`: class indices, -1 where there is no label. For
other kinds of heads it is `(batch, height, width, channels)` floats, NaN where there is no label.
"""

from __future__ import annotations

import numpy as np

CLASS_HEADS = ("segmentation", "mask")
"""Kinds of dense heads that predict classes."""
MEASURES = {
    "segmentation": "mean IoU",
    "mask": "IoU",
    "depth": "mean error",
    "normals": "mean angle",
    "dense_regression": "mean error",
}
"""Kind of head -> the measure of one image; a higher one is better for classes, a lower one for numbers."""


def with_rank(head: str, labels: np.ndarray) -> np.ndarray:
    """Returns labels as losses take them: `(batch, height, width)` of segmentation, others with a channel axis.

    Args:
        head: kind of the head.
        labels: labels of a dense task, with or without a last axis of size 1.
    """
    labels = np.asarray(labels)
    if head == "segmentation":
        return labels[..., 0] if labels.ndim == 4 else labels
    return labels[..., None] if labels.ndim == 3 else labels


def label_map(head: str, labels: np.ndarray, invalid: float | None) -> np.ndarray:
    """Returns the map of labels.

    Args:
        head: kind of the head.
        labels: labels of a dense task.
        invalid: the label of pixels that have none, besides NaN; for `normals` a vector of zeros.
    """
    labels = with_rank(head, labels)
    if head not in CLASS_HEADS:
        values = labels.astype("float32")
        missing = np.isnan(values).any(axis=-1)
        if head == "normals":
            missing |= ~values.any(axis=-1)
        elif invalid is not None:
            missing |= (values == invalid).all(axis=-1)
        return np.where(missing[..., None], np.float32(np.nan), values)
    classes = labels[..., 0] if head == "mask" else labels
    known = np.isfinite(classes) & (classes >= 0)
    if invalid is not None:
        known &= classes != invalid
    return np.where(known, np.nan_to_num(classes).astype("int16"), np.int16(-1))


def prediction_map(head: str, predicted: np.ndarray) -> np.ndarray:
    """Returns the map of predictions `(batch, height, width, channels)`: the most probable class, or unit vectors."""
    predicted = np.asarray(predicted)
    if head in CLASS_HEADS:
        one = predicted.shape[-1] == 1
        return (predicted[..., 0] > 0.5 if one else predicted.argmax(axis=-1)).astype("int16")
    values = predicted.astype("float32")
    if head == "normals":
        values = values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12)
    return values


def is_labelled(true: np.ndarray) -> np.ndarray:
    """Returns which pixels of a map of labels have one, booleans `(batch, height, width)`."""
    return true >= 0 if true.dtype.kind == "i" else ~np.isnan(true).any(axis=-1)


def pixel_errors(head: str, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Returns the error of each pixel, float32 `(batch, height, width)`; NaN where there is no label.

    It is 1 for a wrong class, the angle in degrees between normals, else the absolute error, mean over the channels.

    Args:
        head: kind of the head.
        true: map of labels.
        predicted: map of predictions.
    """
    if head in CLASS_HEADS:
        return np.where(true >= 0, (true != predicted).astype("float32"), np.float32(np.nan))
    true, predicted = true.astype("float32"), predicted.astype("float32")
    if head == "normals":
        angles: np.ndarray = np.degrees(np.arccos(np.clip((true * predicted).sum(axis=-1), -1, 1)))
        return angles
    errors: np.ndarray = np.abs(predicted - true).mean(axis=-1)
    return errors


def confusion_of_images(true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Returns the confusion matrix of each image, int64 `(batch, classes, classes)`, a row for each true class.

    Args:
        true: map of labels.
        predicted: map of predictions.
        classes: number of classes.
    """
    cells = (np.arange(len(true))[:, None, None] * classes + true) * classes + predicted
    counts = np.bincount(cells[true >= 0], minlength=len(true) * classes**2)
    return counts.reshape(len(true), classes, classes)


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """Returns the intersection over union of each class `(..., classes)`; NaN for a class that did not occur.

    Args:
        confusion: confusion matrices `(..., classes, classes)`.
    """
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    union = confusion.sum(axis=-1) + confusion.sum(axis=-2) - correct
    return np.divide(correct, union, out=np.full(union.shape, np.nan), where=union > 0)


def image_iou(head: str, confusion: np.ndarray) -> np.ndarray:
    """Returns the IoU of each image `(batch,)`, of the mask or mean over the classes that occur; NaN if none does.

    Args:
        head: `"segmentation"` or `"mask"`.
        confusion: the result of `confusion_of_images`.
    """
    iou = class_iou(confusion)
    if head == "mask":
        return iou[:, 1]
    known = np.isfinite(iou)
    counts = known.sum(axis=1)
    return np.divide(np.where(known, iou, 0).sum(axis=1), counts, out=np.full(len(iou), np.nan), where=counts > 0)


def mean_of_images(errors: np.ndarray) -> np.ndarray:
    """Returns the mean error of each image `(batch,)`; NaN without a labelled pixel.

    Args:
        errors: the result of `pixel_errors`.
    """
    known = np.isfinite(errors)
    counts = known.sum(axis=(1, 2))
    totals = np.where(known, errors, 0).sum(axis=(1, 2), dtype="float64")
    return np.divide(totals, counts, out=np.full(len(errors), np.nan), where=counts > 0)


def measure_images(head: str, true: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Returns the measure in `MEASURES` of each image, `(batch,)`; NaN if it is not defined.

    Args:
        head: kind of the head.
        true: map of labels.
        predicted: map of predictions.
        classes: number of classes, for heads that predict classes.
    """
    if head in CLASS_HEADS:
        return image_iou(head, confusion_of_images(true, predicted, classes))
    return mean_of_images(pixel_errors(head, true, predicted))
