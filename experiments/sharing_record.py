"""Writes and reads `sharing.json`, what the tasks share in each epoch of a network with soft sharing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.epoch_record import EpochRecord
from experiments.files import read_json
from mtl_keras.callbacks import SharingMonitor
from mtl_keras.callbacks.sharing_summary import SharingSummary


class SharingWriter(EpochRecord):
    """Writes `sharing.json`: `{"epochs": [{"epoch": number, **SharingSummary.to_json()}, ...]}`.

    Args:
        file: the file to write.
        monitor: the callback that measures.
    """

    def __init__(self, file: Path, monitor: SharingMonitor) -> None:
        super().__init__(file)
        self.monitor = monitor

    def entry(self) -> Mapping[str, Any] | None:
        return None if self.monitor.summary is None else self.monitor.summary.to_json()


def read_sharing(file: Path) -> dict[int, SharingSummary]:
    """Reads `sharing.json`.

    Returns:
        epoch, from 0 -> summary.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    content = read_json(file)
    try:
        return {int(entry["epoch"]): SharingSummary.from_json(entry) for entry in content["epochs"]}
    except (KeyError, TypeError, ValueError) as cause:
        raise ValueError(f"{file} is damaged: {cause}") from cause
