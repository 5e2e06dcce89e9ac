"""What a model predicted, kept with a run, so that it can be looked at without the data."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiments.evaluation import Outputs, sample_losses
from experiments.files import write_arrays
from mtl_keras.reports.pictures import to_bytes
from mtl_keras.tasks import TaskSet

MOST_ROWS, MOST_NUMBERS = 50_000, 10_000_000
"""Predictions of the first so many examples of a split are kept, and no more numbers than that (40 MB)."""
_FEW_TASKS, _MANY = 8, 2
_EACH = 3
"""Best and worst examples of each task; `_MANY` of each where there are more than `_FEW_TASKS`."""


def save_predictions(path: Path, outputs: Outputs, tasks: TaskSet) -> None:
    """Writes `true/<task>` and `pred/<task>`, (examples, ...) each, of all tasks but reconstructions.

    Labels are kept as they are given: NaN and -1 are no label.
    """
    kept = [name for name, task in tasks.items() if task.head != "reconstruction"]
    sides = {"true": outputs.true, "pred": outputs.pred}
    arrays = {f"{side}/{name}": values[name] for side, values in sides.items() for name in kept}
    rows = min(MOST_ROWS, MOST_NUMBERS // max(1, sum(math.prod(values.shape[1:]) for values in arrays.values())))
    write_arrays(path, {name: values[:rows] for name, values in arrays.items()})


def save_examples(path: Path, outputs: Outputs, tasks: TaskSet, batches: tf.data.Dataset) -> None:
    """Writes the images that each task's loss is smallest and largest for, with what all tasks say of them.

    The arrays are `index` (examples,), their numbers in the split; `images`, uint8 (examples, height, width,
    channels); `true/<task>` and `pred/<task>`, uint8 where they are images; and `best/<task>` and `worst/<task>`, the
    rows of these arrays, the best and the worst first.

    Args:
        path: where to.
        outputs: what was predicted of the split.
        tasks: all of them.
        batches: the split again, in the same order.
    """
    each = _EACH if len(tasks) <= _FEW_TASKS else _MANY
    chosen: dict[str, np.ndarray] = {}
    for name, task in tasks.items():
        numbers, losses = sample_losses(task, outputs.true[name], outputs.pred[name])
        order = numbers[np.argsort(losses, kind="stable")]
        chosen[f"best/{name}"], chosen[f"worst/{name}"] = order[:each], order[::-1][: min(each, len(order) // 2)]
    index = np.unique(np.concatenate(list(chosen.values()))).astype(np.int64)
    rows = {key: np.searchsorted(index, numbers) for key, numbers in chosen.items()}
    arrays: dict[str, np.ndarray] = {"index": index, "images": _images(batches, index), **rows}
    for name, task in tasks.items():
        for side, values in (("true", outputs.true), ("pred", outputs.pred)):
            picked = values[name][index]
            arrays[f"{side}/{name}"] = to_bytes(picked) if task.head == "reconstruction" else picked
    write_arrays(path, arrays)


@dataclass(frozen=True)
class Kept:
    """Arrays of one of these files.

    Args:
        path: the file.
        arrays: by name.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]

    def get(self, name: str) -> np.ndarray:
        """Returns an array.

        Raises:
            ValueError: if the file does not have it, naming it.
        """
        if name not in self.arrays:
            raise ValueError(f"{self.path} is damaged: it has no array {name!r}")
        return self.arrays[name]


def read(path: Path) -> Kept | None:
    """Reads a file of arrays; `None` if it is not there.

    Raises:
        ValueError: if it is damaged, naming it.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Kept(path, dict(arrays))
    except (OSError, ValueError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as cause:
        raise ValueError(f"{path} is damaged: {cause}") from cause


def _images(batches: Iterable[Any], index: np.ndarray) -> np.ndarray:
    """The images (rows of `index`, ...) of a split, which is read as far as the last of them."""
    found, start = [], 0
    for images, _ in batches:
        rows = index[(index >= start) & (index < start + len(images))] - start
        if len(rows):
            found.append(to_bytes(np.asarray(tf.gather(images, rows))))
        start += len(images)
        if start > index[-1]:
            break
    return np.concatenate(found)
