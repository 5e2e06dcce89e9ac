"""`Affinity`: how much a training step on one task helps or harms each of the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mtl_keras.analysis.intervals import holm
from mtl_keras.analysis.text_table import text_table
from mtl_keras.checks import unknown_value
from mtl_keras.extras import import_extra

LOOK_AHEAD, COSINE = "look-ahead", "cosine"


@dataclass(frozen=True)
class Estimate:
    """A mean over training steps.

    Attributes:
        mean: the mean; NaN if nothing was measured.
        error: its standard error, `s / sqrt(count)`, as if the steps were independent; NaN for fewer than two.
        count: number of measurements.
    """

    mean: float
    error: float
    count: int


@dataclass(frozen=True, repr=False, eq=False)
class Affinity:
    """Affinities between tasks: rows are sources, columns the tasks that they affect. `print` shows a table.

    Args:
        tasks: the names of the rows and columns.
        mean: `(tasks, tasks)` means over training steps; above 0, the source helps. NaN for a pair without a
            measurement.
        error: `(tasks, tasks)` standard errors of the means, as in `Estimate`.
        count: `(tasks, tasks)` numbers of measurements.
        kind: `"look-ahead"`: `1 - L_j(after a step on i alone) / L_j(before)` for source i and affected task j;
            `"cosine"`: the cosine of the angle between the gradients of the two tasks, the same in both directions.

    Raises:
        ValueError: for tables of another shape, or a task that occurs twice.

    References:
        C. Fifty et al., *Efficiently Identifying Task Groupings for Multi-Task Learning* (TAG), NeurIPS 2021,
        https://arxiv.org/abs/2109.04617, equation 1.
    """

    tasks: tuple[str, ...]
    mean: np.ndarray
    error: np.ndarray
    count: np.ndarray
    kind: str = LOOK_AHEAD

    def __post_init__(self) -> None:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"`tasks` must be distinct. Received: {', '.join(self.tasks)}")
        size = len(self.tasks)
        for name in ("mean", "error", "count"):
            if np.shape(getattr(self, name)) != (size, size):
                raise ValueError(
                    f"`{name}` must have a row and a column for each of {size} tasks. "
                    f"Received: shape {np.shape(getattr(self, name))}"
                )

    def on(self, task: str, *, of: str) -> Estimate:
        """Returns how a step on the task `of` affects `task`.

        Raises:
            ValueError: for an unknown task.

        Example:

        ```python
        affinity.on("depth", of="normals").mean  # > 0: training normals helps depth
        ```
        """
        place = self._place("of", of), self._place("task", task)
        return Estimate(float(self.mean[place]), float(self.error[place]), int(self.count[place]))

    def clear(self, confidence: float = 0.95) -> np.ndarray:
        """Returns which affinities between two different tasks are clearly not 0, `(tasks, tasks)` booleans.

        These are t tests of the means over steps, with Holm's correction for all pairs: if no task affects any other,
        the probability that none is called clear is at least `confidence`. Steps that follow each other closely are
        not quite independent, which makes the tests a little too sure.

        Args:
            confidence: in (0, 1).

        Raises:
            ValueError: for a confidence outside (0, 1).
        """
        if not 0 < confidence < 1:
            raise ValueError(f"`confidence` must lie between 0 and 1. Received: {confidence!r}")
        pairs = (self.count > 1) & (self.error > 0) & ~np.eye(len(self.tasks), dtype=bool)
        stdtr = import_extra("scipy.special", "analysis").stdtr
        p_values = 2 * stdtr(self.count[pairs] - 1, -np.abs(self.mean[pairs]) / self.error[pairs])
        found = np.zeros_like(pairs)
        found[pairs] = np.array(holm(p_values)) < 1 - confidence
        return found

    def _place(self, argument: str, task: str) -> int:
        if task not in self.tasks:
            raise unknown_value(f"task in `{argument}`", task, self.tasks)
        return self.tasks.index(task)

    def __repr__(self) -> str:
        if not self.tasks:
            return "Affinity of no tasks"
        rows = [["of \\ on", *self.tasks]]
        for task, means, errors in zip(self.tasks, self.mean, self.error):
            rows.append([task, *map(_cell, means, errors)])
        return f"{text_table(rows)}\nAffinity ({self.kind}): rows help (above 0) or harm columns. ± standard error."

    def to_json(self) -> dict[str, Any]:
        """Returns the affinities as JSON values; unknown values are NaN."""
        tables = {name: np.asarray(getattr(self, name)).tolist() for name in ("mean", "error", "count")}
        return {"kind": self.kind, "tasks": list(self.tasks), **tables}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Returns the affinities from the result of `to_json`; null is NaN."""
        mean, error = (np.asarray(values[name], "float64") for name in ("mean", "error"))
        return cls(tuple(values["tasks"]), mean, error, np.asarray(values["count"], int), values["kind"])

    @classmethod
    def from_sums(
        cls, tasks: Sequence[str], total: np.ndarray, squares: np.ndarray, count: np.ndarray, kind: str = LOOK_AHEAD
    ) -> Self:
        """Returns the affinities from sums over training steps.

        Args:
            tasks: the names of the tasks.
            total: `(tasks, tasks)` sums.
            squares: `(tasks, tasks)` sums of squares.
            count: `(tasks, tasks)` numbers of measurements.
            kind: as for `Affinity`.
        """
        total, squares = np.asarray(total, "float64"), np.asarray(squares, "float64")
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / count
            variance = np.maximum(squares - total * mean, 0) / (count - 1)
            error = np.where(count > 1, np.sqrt(variance / count), math.nan)
        return cls(tuple(tasks), mean, error, np.asarray(count).astype(int), kind)

    @classmethod
    def pooled(cls, parts: Sequence[Self]) -> Self:
        """Returns the affinities over the steps of several measurements, such as those of the epochs of a run.

        Args:
            parts: affinities of the same tasks and kind, at least one.

        Raises:
            ValueError: if there is none, or if tasks or kinds differ.
        """
        if len({(part.tasks, part.kind) for part in parts}) != 1:
            raise ValueError(f"`parts` must be affinities of the same tasks and kind. Received: {len(parts)} parts")
        total, squares, count = (np.zeros(np.shape(parts[0].mean)) for _ in range(3))
        for part in parts:
            mean, error = np.nan_to_num(part.mean), np.nan_to_num(part.error)
            total += part.count * mean
            squares += part.count * (part.count - 1) * error**2 + part.count * mean**2
            count += part.count
        return cls.from_sums(parts[0].tasks, total, squares, count, parts[0].kind)


def _cell(mean: float, error: float) -> str:
    if math.isnan(mean):
        return "-"
    return f"{mean:+.3g}" + ("" if math.isnan(error) else f" ± {error:.2g}")
