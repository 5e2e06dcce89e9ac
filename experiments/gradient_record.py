"""Writes and reads `gradients.json`, the gradient statistics of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.files import read_json, write_json
from mtl_keras.callbacks import GradientMonitor
from mtl_keras.training.gradients import GradientSummary


class GradientWriter:
    """Writes `gradients.json`: `{"every": steps, "tasks": names, "epochs": [...]}`, with one `epoch_entry` per epoch.

    The means over all pairs are in the history. These are the full tables, which are too large for every checkpoint.

    Args:
        file: the file to write.
        monitor: the callback that monitors the gradients.
    """

    def __init__(self, file: Path, monitor: GradientMonitor) -> None:
        self.file = file
        self.monitor = monitor
        self.epochs: list[dict[str, Any]] = []

    def add(self, epoch: int, tasks: Sequence[str]) -> None:
        """Appends the monitor's summary of an epoch, and writes the file.

        Args:
            epoch: number of the epoch.
            tasks: the names of the rows and columns.
        """
        if self.monitor.summary is not None:
            self.epochs.append(epoch_entry(epoch, self.monitor.summary))
            write_json(self.file, {"every": self.monitor.every, "tasks": list(tasks), "epochs": self.epochs})

    def restore(self, epoch: int) -> None:
        """Restores the recorded epochs before `epoch`, at which the run resumes.

        Raises:
            ValueError: if the file is damaged, naming it.
        """
        if not self.file.exists():
            return
        content = read_json(self.file)
        try:
            self.epochs = [known for known in content["epochs"] if known["epoch"] < epoch]
        except (KeyError, TypeError) as cause:
            raise ValueError(f"{self.file} is damaged: {cause!r}") from cause


def epoch_entry(epoch: int, summary: GradientSummary) -> dict[str, Any]:
    """Returns `epoch`, `steps`, the tables `cosine` and `conflict`, and `norm`, with six significant digits."""
    tables = {"cosine": summary.cosine, "conflict": summary.conflict, "norm": summary.norm}
    rounded = {name: np.vectorize(_six_digits, otypes=[float])(table).tolist() for name, table in tables.items()}
    return {"epoch": epoch, "steps": summary.steps, **rounded}


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")


@dataclass(frozen=True)
class GradientTables:
    """The gradient statistics of a run.

    Args:
        every: training steps between measurements.
        tasks: the names of the rows and columns.
        cosine: `(epochs, tasks, tasks)` mean cosines; NaN for a pair that was not measured in an epoch.
        conflict: `(epochs, tasks, tasks)` shares of the measured steps with a negative cosine.
    """

    every: int
    tasks: tuple[str, ...]
    cosine: np.ndarray
    conflict: np.ndarray


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
        return GradientTables(int(content["every"]), tasks, **stacked)
    except (KeyError, TypeError, ValueError) as cause:
        raise ValueError(f"{file} is damaged: {cause}") from cause
