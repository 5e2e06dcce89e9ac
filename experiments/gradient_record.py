"""Writes and reads `gradients.json`, the gradient statistics of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.epoch_record import EpochRecord
from experiments.files import read_json
from mtl_keras.analysis.affinity import COSINE, Affinity
from mtl_keras.callbacks import GradientMonitor
from mtl_keras.training.gradients import GradientSummary


class GradientWriter(EpochRecord):
    """Writes `gradients.json`: `{"every": steps, "tasks": names, "epochs": [...]}`, with one `epoch_entry` per epoch.

    The means over all pairs are in the history. These are the full tables, which are too large for every checkpoint.

    Args:
        file: the file to write.
        monitor: the callback that monitors the gradients.
    """

    def __init__(self, file: Path, monitor: GradientMonitor) -> None:
        super().__init__(file)
        self.monitor = monitor

    def header(self, tasks: Sequence[str]) -> dict[str, Any]:
        return {"every": self.monitor.every, "tasks": list(tasks)}

    def entry(self) -> dict[str, Any] | None:
        return None if self.monitor.summary is None else epoch_entry(self.monitor.summary)


def epoch_entry(summary: GradientSummary) -> dict[str, Any]:
    """Returns `steps`, the tables `cosine` (with `error` and `count`) and `conflict`, and `norm`."""
    names = ("cosine", "error", "count", "conflict", "norm")
    tables = {name: getattr(summary, name) for name in names}
    return {"steps": summary.steps, **{name: np.asarray(table).tolist() for name, table in tables.items()}}


@dataclass(frozen=True)
class GradientTables:
    """The gradient statistics of a run.

    Args:
        every: training steps between measurements.
        tasks: the names of the rows and columns.
        cosine: `(epochs, tasks, tasks)` mean cosines; NaN for a pair that was not measured in an epoch.
        conflict: `(epochs, tasks, tasks)` shares of the measured steps with a negative cosine.
        affinity: the mean cosines over all epochs with their standard errors; `None` for a run of an older version.
    """

    every: int
    tasks: tuple[str, ...]
    cosine: np.ndarray
    conflict: np.ndarray
    affinity: Affinity | None = None


def read_gradients(file: Path) -> GradientTables:
    """Reads `gradients.json`.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    content = read_json(file)
    try:
        tasks, epochs = tuple(content["tasks"]), content["epochs"]
        shape = (len(tasks), len(tasks))
        tables = {name: [np.asarray(epoch[name], "float64") for epoch in epochs] for name in ("cosine", "conflict")}
        for name, found in tables.items():
            for epoch, table in enumerate(found):
                if table.shape != shape:
                    raise ValueError(f"{name} of entry {epoch} has shape {table.shape}")
        stacked = {name: np.reshape(found, (len(epochs), *shape)) for name, found in tables.items()}
        known = [
            Affinity.from_json({"kind": COSINE, "tasks": tasks, "mean": epoch["cosine"], **epoch})
            for epoch in epochs
            if "error" in epoch
        ]
        affinity = Affinity.pooled(known) if known else None
        return GradientTables(int(content["every"]), tasks, **stacked, affinity=affinity)
    except (KeyError, TypeError, ValueError) as cause:
        raise ValueError(f"{file} is damaged: {cause}") from cause
