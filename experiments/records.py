"""`Record`: the results of a run, read only from its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.files import read_json
from experiments.run_directory import RunDirectory
from mtl_keras.analysis import Cost

Table = Mapping[str, Mapping[str, Mapping[str, float | None]]]


@dataclass(frozen=True)
class Record:
    """A finished run.

    Args:
        folder: the run directory.
        config: its `config.json`: settings, versions, date.
        primary: task -> `{"metric": name, "higher_is_better": bool}`.
        tables: split (`"test"`, `"train"`) -> task -> metric -> `{"value": ..., "baseline": ...}`.
        cost: the cost of its training.
    """

    folder: Path
    config: Mapping[str, Any]
    primary: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Table]
    cost: Cost

    @property
    def tasks(self) -> tuple[str, ...]:
        """Its tasks, in order."""
        return tuple(self.primary)

    def value(self, split: str, task: str, metric: str) -> float:
        """Returns the metric of a task on a split; NaN if unknown."""
        value = self.tables[split][task].get(metric, {}).get("value")
        return math.nan if value is None else value


def read_records(folder: Path) -> list[Record]:
    """Returns the finished runs in a folder and its subfolders.

    Raises:
        ValueError: if there are none, or a file of a run cannot be read, naming the file.
    """
    found = sorted(file.parent for file in folder.rglob("metrics.json"))
    if not found:
        raise ValueError(f"There is no finished run (no metrics.json) in {str(folder)!r}")
    return [_read(RunDirectory(path)) for path in found]


def _read(directory: RunDirectory) -> Record:
    metrics, config = read_json(directory.metrics_file), read_json(directory.config_file)
    train_file = directory.evaluation_file("best", "train")
    try:
        tables = {"test": metrics["tasks"]}
        if train_file.exists():
            tables["train"] = read_json(train_file)["tasks"]
        cost = Cost(*(metrics["cost"][name] for name in ("parameters", "seconds_per_step", "seconds")))
        return Record(directory.path, config, metrics["primary"], tables, cost)
    except (KeyError, TypeError) as cause:
        raise ValueError(f"{directory.metrics_file} is damaged, or of an older version: no {cause}") from cause


def by_seed(records: Sequence[Record], split: str, task: str, metric: str) -> dict[int, float]:
    """Returns the metric of a task in each run that has the task, by the run's seed.

    Raises:
        ValueError: if two runs with the same seed have the task.
    """
    values: dict[int, float] = {}
    for record in records:
        if task in record.tasks and split in record.tables:
            seed = int(record.config["seed"])
            if seed in values:
                raise ValueError(f"Two runs in {str(record.folder.parent)!r} train task {task!r} with seed {seed}.")
            values[seed] = record.value(split, task, metric)
    return values
