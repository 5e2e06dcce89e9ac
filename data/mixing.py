"""`mixed`: combines datasets, each labelled for some of the tasks, into one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from data.custom.task_recipe import checked_image_shape
from data.dataset import AnyDataset
from data.mixture import Mixture
from mtl_keras.checks import unknown_value
from mtl_keras.tasks import Task, TaskSet


def mixed(
    sources: Mapping[str, AnyDataset],
    ratios: Mapping[str, float] | None = None,
    *,
    image_shape: Sequence[int] | None = None,
    name: str = "mixed",
) -> Mixture:
    """Combines several datasets, each labelled for some tasks only, into one.

    Args:
        sources: the datasets by name; each has at least one task. A task that several have must be the same in all.
        ratios: source -> its share of the examples relative to the others: with `{"faces": 2, "clothes": 1}` and
            batches of 96, every training batch has 64 faces and 32 clothes. By default proportional to the numbers of
            training examples. Shares of a batch are rounded to whole examples, the largest remainders up.
        image_shape: (height, width, channels) that all images are converted to, with grey to RGB or RGB to grey if
            needed. Required if the shapes of the sources differ.
        name: the name used in records.

    Raises:
        ValueError: for no source, a source that is a mixture, a ratio that is not > 0 or is for an unknown source,
            different tasks of the same name, or images of different shapes.

    Example:

    ```python
    both = data.mixed({"faces": faces, "clothes": clothes}, {"faces": 2, "clothes": 1})
    ```
    """
    if not sources:
        raise ValueError("`sources` must have one dataset at least. Received: none")
    for source, dataset in sources.items():
        if isinstance(dataset, Mixture):  # its epoch is not one pass over its examples
            raise ValueError(f"`sources` must be datasets: mix them all at once. Received a mixture for: {source}")
        if getattr(dataset, "features", None) is not None:
            raise ValueError(f"`sources` must be datasets of images. Received a table for: {source}")
    shares = {name: float(source.size("train")) for name, source in sources.items()}
    if ratios is not None:
        shares = _checked_ratios(ratios, sources)
    tasks = _tasks(sources)
    return Mixture(name, dict(sources), shares, tasks, _image_shape(sources, tasks, image_shape))


def _checked_ratios(ratios: Mapping[str, float], sources: Mapping[str, AnyDataset]) -> dict[str, float]:
    for name, ratio in ratios.items():
        if name not in sources:
            raise unknown_value("source in `ratios`", name, sources)
        if isinstance(ratio, bool) or not isinstance(ratio, Real) or not 0 < float(ratio) < math.inf:
            raise ValueError(f"`ratios` must be finite numbers > 0. Received: {name}={ratio!r}")
    for name in sources:
        if name not in ratios:
            raise ValueError(f"`ratios` must have a number for each source. Received none for: {name}")
    return {name: float(ratios[name]) for name in sources}


def _tasks(sources: Mapping[str, AnyDataset]) -> TaskSet:
    found: dict[str, Task] = {}
    owners: dict[str, str] = {}
    for source, dataset in sources.items():
        for name, task in dataset.tasks.items():
            if name in found and _compared(found[name]) != _compared(task):
                raise ValueError(
                    f"Task {name!r} must be the same in all sources. Received: {owners[name]} has {found[name]}, "
                    f"{source} has {task}"
                )
            found.setdefault(name, task)
            owners.setdefault(name, source)
    return TaskSet(found.values())


def _image_shape(
    sources: Mapping[str, AnyDataset], tasks: TaskSet, wanted: Sequence[int] | None
) -> tuple[int, int, int]:
    shapes = {name: tuple(source.image_shape) for name, source in sources.items()}
    if wanted is None:
        if len(set(shapes.values())) > 1:
            found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise ValueError(f"`image_shape` is needed to bring images of different shapes to one. Received: {found}")
        return next(iter(sources.values())).image_shape
    shape = checked_image_shape(wanted)
    for name, (_, _, channels) in shapes.items():
        if channels != shape[2] and {channels, shape[2]} != {1, 3}:
            raise ValueError(
                f"Images of {name} with {channels} channels cannot be given {shape[2]}. Received: image_shape={shape}"
            )
    for task in tasks.values():
        if task.head == "reconstruction" and task.shape != shape:
            raise ValueError(
                f"Task {task.name!r} reconstructs images {task.shape}: they cannot be resized. "
                f"Received: image_shape={shape}"
            )
        if task.is_dense and task.shape[:2] != shape[:2]:
            raise ValueError(
                f"Labels of task {task.name!r} have the size {task.shape[:2]}: they cannot be resized. "
                f"Received: image_shape={shape}"
            )
    return shape


def _compared(task: Task) -> dict[str, Any]:
    """Returns everything about a task that training and evaluation depend on, for comparison by value."""
    values = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    parts = [part if isinstance(part, str) else (type(part), part.get_config()) for part in (task.loss, *task.metrics)]
    return values | {"loss": parts[0], "metrics": parts[1:]}
