"""`Checkpoints`: writes and reads the states from which a run can resume. Writes are atomic."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from experiments.files import read_json, write_json
from mtl_keras.export.replacing import replacing

KEPT = 2
"""Number of newest checkpoints that are kept."""
_MODEL, _ARRAYS, _STATE, _SUMS = "model.keras", "training.npz", "state.json", "checksums.json"


@dataclass(frozen=True)
class Checkpoint:
    """A restored state.

    Args:
        folder: the folder of the checkpoint.
        epoch: the epoch to resume.
        step: number of finished steps in that epoch.
        arrays: from `MultiTaskModel.training_state`.
        state: further saved state, as JSON values.
    """

    folder: Path
    epoch: int
    step: int
    arrays: Mapping[str, np.ndarray]
    state: Mapping[str, Any]

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.folder / _MODEL


class Checkpoints:
    """The newest `KEPT` checkpoints of a run.

    Args:
        folder: the folder of the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __bool__(self) -> bool:
        return bool(self._all())

    def save(self, epoch: int, step: int, model: keras.Model, state: Any) -> None:
        """Saves the state after `step` steps of an epoch. The checkpoint appears only once it is complete and on disk.

        Args:
            epoch: the epoch to resume.
            step: number of finished steps in that epoch.
            model: a `MultiTaskModel`.
            state: further state to save, as JSON values.

        Raises:
            OSError: if it cannot be written, naming it; earlier checkpoints are not changed.
        """
        with replacing(self.folder / f"epoch-{epoch:05d}-step-{step:07d}") as folder:
            folder.mkdir()
            model.save(folder / _MODEL)
            np.savez(folder / _ARRAYS, **model.training_state())
            # Plain `json` keeps NaN and infinity, so the state is restored exactly.
            (folder / _STATE).write_text(json.dumps({"epoch": epoch, "step": step, **state}), "utf-8")
            write_json(folder / _SUMS, {name: _checksum(folder / name) for name in (_MODEL, _ARRAYS, _STATE)})
        for old in self._all()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def last(self, set_aside: bool = True) -> Checkpoint | None:
        """Returns the newest intact checkpoint, or `None` if there is none at all.

        A damaged one is reported on stderr and renamed, with the prefix `damaged-`.

        Args:
            set_aside: whether to report and rename damaged checkpoints; only one of several processes should.

        Raises:
            ValueError: if there are checkpoints and all are damaged.
        """
        reasons = []
        for folder in reversed(self._all()):
            try:
                found = _read(folder)
            except ValueError as cause:
                reasons.append((folder, cause))
                continue
            for damaged, reason in reasons if set_aside else ():
                print(f"warning: {reason}. Resuming from {folder.name} instead.", file=sys.stderr)
                damaged.replace(damaged.with_name(f"damaged-{damaged.name}"))
            return found
        if reasons:
            raise ValueError(f"No checkpoint in {self.folder} can be read: {'; '.join(str(why) for _, why in reasons)}")
        return None

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*"))


def _read(folder: Path) -> Checkpoint:
    sums = read_json(folder / _SUMS)
    for name in (_MODEL, _ARRAYS, _STATE):
        file = folder / name
        if not file.exists():
            raise ValueError(f"There is no {file}")
        if not isinstance(sums, dict) or sums.get(name) != _checksum(file):
            raise ValueError(f"{file} is damaged: its checksum is not the one in {_SUMS}")
    with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
        state = json.loads((folder / _STATE).read_text("utf-8"))
        return Checkpoint(folder, state.pop("epoch"), state.pop("step"), dict(arrays), state)


def _checksum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
