"""`GradientRecord`: writes the gradient statistics of each epoch to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.files import read_json, write_json
from mtl_keras.callbacks import GradientMonitor
from mtl_keras.training.gradients import GradientSummary


class GradientRecord:
    """Writes `gradients.json`: `{"every": steps, "tasks": names, "epochs": [...]}`, each epoch as returned by `entry`.

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
            self.epochs.append(entry(epoch, self.monitor.summary))
            write_json(self.file, {"every": self.monitor.every, "tasks": list(tasks), "epochs": self.epochs})

    def restore(self, epoch: int) -> None:
        """Reads the recorded epochs before `epoch`, from which the run resumes.

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


def entry(epoch: int, summary: GradientSummary) -> dict[str, Any]:
    """Returns `epoch`, `steps`, the tables `cosine` and `conflict`, and `norm`, with six significant digits."""
    tables = {"cosine": summary.cosine, "conflict": summary.conflict, "norm": summary.norm}
    rounded = {name: np.vectorize(_six_digits, otypes=[float])(table).tolist() for name, table in tables.items()}
    return {"epoch": epoch, "steps": summary.steps, **rounded}


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")
