"""Writes and reads `affinity.json`, how a step on each task affects the others in each epoch and in the whole run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.epoch_record import EpochRecord, six_digits
from experiments.files import read_json
from mtl_keras.analysis import Affinity
from mtl_keras.callbacks import TaskAffinity


class AffinityWriter(EpochRecord):
    """Writes `affinity.json`.

    It is `{"every": steps, "sources": number, "tasks": names, "run": table, "epochs": [{"epoch": number, **table},
    ...]}`, with tables from `Affinity.to_json`. `run` is over the steps of all epochs, those before a resume included.

    Args:
        file: the file to write.
        monitor: the callback that measures.
    """

    def __init__(self, file: Path, monitor: TaskAffinity) -> None:
        super().__init__(file)
        self.monitor = monitor

    def header(self, tasks: Sequence[str]) -> dict[str, Any]:
        run = Affinity.pooled([Affinity.from_json(epoch) for epoch in self.epochs])
        sources = min(self.monitor.sources or len(tasks), len(tasks))
        return {"every": self.monitor.every, "sources": sources, "tasks": list(tasks), "run": six_digits(run.to_json())}

    def entry(self) -> dict[str, Any] | None:
        return None if self.monitor.epoch_affinity is None else self.monitor.epoch_affinity.to_json()


@dataclass(frozen=True)
class AffinityTables:
    """The affinities of a run.

    Args:
        every: training steps between measurements.
        sources: number of tasks whose effect was measured in each of them.
        run: the affinities over all steps that were measured.
        epochs: epoch, from 0 -> its affinities.
    """

    every: int
    sources: int
    run: Affinity
    epochs: dict[int, Affinity]


def read_affinity(file: Path) -> AffinityTables:
    """Reads `affinity.json`.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    content = read_json(file)
    try:
        epochs = {int(entry["epoch"]): Affinity.from_json(entry) for entry in content["epochs"]}
        return AffinityTables(
            int(content["every"]), int(content["sources"]), Affinity.from_json(content["run"]), epochs
        )
    except (KeyError, TypeError, ValueError) as cause:
        raise ValueError(f"{file} is damaged: {cause}") from cause
