"""`PixelLabels`: the stored labels of pixels as the labels of a task, and the inference of the task."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtl_keras.checks import check_integer, check_number, check_positive, unknown_value
from mtl_keras.serialization import Spec, parse_spec
from mtl_keras.tasks import Task, TaskSet

NO_CLASS = 255
"""The value of pixels without a class in 8-bit images, as in Pascal VOC and Cityscapes."""
MOST_VALUES = 64
"""Integers are not taken for classes if one image has more different values than this."""
_LENGTHS = (0.5, 1.5)  # of stored normals, which rounding and resizing have changed
_UNIT_LENGTHS = (0.95, 1.05)
_INVERSE = "disparity"
_DEPTH_NAMES = ("depth", _INVERSE)


@dataclass(frozen=True)
class Summary:
    """What the inference of a task needs of the stored labels of one image.

    Args:
        dtype: their dtype; bool for floats that are 0, 1 or NaN.
        channels: their number of channels; 1 for integers that are equal in all channels.
        values: the different values, sorted; empty for floats.
        are_unit: whether they are vectors of three numbers of length 1 or 0.
    """

    dtype: np.dtype
    channels: int
    values: np.ndarray
    are_unit: bool = False

    @classmethod
    def of(cls, stored: np.ndarray) -> Summary:
        """Returns the summary of the labels (height, width) or (height, width, channels) of an image."""
        stored = stored if stored.dtype.kind == "f" else without_equal_channels(stored)
        channels = stored.shape[2] if stored.ndim == 3 else 1
        if stored.dtype.kind == "f" and not _are_zero_or_one(stored):
            return cls(stored.dtype, channels, np.zeros(0), channels == 3 and _are_unit(stored))
        if stored.dtype == np.uint8:
            return cls(stored.dtype, channels, np.flatnonzero(np.bincount(stored.ravel(), minlength=256)))
        if stored.dtype.kind == "f":
            return cls(np.dtype(bool), channels, np.unique(stored[~np.isnan(stored)]).astype(np.int64))
        return cls(stored.dtype, channels, np.unique(stored).astype(np.int64))


class ColoursAreNoClasses(ValueError):
    """The files of a column are coloured, so no type makes them labels."""


@dataclass(frozen=True)
class PixelLabels:
    """How the stored labels of an image become those of its pixels.

    Args:
        task: the task; its shape needs no size.
        missing: the stored value of pixels without a label, besides NaN and, for classes and masks, -1.
        positive: the stored value that is 1 in a mask.
        scale: the factor of stored numbers.
    """

    task: Task
    missing: float | None = None
    positive: int = 1
    scale: float = 1.0

    def decode(self, stored: np.ndarray) -> np.ndarray:
        """Returns the labels of one image.

        Args:
            stored: (height, width) or (height, width, channels): booleans, integers or floats.

        Returns:
            int32 (height, width) for a segmentation, float32 (height, width, channels) for other tasks; as
            `data.dense.source.DenseSource` documents.

        Raises:
            ValueError: for values or channels that the task does not have; the message begins with the verb.
        """
        if stored.ndim not in (2, 3) or stored.dtype.kind not in "buif":
            raise ValueError(
                f"must be numbers (height, width) or (height, width, channels). Received: {stored.dtype} {stored.shape}"
            )
        if self.task.head == "normals":
            return _normals(stored)
        channels = 1 if self.task.head == "segmentation" else self.task.shape[-1]
        values = without_equal_channels(stored) if channels == 1 else stored
        values = values[..., np.newaxis] if values.ndim == 2 else values
        if values.shape[2] != channels:
            raise ValueError(f"must have {_channels(channels)}. Received: {_channels(values.shape[2])}")
        if self.task.head == "segmentation":
            return self._classes(values[..., 0])
        return self._mask(values) if self.task.head == "mask" else self._numbers(values)

    def empty(self, height: int, width: int) -> np.ndarray:
        """Returns the labels of an image that has none."""
        if self.task.head == "segmentation":
            return np.full((height, width), self.task.invalid, np.int32)
        return np.full((height, width, self.task.shape[-1]), 0 if self.task.head == "normals" else np.nan, np.float32)

    def _classes(self, values: np.ndarray) -> np.ndarray:
        missing, classes = self._are_missing(values), self.task.shape[-1]
        valid = missing | ((values >= 0) & (values < classes))
        if values.dtype.kind == "f":
            valid &= missing | (values % 1 == 0)
        if not valid.all():
            raise ValueError(
                f"must be classes from 0 to {classes - 1}{_or_missing(self.missing)}. "
                f"Received: {values[~valid][0].item():g}"
            )
        return np.where(missing, np.int32(self.task.invalid or 0), np.nan_to_num(values).astype(np.int32))

    def _mask(self, values: np.ndarray) -> np.ndarray:
        missing, is_one = self._are_missing(values), values == self.positive
        valid = missing | is_one | (values == 0)
        if not valid.all():
            raise ValueError(
                f"must be 0 or {self.positive}{_or_missing(self.missing)}. Received: {values[~valid][0].item():g}"
            )
        return np.where(missing, np.float32(np.nan), is_one.astype(np.float32))

    def _are_missing(self, values: np.ndarray) -> np.ndarray:
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
        if values.dtype.kind in "if":
            missing |= values == -1
        return missing if self.missing is None else missing | (values == self.missing)

    def _numbers(self, values: np.ndarray) -> np.ndarray:
        numbers = values.astype(np.float32)
        if np.isinf(numbers).any():
            raise ValueError("must be finite, or NaN where missing. Received: inf")
        labels = numbers * np.float32(self.scale)
        if self.missing is not None:
            labels[numbers == np.float32(self.missing)] = np.nan
        if self.task.head == "depth" and self.task.invalid is not None and (labels < 0).any():
            raise ValueError(f"must be depths from 0{_or_missing(self.missing)}. Received: {numbers.min():g}")
        return labels


def infer_kind(name: str, found: Sequence[Summary]) -> str:
    """Returns the kind of task that stored labels are probably meant for.

    | values | kind |
    |---|---|
    | booleans; numbers that are 0 or 1; integers that are 0 or 255 | mask |
    | 16-bit integers; numbers of one channel with `depth` or `disparity` in the task's name | depth |
    | other integers | segmentation |
    | floats of three channels, vectors of length 1 or 0; 8-bit colours with `normal` in the task's name | normals |
    | other floats | dense_regression |

    Args:
        name: the task's name.
        found: summaries of some images.

    Raises:
        ValueError: if the kind cannot be inferred; the message begins with the verb.
    """
    kinds = {summary.dtype.kind.replace("u", "i") for summary in found}
    channels = max(summary.channels for summary in found)
    if "f" in kinds:
        if channels == 3 and all(summary.are_unit or summary.dtype.kind == "b" for summary in found):
            return "normals"
        return "depth" if channels == 1 and _is_depth(name) else "dense_regression"
    if channels > 1:
        if channels == 3 and "normal" in name.lower() and all(summary.dtype == np.uint8 for summary in found):
            return "normals"
        raise ColoursAreNoClasses(
            "has colours, which are no classes. Convert the files to palette or grey PNG whose values are the classes"
        )
    if kinds == {"b"}:
        return "mask"
    if any(summary.dtype == np.uint16 for summary in found):
        return "depth"
    values = np.unique(np.concatenate([summary.values for summary in found]))
    if len(values) < 2:
        raise ValueError(f"has one value in all images that were read, {values[0]}")
    if np.isin(values, (0, 1)).all() or np.isin(values, (0, NO_CLASS)).all() or set(values.tolist()) == {-1, 0, 1}:
        return "mask"
    if _is_depth(name):
        return "depth"
    classes = values[(values != -1) & (values != NO_CLASS)]
    if len(classes) < 2:
        raise ValueError(f"has one class in all images that were read, {classes[0]}")
    most = max(len(summary.values) for summary in found)
    if most > MOST_VALUES or values[0] < -1 or values[-1] > NO_CLASS:
        raise ValueError(
            f"has up to {most} different integers in an image, from {values[0]} to {values[-1]}, which are probably "
            "no classes"
        )
    return "segmentation"


def inverse_depth(tasks: TaskSet) -> tuple[str, ...]:
    """Returns the depth tasks with `disparity` in their name: their labels are inverse distances."""
    return tuple(name for name, task in tasks.items() if task.head == "depth" and _INVERSE in name.lower())


def _is_depth(name: str) -> bool:
    return any(word in name.lower() for word in _DEPTH_NAMES)


def make_labels(name: str, spec: Spec, found: Sequence[Summary]) -> PixelLabels:
    """Returns how the labels of a task are stored.

    Args:
        name: the task's name.
        spec: a kind with arguments: `segmentation(classes=5, ignore=255)`, `mask(ignore=255)`,
            `depth(scale=0.001, invalid=0)`, `normals`, `dense_regression(scale=1.0, invalid=None)`.
        found: summaries of some images, for what the arguments leave open.

    Raises:
        ValueError: for unknown arguments or invalid values.
    """
    make = _KINDS[spec.name]
    parameters = list(inspect.signature(make).parameters)[2:]
    for argument in spec.kwargs:
        if argument not in parameters:
            raise _unknown_argument(name, spec, argument, parameters)
    given = dict(zip(parameters, spec.args))
    if len(spec.args) > len(parameters) or given.keys() & spec.kwargs.keys():
        raise ValueError(
            f"Type {spec.name!r} of {name!r} takes each of {', '.join(parameters) or 'no arguments'} once. "
            f"Received: {spec}"
        )
    return make(name, found, **given, **spec.kwargs)


def _unknown_argument(name: str, spec: Spec, argument: str, parameters: Sequence[str]) -> ValueError:
    if not parameters:
        return ValueError(f"Type {spec.name!r} of {name!r} takes no arguments. Received: {spec}")
    return unknown_value(f"argument of type {spec.name!r} of {name!r}", argument, parameters)


def parse_kind(text: str, name: str, others: Sequence[str] = ()) -> Spec:
    """Parses a type such as `"segmentation(classes=5)"`.

    Args:
        text: the type: one of `DENSE_KINDS`, possibly with arguments, or one of `others`.
        name: the name of the column.
        others: other types, which have no arguments.

    Raises:
        ValueError: for an unknown type.
    """
    if text.isidentifier() and text not in (*others, *_KINDS):  # it may be a keyword of Python
        raise unknown_value(f"type of column {name!r}", text, [*others, *_KINDS])
    try:
        spec = parse_spec(text, f"type of column {name!r}")
    except ValueError as cause:
        raise ValueError(f"{cause}. Choices: {', '.join([*others, *_KINDS])}") from cause
    if spec.name not in (*others, *_KINDS):
        raise unknown_value(f"type of column {name!r}", spec.name, [*others, *_KINDS])
    if spec.name in others and (spec.args or spec.kwargs):
        raise _unknown_argument(name, spec, "", ())
    return spec


def _segmentation(name: str, found: Sequence[Summary], classes: Any = None, ignore: Any = NO_CLASS) -> PixelLabels:
    missing = check_number("ignore", ignore)
    if classes is None:
        values = np.concatenate([summary.values for summary in found]) if found else np.zeros(0)
        known = values[values != missing]
        if not len(known) or known.max() < 1:
            raise ValueError(f"{name!r}: the number of classes is not known: write segmentation(classes=5)")
        classes = int(known.max()) + 1
    elif isinstance(classes, list):
        classes = [str(label) for label in classes]
    else:
        classes = check_integer("classes", classes, 2)
    return PixelLabels(Task.segmentation(name, classes), missing)


def _mask(name: str, found: Sequence[Summary], ignore: Any = None) -> PixelLabels:
    values = set(np.concatenate([summary.values for summary in found]).tolist()) if found else set()
    missing = None if ignore is None else check_number("ignore", ignore)
    positive = NO_CLASS if NO_CLASS in values - {missing} and 1 not in values else 1
    if missing is None and positive == 1:
        missing = NO_CLASS
    return PixelLabels(Task.mask(name), missing, positive)


def _depth(name: str, found: Sequence[Summary], scale: Any = 1.0, invalid: Any = 0.0) -> PixelLabels:
    missing = None if invalid is None else check_number("invalid", invalid)
    return PixelLabels(Task.depth(name), missing, scale=check_positive("scale", scale))


def _normals_kind(name: str, found: Sequence[Summary]) -> PixelLabels:
    return PixelLabels(Task.normals(name))


def _dense_regression(name: str, found: Sequence[Summary], scale: Any = 1.0, invalid: Any = None) -> PixelLabels:
    channels = Counter(summary.channels for summary in found).most_common(1)[0][0] if found else 1
    missing = None if invalid is None else check_number("invalid", invalid)
    return PixelLabels(Task.dense_regression(name, channels), missing, scale=check_number("scale", scale))


_KINDS: Mapping[str, Callable[..., PixelLabels]] = {
    "segmentation": _segmentation,
    "mask": _mask,
    "depth": _depth,
    "normals": _normals_kind,
    "dense_regression": _dense_regression,
}
DENSE_KINDS = tuple(_KINDS)
"""The kinds of tasks that have a label for every pixel."""


def without_equal_channels(stored: np.ndarray) -> np.ndarray:
    """Returns labels (height, width, channels) as (height, width) if all channels are equal, as in a grey image."""
    if stored.ndim == 3 and (stored[..., 1:] == stored[..., :1]).all():
        return stored[..., 0]
    return stored


def nearest(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns labels (old height, old width, ...) resized to (height, width, ...): those of the nearest pixels."""
    if labels.shape[:2] == (height, width):
        return labels
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip((height, width), labels.shape)
    )
    return labels[rows[:, np.newaxis], columns]


def _are_zero_or_one(values: np.ndarray) -> bool:
    return bool((np.isnan(values) | (values == 0) | (values == 1)).all())


def _are_unit(vectors: np.ndarray) -> bool:
    lengths = np.linalg.norm(np.nan_to_num(vectors.astype(np.float32)), axis=-1)
    low, high = _UNIT_LENGTHS
    return bool(((lengths == 0) | ((lengths > low) & (lengths < high))).all() and (lengths > 0).any())


def _normals(stored: np.ndarray) -> np.ndarray:
    """Returns unit vectors, or zeros: of floats, or of colours that stand for numbers from -1 to 1."""
    if stored.ndim != 3 or stored.shape[2] != 3 or stored.dtype.kind not in "uf":
        raise ValueError(f"must be 8-bit colours or floats (height, width, 3). Received: {stored.dtype} {stored.shape}")
    are_colours = stored.dtype.kind == "u"
    vectors = stored.astype(np.float32) / 127.5 - 1 if are_colours else np.nan_to_num(stored.astype(np.float32))
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    low, high = _LENGTHS
    # Grey and black pixels have no normal.
    known = (lengths > low) & (lengths < high)
    wrong = ~known & (lengths != 0)
    if not are_colours and wrong.any():
        raise ValueError(f"must be vectors of length 1, or 0 where missing. Received: length {lengths[wrong][0]:g}")
    return np.where(known, vectors / np.where(known, lengths, 1), np.float32(0))


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _or_missing(value: float | None) -> str:
    return "" if value is None else f", or {value:g} where missing"
