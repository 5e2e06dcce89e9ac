"""`Method`: the finished runs of one side of a comparison, for reports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.files import read_history
from experiments.records import Record, read_records


@dataclass(frozen=True)
class Method:
    """A method and its runs, one per seed; for single-task networks, one per task and seed.

    Args:
        name: name of the method.
        records: its finished runs.
        histories: the contents of their `history.csv`, in the same order.
    """

    name: str
    records: tuple[Record, ...]
    histories: tuple[Mapping[str, Sequence[float]], ...]

    @property
    def config(self) -> Mapping[str, Any]:
        """The `config.json` of its first run."""
        return self.records[0].config

    @property
    def synthetic(self) -> bool:
        """Whether one of its runs was trained on drawn images."""
        return any(
            record.config.get("synthetic") or (record.config.get("data") or {}).get("synthetic")
            for record in self.records
        )

    def curve(self, task: str, quantity: str, seeds: Sequence[int]) -> list[float]:
        """Returns a column of a task's history as the mean over the runs with these seeds, `(epochs,)`.

        An epoch that some runs do not have is the mean over the others.

        Args:
            task: name of the task.
            quantity: `"loss"` or the name of a metric, with the prefix `val_` for validation.
            seeds: seeds of the runs.
        """
        validation, name = quantity.startswith("val_"), quantity.removeprefix("val_")
        column = f"{'val_' * validation}{task}_{name}"
        found = [
            history[column]
            for record, history in zip(self.records, self.histories)
            if task in record.tasks and record.config["seed"] in seeds and column in history
        ]
        result = []
        for epoch in range(max(map(len, found), default=0)):
            values = [values[epoch] for values in found if epoch < len(values) and math.isfinite(values[epoch])]
            result.append(float(np.mean(values)) if values else math.nan)
        return result


def read_method(name: str, folder: Path) -> Method:
    """Reads the finished runs in a folder.

    Raises:
        ValueError: if there are none, or a file of one cannot be read, naming the file.
    """
    records = tuple(read_records(folder))
    return Method(name, records, tuple(read_history(record.folder / "history.csv") for record in records))
