"""`RunRecords`: the contents of the files of a run, finished or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.files import read_history, read_json
from experiments.run_directory import RunDirectory
from mtl_keras.logs import TRAINING, parse_key
from mtl_keras.reports.outputs import Output

_ACTIVE = "_active"


@dataclass(frozen=True)
class RunRecords:
    """A run, read from its files.

    Args:
        folder: the run directory.
        config: its `config.json`: settings, data, versions.
        history: column of `history.csv` -> `(epochs,)`.
        metrics: its `metrics.json`; `None` until the run is finished.
        gradients: its `gradients.json`; `None` if gradients were not monitored.
        tasks: names of the tasks, in order.
        failed: whether it was stopped by a loss that was NaN or infinite.
    """

    folder: Path
    config: Mapping[str, Any]
    history: Mapping[str, Sequence[float]]
    metrics: Mapping[str, Any] | None
    gradients: Mapping[str, Any] | None
    tasks: tuple[str, ...]
    failed: bool

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.resolve().name

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(next(iter(self.history.values()), ()))

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 0, whose model is saved as the best; `None` if there is none yet."""
        scores = self.column("val_mtl_score")
        if self.metrics is not None:
            return self.metrics["best_epoch"]
        return int(np.nanargmax(scores)) if any(map(math.isfinite, scores)) else None

    @property
    def synthetic(self) -> bool:
        """Whether its images were drawn, so that its numbers say nothing about the real dataset."""
        return bool(self.config.get("synthetic") or (self.config.get("data") or {}).get("synthetic"))

    @property
    def outputs(self) -> dict[str, Output]:
        """Descriptions of its tasks' outputs; empty for a run of an older version, which does not record them."""
        described = (self.config.get("data") or {}).get("tasks") or {}
        try:
            return {task: Output.from_json(described[task]) for task in self.tasks if task in described}
        except ValueError as cause:
            raise ValueError(f"{RunDirectory(self.folder).config_file} is damaged: {cause}") from cause

    def column(self, name: str) -> Sequence[float]:
        """Returns a column of the history, `(epochs,)`; NaN if there is no such column."""
        return self.history.get(name, [math.nan] * self.epochs)

    def table(self, quantity: str) -> np.ndarray:
        """Returns a quantity of all tasks, `(tasks, epochs)`; NaN if unknown."""
        return np.array([self.column(f"{task}_{quantity}") for task in self.tasks]).reshape(
            len(self.tasks), self.epochs
        )

    def primary(self, task: str) -> str | None:
        """Returns the name of a task's primary metric (for an unfinished run its first metric), `None` without any."""
        if self.metrics is not None:
            return self.metrics["primary"][task]["metric"]
        keys = [parse_key(column, self.tasks) for column in self.history]
        own = [key.quantity for key in keys if key.task == task and not key.validation]
        return next((quantity for quantity in own if quantity not in TRAINING), None)

    def higher_is_better(self, task: str) -> bool | None:
        """Returns the direction of a task's primary metric; `None` if it is not known yet."""
        return None if self.metrics is None else self.metrics["primary"][task]["higher_is_better"]

    def result(self, task: str) -> tuple[float, float]:
        """Returns the primary metric of a finished run's task, and that of the best constant prediction."""
        entry = {} if self.metrics is None else self.metrics["tasks"][task].get(self.primary(task), {})
        value, baseline = (number(entry.get(side)) for side in ("value", "baseline"))
        return value, baseline


def number(value: float | None) -> float:
    """Returns a number from JSON; null becomes NaN."""
    return math.nan if value is None else float(value)


def read_run(folder: Path) -> RunRecords:
    """Reads the files of a run.

    Raises:
        ValueError: if there is no run, or a file of it cannot be read, naming the file.
    """
    directory = RunDirectory(folder)
    if not directory.started:
        raise ValueError(f"No run found: the directory has no config.json. Received: run_dir={str(folder)!r}")
    config = read_json(directory.config_file)
    if not isinstance(config, dict):
        raise ValueError(f"{directory.config_file} is damaged: it holds no settings")
    history = read_history(directory.history_file) if directory.history_file.exists() else {}
    metrics = _metrics(directory.metrics_file) if directory.metrics_file.exists() else None
    seen = [name.removesuffix(_ACTIVE) for name in history if name.endswith(_ACTIVE)]
    tasks = tuple(metrics["primary"] if metrics else _sorted_by(seen, config.get("tasks") or ()))
    if metrics and not 0 <= metrics["best_epoch"] < len(next(iter(history.values()), ())):
        raise ValueError(f"{directory.history_file} does not have the best epoch of {directory.metrics_file}")
    gradients = _gradients(directory.gradients_file) if directory.gradients_file.exists() else None
    return RunRecords(directory.path, config, history, metrics, gradients, tasks, directory.nonfinite.exists())


def _sorted_by(names: Sequence[str], order: Sequence[str]) -> list[str]:
    """Returns the names sorted by `order`, names that are not in it last."""
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _metrics(file: Path) -> dict[str, Any]:
    metrics = read_json(file)
    try:
        for task, entry in metrics["primary"].items():
            if not isinstance(entry["metric"], str) or not isinstance(entry["higher_is_better"], bool):
                raise TypeError(f"the primary metric of {task!r}")
            for values in metrics["tasks"][task].values():
                number(values["value"])
                number(values["baseline"])
        if not all(isinstance(metrics[name], dict) for name in ("overall", "cost")):
            raise TypeError("overall or cost")
        if not isinstance(metrics["best_epoch"], int):
            raise TypeError("best_epoch")
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise ValueError(f"{file} is damaged, or of an older version: {cause}") from cause
    return metrics


def _gradients(file: Path) -> dict[str, Any]:
    content = read_json(file)
    try:
        count = len(content["tasks"])
        for epoch in content["epochs"]:
            int(epoch["epoch"])
            for table in ("cosine", "conflict"):
                shape = np.asarray(epoch[table], "float64").shape
                if shape != (count, count):
                    raise ValueError(f"{table} of epoch {epoch['epoch']} has shape {shape}")
    except (KeyError, TypeError, ValueError) as cause:
        raise ValueError(f"{file} is damaged: {cause}") from cause
    return content
