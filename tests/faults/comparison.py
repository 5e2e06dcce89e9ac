"""Compares two runs that should be the same."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from experiments.checkpoints import Checkpoints


def differences(one: Path, other: Path) -> list[str]:
    """Returns what is not bit for bit the same in two run directories: weights, history, states and results.

    Times, which no two runs share, are left out.
    """
    found = [
        name
        for name in ("history.csv", "gradients.json", "affinity.json", "sharing.json")
        if _bytes(one / name) != _bytes(other / name)
    ]
    names = ["best.keras"]
    for folder in (one, other):
        names += [f"checkpoints/{entry.name}/model.keras" for entry in (folder / "checkpoints").glob("epoch-*")]
    found += [name for name in dict.fromkeys(names) if not _same_arrays(one / name, other / name)]
    found += [] if _states(one) == _states(other) else ["the last checkpoint's state"]
    found += [] if _metrics(one) == _metrics(other) else ["metrics.json"]
    return found


def draws(file: Path) -> dict[tuple[int, int], str]:
    """Returns the task weights of each step, by epoch and step.

    Raises:
        ValueError: if a step was drawn twice, and not the same.
    """
    rows: dict[tuple[int, int], str] = {}
    for line in file.read_text().splitlines():
        epoch, step, weights = line.split(" ", 2)
        if rows.setdefault((int(epoch), int(step)), weights) != weights:
            raise ValueError(f"Step {step} of epoch {epoch} was drawn twice, and not the same")
    return rows


def unreadable(folder: Path) -> list[str]:
    """Returns which checkpoints of a run cannot be read: none, whatever happened to it."""
    checkpoints = Checkpoints(folder / "checkpoints")
    before = sorted(checkpoints.folder.glob("epoch-*"))
    checkpoints.last()
    return [path.name for path in before if not path.exists()]


def _bytes(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _same_arrays(one: Path, other: Path) -> bool:
    if not (one.exists() and other.exists()):
        return False
    first, second = _arrays(one), _arrays(other)
    return first.keys() == second.keys() and all(
        first[name].tobytes() == second[name].tobytes() and first[name].dtype == second[name].dtype for name in first
    )


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """The variables in a `.keras` file: weights, optimizer and weighting."""
    arrays: dict[str, np.ndarray] = {}

    def add(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset):
            arrays[name] = np.asarray(entry)

    with zipfile.ZipFile(file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as content:
        content.visititems(add)
    return arrays


def _states(folder: Path) -> Any:
    last = Checkpoints(folder / "checkpoints").last()
    if last is None:
        return None
    timing = ("seconds", "elapsed", "timed_steps", "untimed")
    state = {name: value for name, value in last.state.items() if name not in timing}
    arrays = {name: array.tobytes() for name, array in last.arrays.items()}
    for name in ("gradients", "affinity"):
        # Only a monitor resets its count at the end of an epoch; without one it starts at 0 when a run resumes.
        if not (folder / f"{name}.json").exists():
            del arrays[f"{name}_count"]
    return last.epoch, last.step, json.dumps(state, sort_keys=True), arrays


def _metrics(folder: Path) -> Any:
    return {
        name: value for name, value in json.loads(_bytes(folder / "metrics.json") or b"{}").items() if name != "cost"
    }
