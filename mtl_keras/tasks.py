"""The tasks of a network: `Task` (one output) and `TaskSet` (all of them).

A task's name is also the key of its model output and the prefix of its logs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any, Literal

import keras

from mtl_keras import dense_metrics as dense
from mtl_keras.arguments import copy_metric
from mtl_keras.checks import check_integer, checked_weight, unknown_value
from mtl_keras.losses import DepthLoss, NormalLoss, ScaledLoss, SegmentationLoss
from mtl_keras.metrics import BalancedAccuracy, PointError, ScaledError
from mtl_keras.task_checks import check_task_name, checked_shape, class_index, class_names

DENSE_HEADS = ("segmentation", "mask", "depth", "normals", "dense_regression")
"""Kinds of heads that predict something for every pixel."""
HEADS = ("classification", "binary", "regression", "reconstruction", *DENSE_HEADS)


@dataclass(frozen=True)
class Task:
    """One output to predict, and how it is trained and evaluated.

    Most tasks are made with `Task.classification`, `Task.binary`, `Task.regression`, `Task.landmarks` or
    `Task.reconstruction`; those of pixels with `Task.segmentation`, `Task.mask`, `Task.depth`, `Task.normals` or
    `Task.dense_regression`.

    Args:
        name: the key of the model's output, of the label and of every log of the task. Letters, digits,
            `_`, `-` and `.`.
        head: kind of head that predicts it, one of `mtl_keras.tasks.HEADS`.
        shape: the output's shape without the batch axis: `(classes,)`, `(1,)`, `(height, width, channels)`. For a
            dense task also `(channels,)`, if its size is that of the images: see `TaskSet.at_size`.
        loss: a `keras.losses.Loss` or its name.
        metrics: `keras.metrics.Metric` objects or their names; the first is the task's primary metric.
        labels: names of the classes, in the order of their indices.
        weight: its weight in the total loss, >= 0.
        class_weight: class index -> loss weight of the samples of that class; 1 for absent classes.
        mean: mean of a regression's labels, if they are not about in [0, 1]; the head adds it to its outputs.
        deviation: standard deviation of those labels; the head multiplies its outputs by it before adding `mean`.
        invalid: for a dense task, the label of pixels that have none, besides NaN.

    Raises:
        ValueError: for an invalid name, an unknown head, a shape that is not made of integers >= 1, a negative weight
            or a label list of the wrong length.
    """

    name: str
    head: str
    shape: tuple[int, ...]
    loss: str | keras.losses.Loss
    metrics: tuple[str | keras.metrics.Metric, ...] = ()
    labels: tuple[str, ...] = ()
    weight: float = 1.0
    class_weight: Mapping[int, float] | None = field(default=None)
    mean: float | None = None
    deviation: float | None = None
    invalid: float | None = None

    def __post_init__(self) -> None:
        check_task_name(self.name)
        if self.head not in HEADS:
            raise unknown_value(f"head of task {self.name!r}", self.head, HEADS)
        object.__setattr__(self, "shape", checked_shape(self.name, self.shape))
        checked_weight(f"weight of task {self.name!r}", self.weight)
        if self.head == "classification" and not self.shape:
            raise ValueError(f"shape of task {self.name!r} must be (classes,). Received: ()")
        if self.is_dense and len(self.shape) not in (1, 3):
            raise ValueError(
                f"shape of task {self.name!r} must be (channels,) or (height, width, channels). Received: {self.shape}"
            )
        if self.head in ("classification", "segmentation") and self.labels and len(self.labels) != self.shape[-1]:
            raise ValueError(
                f"labels of task {self.name!r} must name its {self.shape[-1]} classes. Received: {self.labels!r}"
            )

    def __repr__(self) -> str:
        return f"Task({', '.join(self.summary())})"

    @property
    def is_dense(self) -> bool:
        """Whether it predicts something for every pixel."""
        return self.head in DENSE_HEADS

    def summary(self) -> tuple[str, ...]:
        """Returns the name, the head, the shape, the loss, the metrics and the weight as short texts."""
        metrics = ", ".join(_short(metric) for metric in self.metrics)
        return self.name, self.head, str(self.shape), _short(self.loss), f"[{metrics}]", f"weight {self.weight:g}"

    @classmethod
    def classification(
        cls,
        name: str,
        labels: int | Sequence[str],
        *,
        weight: float = 1.0,
        class_weight: Mapping[int, float] | None = None,
    ) -> Task:
        """Returns a classification task; labels are integers `(batch,)`, -1 where missing.

        Args:
            name: the task's name.
            labels: the class names, or the number of classes.
            weight: weight in the total loss.
            class_weight: class index -> loss weight of its samples.
        """
        names = () if isinstance(labels, Integral) else class_names(name, labels)
        classes = int(labels) if isinstance(labels, Integral) else len(names)
        loss, metrics = "sparse_categorical_crossentropy", ("accuracy",)
        return cls(name, "classification", (classes,), loss, metrics, names, weight, class_weight)

    @classmethod
    def binary(
        cls,
        name: str,
        *,
        labels: Sequence[str] = ("no", "yes"),
        weight: float = 1.0,
        pos_weight: float | None = None,
    ) -> Task:
        """Returns a binary task; labels are 0 or 1 `(batch,)`, NaN (floats) or -1 (integers) where missing.

        Args:
            name: the task's name.
            labels: names of the classes 0 and 1.
            weight: weight in the total loss.
            pos_weight: weight of the positive samples in the loss (negatives count 1).
        """
        metrics = ("accuracy", BalancedAccuracy())
        class_weight = None if pos_weight is None else {1: pos_weight}
        return cls(name, "binary", (1,), "binary_crossentropy", metrics, tuple(labels), weight, class_weight)

    @classmethod
    def regression(
        cls,
        name: str,
        size: int = 1,
        *,
        loss: str = "mse",
        weight: float = 1.0,
        mean: float | None = None,
        deviation: float | None = None,
    ) -> Task:
        """Returns a regression task with `size` outputs; labels are floats `(batch, size)`, NaN where missing.

        Without `mean` and `deviation`, labels should be about in [0, 1]. With both, they may have any unit: the network
        is trained as if they were standardised, its outputs and `mae` are in the unit of the labels, and the primary
        metric, `scaled_mae`, is `mae` in standard deviations.

        Args:
            name: the task's name.
            size: number of outputs.
            loss: the name of a Keras loss.
            weight: weight in the total loss.
            mean: mean of the labels.
            deviation: standard deviation of the labels, > 0.
        """
        if mean is None and deviation is None:
            return cls(name, "regression", (size,), loss, ("mae",), (), weight)
        if mean is None or deviation is None or not (math.isfinite(mean) and 0 < deviation < math.inf):
            raise ValueError(
                f"Task {name!r} needs both a finite mean and a finite deviation > 0. "
                f"Received: mean={mean!r}, deviation={deviation!r}"
            )
        scaled = ScaledLoss(loss, deviation)
        metrics = (ScaledError(deviation), "mae")
        return cls(name, "regression", (size,), scaled, metrics, (), weight, None, mean, deviation)

    @classmethod
    def landmarks(
        cls, name: str, points: Sequence[str], *, pixels: float = 1.0, loss: str = "mse", weight: float = 1.0
    ) -> Task:
        """Returns a landmark task; labels are floats `(batch, 2 * points)`: x0, y0, x1, y1, ... in [0, 1].

        Args:
            name: the task's name.
            points: the name of each point.
            pixels: side of the image in pixels, so that `point_error` is in pixels.
            loss: loss of the coordinates.
            weight: weight in the total loss.
        """
        metrics = (PointError(scale=pixels), "mae")
        return cls(name, "regression", (2 * len(points),), loss, metrics, tuple(points), weight)

    @classmethod
    def reconstruction(cls, name: str, shape: Sequence[int], *, loss: str = "mse", weight: float = 1.0) -> Task:
        """Returns a task that predicts the input or another image.

        Labels are floats `(batch, height, width, channels)` in [0, 1].
        """
        return cls(name, "reconstruction", tuple(shape), loss, ("mae",), (), weight)

    @classmethod
    def segmentation(
        cls,
        name: str,
        classes: int | Sequence[str],
        ignore: int = -1,
        *,
        weight: float = 1.0,
        class_weight: Mapping[int | str, float] | None = None,
    ) -> Task:
        """Returns a task that predicts the class of every pixel; labels are integers `(batch, height, width)`.

        Args:
            name: the task's name.
            classes: the class names, or the number of classes.
            ignore: the label of pixels without a class.
            weight: weight in the total loss.
            class_weight: class, by its index or name -> loss weight of its pixels.
        """
        names = () if isinstance(classes, Integral) else class_names(name, classes)
        count = check_integer("classes", classes, 2) if isinstance(classes, Integral) else len(names)
        metrics = (dense.MeanIoU(count, ignore), dense.PixelAccuracy(ignore))
        loss = SegmentationLoss(ignore)
        by_index = {class_index(name, names, key): value for key, value in (class_weight or {}).items()} or None
        return cls(name, "segmentation", (count,), loss, metrics, names, weight, by_index, invalid=ignore)

    @classmethod
    def mask(cls, name: str, *, weight: float = 1.0, pos_weight: float | None = None) -> Task:
        """Returns a task that predicts whether each pixel belongs to something.

        Labels are 0 or 1 `(batch, height, width, 1)`, NaN (floats) or -1 (integers) where missing.

        Args:
            name: the task's name.
            weight: weight in the total loss.
            pos_weight: weight of the positive pixels in the loss (negatives count 1).
        """
        metrics = (dense.MaskIoU(), dense.PixelAccuracy())
        class_weight = None if pos_weight is None else {1: pos_weight}
        return cls(name, "mask", (1,), "binary_crossentropy", metrics, ("no", "yes"), weight, class_weight, invalid=-1)

    @classmethod
    def depth(
        cls,
        name: str,
        invalid: float | None = 0.0,
        *,
        loss: Literal["absolute", "squared"] = "absolute",
        weight: float = 1.0,
    ) -> Task:
        """Returns a task that predicts the distance of every pixel; labels are floats `(batch, height, width, 1)`.

        Args:
            name: the task's name.
            invalid: the label of pixels without depth, besides NaN; `None` if every number is a depth.
            loss: `"absolute"` or `"squared"`: see `mtl_keras.losses.DepthLoss`.
            weight: weight in the total loss.
        """
        errors = [dense.DepthError(kind, invalid) for kind in ("absolute", "relative", "rmse")]
        shares = [dense.DepthAccuracy(1.25**power, invalid) for power in (1, 2, 3)]
        # Shares first: their mean over tasks, `mtl_score`, needs no unit.
        return cls(name, "depth", (1,), DepthLoss(loss, invalid), (*shares, *errors), (), weight, invalid=invalid)

    @classmethod
    def normals(cls, name: str, *, weight: float = 1.0) -> Task:
        """Returns a task that predicts the direction of the surface at every pixel.

        Labels are unit vectors `(batch, height, width, 3)`: x to the right, y and z by the convention of the data;
        zeros or NaN where there is none.

        Args:
            name: the task's name.
            weight: weight in the total loss.
        """
        shares = [dense.AngularAccuracy(degrees) for degrees in (22.5, 11.25, 30)]
        metrics = (*shares, dense.AngularError(), dense.MedianAngularError())
        return cls(name, "normals", (3,), NormalLoss(), metrics, (), weight, invalid=0)

    @classmethod
    def dense_regression(cls, name: str, channels: int = 1, *, loss: str = "mse", weight: float = 1.0) -> Task:
        """Returns a task that predicts numbers for every pixel.

        Labels are floats `(batch, height, width, channels)`, about in [0, 1]; NaN where missing.

        Args:
            name: the task's name.
            channels: how many numbers.
            loss: the name of a Keras loss.
            weight: weight in the total loss.
        """
        return cls(name, "dense_regression", (channels,), loss, ("mae",), (), weight)


def _short(part: str | keras.losses.Loss | keras.metrics.Metric) -> str:
    return part if isinstance(part, str) else str(part.name)


class TaskSet(Mapping[str, Task]):
    """The tasks of one model, in order.

    Args:
        tasks: `Task` objects with distinct names.

    Raises:
        ValueError: if there are no tasks, one is not a `Task`, or two have the same name.

    Example:

    ```python
    tasks = TaskSet([Task.classification("item", 10), Task.binary("worn", pos_weight=3.0)])
    model.compile("adam", **tasks.compile_args())
    ```
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks: dict[str, Task] = {}
        for task in tasks:
            if not isinstance(task, Task):
                raise ValueError(f"A TaskSet is made of Task objects. Received: {task!r}")
            if task.name in self._tasks:
                raise ValueError(f"Task names must be distinct. Received twice: {task.name!r}")
            self._tasks[task.name] = task
        if not self._tasks:
            raise ValueError("A TaskSet has at least one task. Received: none")

    def __getitem__(self, name: str) -> Task:
        return self._tasks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self) -> str:
        """Returns a table with one line per task."""
        rows = [task.summary() for task in self.values()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        return "\n  ".join([f"TaskSet of {len(self)} {'task' if len(self) == 1 else 'tasks'}:", *lines])

    @property
    def names(self) -> tuple[str, ...]:
        """The tasks' names, in order."""
        return tuple(self._tasks)

    def subset(self, names: Iterable[str]) -> TaskSet:
        """Returns the named tasks, in the given order.

        Raises:
            ValueError: for an unknown name; the message has the closest match and the choices.
        """
        chosen = list(names)
        for name in chosen:
            if not isinstance(name, str) or name not in self._tasks:
                raise unknown_value("task", name, self._tasks)
        return TaskSet(self._tasks[name] for name in chosen)

    def at_size(self, height: int, width: int) -> TaskSet:
        """Returns the tasks for images of a size: dense tasks that have no size get it.

        Args:
            height: height of the images.
            width: width of the images.
        """
        return TaskSet(
            replace(task, shape=(height, width, *task.shape)) if task.is_dense and len(task.shape) == 1 else task
            for task in self.values()
        )

    def compile_args(self) -> dict[str, Any]:
        """Returns the arguments of `MultiTaskModel.compile` for these tasks.

        `keras.Model.compile` accepts `loss`, `loss_weights` and `metrics` too. `class_weight` is included only if a
        task has one, and only `MultiTaskModel` accepts it.
        """
        arguments: dict[str, Any] = {
            "loss": {task.name: task.loss for task in self.values()},
            "loss_weights": {task.name: float(task.weight) for task in self.values()},
            "metrics": {task.name: [copy_metric(metric) for metric in task.metrics] for task in self.values()},
        }
        class_weight = {task.name: dict(task.class_weight) for task in self.values() if task.class_weight}
        if class_weight:
            arguments["class_weight"] = class_weight
        return arguments
