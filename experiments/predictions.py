"""Saves predictions with a run, so that they can be inspected without the data."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.evaluation import Outputs, sample_losses
from experiments.files import write_arrays
from mtl_keras.reports.pictures import to_bytes
from mtl_keras.tasks import TaskSet

MAX_ROWS, MAX_NUMBERS = 50_000, 10_000_000
"""Maximum number of examples (the first of a split) and of numbers (40 MB) that are saved."""
_FEW_TASKS, _EXAMPLES_OF_MANY_TASKS = 8, 2
_EXAMPLES = 3
"""Best examples and worst examples per task; `_EXAMPLES_OF_MANY_TASKS` for more than `_FEW_TASKS` tasks."""


def save_predictions(path: Path, outputs: Outputs, tasks: TaskSet, names: Sequence[str] | None = None) -> None:
    """Writes `true/<task>` and `pred/<task>`, (examples, ...) each, of all tasks except reconstructions.

    Labels are saved unchanged: NaN and -1 are missing labels. `name` (examples,) is written if `names` are given: the
    file names of all images of the split.
    """
    saved = [name for name, task in tasks.items() if task.head != "reconstruction"]
    sides = {"true": outputs.true, "pred": outputs.pred}
    arrays = {f"{side}/{name}": values[name] for side, values in sides.items() for name in saved}
    rows = min(MAX_ROWS, MAX_NUMBERS // max(1, sum(math.prod(values.shape[1:]) for values in arrays.values())))
    arrays = {name: values[:rows] for name, values in arrays.items()}
    if names is not None:
        arrays["name"] = np.array(names[:rows], str)
    write_arrays(path, arrays)


def save_examples(
    path: Path,
    outputs: Outputs,
    tasks: TaskSet,
    batches: tf.data.Dataset,
    names: Sequence[str] | None = None,
) -> None:
    """Writes the images with the smallest and largest loss of each task, with the labels and predictions of all tasks.

    The arrays are `index` (examples,), their numbers in the split; `images`, uint8 (examples, height, width,
    channels); `true/<task>` and `pred/<task>`, uint8 for images; and `best/<task>` and `worst/<task>`, row indices into
    these arrays, the best and the worst first. `name` (examples,) is written if `names` are given.

    Args:
        path: the file to write.
        outputs: labels and predictions of the split.
        tasks: all tasks.
        batches: the split again, in the same order.
        names: the file names of all images of the split, if they have any.
    """
    per_side = _EXAMPLES if len(tasks) <= _FEW_TASKS else _EXAMPLES_OF_MANY_TASKS
    chosen: dict[str, np.ndarray] = {}
    for name, task in tasks.items():
        numbers, losses = sample_losses(task, outputs.true[name], outputs.pred[name])
        order = numbers[np.argsort(losses, kind="stable")]
        chosen[f"best/{name}"], chosen[f"worst/{name}"] = (
            order[:per_side],
            order[::-1][: min(per_side, len(order) // 2)],
        )
    index = np.unique(np.concatenate(list(chosen.values()))).astype(np.int64)
    rows = {key: np.searchsorted(index, numbers) for key, numbers in chosen.items()}
    arrays: dict[str, np.ndarray] = {"index": index, "images": _images(batches, index), **rows}
    if names is not None:
        arrays["name"] = np.array([names[number] for number in index], str)
    for name, task in tasks.items():
        for side, values in (("true", outputs.true), ("pred", outputs.pred)):
            picked = values[name][index]
            arrays[f"{side}/{name}"] = to_bytes(picked) if task.head == "reconstruction" else picked
    write_arrays(path, arrays)


@dataclass(frozen=True)
class SavedArrays:
    """The arrays of one of these files.

    Args:
        path: the file.
        arrays: name -> array.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]

    def get(self, name: str) -> np.ndarray:
        """Returns an array.

        Raises:
            ValueError: if the file does not have it, naming the file.
        """
        if name not in self.arrays:
            raise ValueError(f"{self.path} is damaged: it has no array {name!r}")
        return self.arrays[name]

    def example_name(self, row: int) -> str:
        """Returns the name of the example in a row: its image's file name if it has one, else its number."""
        return str(self.arrays["name"][row]) if "name" in self.arrays else f"number {self.get('index')[row]}"


def read_arrays(path: Path) -> SavedArrays | None:
    """Reads a file of arrays; returns `None` if it does not exist.

    Raises:
        ValueError: if it is damaged, naming it.
    """
    if not path.exists():
        return None
    try:
        # NumPy does not close a damaged file that it opened itself.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return SavedArrays(path, dict(arrays))
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as cause:
        raise ValueError(f"{path} is damaged: {cause}") from cause


def _images(batches: Iterable[Any], index: np.ndarray) -> np.ndarray:
    """Returns the images (rows of `index`, ...) of a split; reads the split up to the last of them."""
    found, start = [], 0
    for images, _ in batches:
        rows = index[(index >= start) & (index < start + len(images))] - start
        if len(rows):
            found.append(to_bytes(np.asarray(tf.gather(images, rows))))
        start += len(images)
        if start > index[-1]:
            break
    return np.concatenate(found)
