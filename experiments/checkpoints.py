"""`Checkpoints`: the states that a run can go on from, each complete or not there at all."""

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
"""How many checkpoints are kept: the newest ones."""
_MODEL, _ARRAYS, _STATE, _SUMS = "model.keras", "training.npz", "state.json", "checksums.json"


@dataclass(frozen=True)
class Checkpoint:
    """A state read back.

    Args:
        folder: where it is.
        epoch: the epoch to go on with.
        step: how many steps of that epoch are made.
        arrays: from `MultiTaskModel.training_state`.
        state: what else was saved, as values that JSON can hold.
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
    """The checkpoints of a run, the newest `KEPT` of them.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __bool__(self) -> bool:
        return bool(self._all())

    def save(self, epoch: int, step: int, model: keras.Model, state: Any) -> None:
        """Keeps the state after `step` steps of an epoch: under its name only once it is complete and on the disk.

        Args:
            epoch: the epoch to go on with.
            step: how many of its steps are made.
            model: a `MultiTaskModel`.
            state: what else to keep, as values that JSON can hold.

        Raises:
            OSError: if it cannot be written, naming it; those before it are as they were.
        """
        with replacing(self.folder / f"epoch-{epoch:05d}-step-{step:07d}") as folder:
            folder.mkdir()
            model.save(folder / _MODEL)
            np.savez(folder / _ARRAYS, **model.training_state())
            # Here NaN and infinity are themselves: what is read back is what was written.
            (folder / _STATE).write_text(json.dumps({"epoch": epoch, "step": step, **state}), "utf-8")
            write_json(folder / _SUMS, {name: _checksum(folder / name) for name in (_MODEL, _ARRAYS, _STATE)})
        for old in self._all()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def last(self, set_aside: bool = True) -> Checkpoint | None:
        """Returns the newest checkpoint that is whole, or `None` if there is none at all.

        One that is damaged is reported on stderr, and set aside under a name that begins with `damaged-`.

        Args:
            set_aside: whether to do so: one of several processes that read them does.

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
                print(f"warning: {reason}. Going on from {folder.name}, before it.", file=sys.stderr)
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
