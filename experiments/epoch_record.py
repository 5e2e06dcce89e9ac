"""`EpochRecord`: a JSON file of a run with an entry for each epoch."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.files import read_json, write_json


class EpochRecord(abc.ABC):
    """Writes `{..., "epochs": [...]}` with one entry per epoch, also if the run is resumed.

    Args:
        file: the file to write.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.epochs: list[dict[str, Any]] = []

    @abc.abstractmethod
    def entry(self) -> Mapping[str, Any] | None:
        """Returns what is known of the last epoch, as JSON values; `None` for no entry."""

    def header(self, tasks: Sequence[str]) -> Mapping[str, Any]:
        """Returns the entries of the file that all epochs share.

        Args:
            tasks: the names of the tasks.
        """
        return {}

    def add(self, epoch: int, tasks: Sequence[str]) -> None:
        """Appends the entry of an epoch, with six significant digits, and writes the file.

        Args:
            epoch: number of the epoch.
            tasks: the names of the tasks.
        """
        entry = self.entry()
        if entry is not None:
            self.epochs.append(six_digits({"epoch": epoch, **entry}))
            write_json(self.file, {**self.header(tasks), "epochs": self.epochs})

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


def six_digits(content: Any) -> Any:
    """Returns JSON values with all floats rounded to six significant digits."""
    if isinstance(content, Mapping):
        return {name: six_digits(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [six_digits(value) for value in content]
    return float(f"{content:.6g}") if isinstance(content, float) else content
