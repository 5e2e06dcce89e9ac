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

from experiments.evaluation import Outputs, Predict, sample_losses
from experiments.files import write_arrays
from mtl_keras.analysis.pixels import CLASS_HEADS
from mtl_keras.reports.outputs import Output
from mtl_keras.reports.pictures import to_bytes
from mtl_keras.tasks import Task, TaskSet

MAX_ROWS, MAX_NUMBERS = 50_000, 10_000_000
"""Maximum number of examples (the first of a split) and of numbers (40 MB) that are saved."""
_FEW_TASKS, _EXAMPLES_OF_MANY_TASKS = 8, 2
_EXAMPLES = 3
"""Best examples and worst examples per task; `_EXAMPLES_OF_MANY_TASKS` for more than `_FEW_TASKS` tasks."""
_MAP_SIDE = 256
"""Longest side of a saved map: of larger ones, every second, third, ... pixel is saved."""
_LARGEST_HALF = 60_000
"""Larger numbers are not saved as float16."""


def save_predictions(path: Path, outputs: Outputs, tasks: TaskSet, names: Sequence[str] | None = None) -> None:
    """Writes `true/<task>` and `pred/<task>`, (examples, ...) each, of all tasks except those of images.

    Labels are saved unchanged: NaN and -1 are missing labels. `name` (examples,) is written if `names` are given: the
    file names of all images of the split.

    Of a dense task the file has `iou/<task>` for classes, else `error/<task>`: (examples,), the IoU or mean error of
    each example, NaN if it is not defined; `constant_iou/<task>` or `constant_error/<task>` of the best constant
    prediction; and the arrays of `DenseResult`, as `confusion/<task>`.
    """
    saved = [name for name, task in tasks.items() if task.head != "reconstruction" and not task.is_dense]
    sides = {"true": outputs.true, "pred": outputs.pred}
    arrays = {f"{side}/{name}": values[name] for side, values in sides.items() for name in saved}
    rows = min(MAX_ROWS, MAX_NUMBERS // max(1, sum(math.prod(values.shape[1:]) for values in arrays.values())))
    arrays = {name: values[:rows] for name, values in arrays.items()}
    for name, result in outputs.dense.items():
        arrays[f"{measure_name(tasks[name])}/{name}"] = result.measures[:rows].astype("float32")
        arrays[f"constant_{measure_name(tasks[name])}/{name}"] = result.constant_measures[:rows].astype("float32")
        arrays |= {f"{key}/{name}": values for key, values in result.arrays.items()}
    if names is not None:
        arrays["name"] = np.array(names[:rows], str)
    write_arrays(path, arrays)


def save_examples(
    path: Path,
    outputs: Outputs,
    tasks: TaskSet,
    batches: tf.data.Dataset,
    names: Sequence[str] | None = None,
    predict: Predict | None = None,
) -> None:
    """Writes the images with the smallest and largest loss of each task, with the labels and predictions of all tasks.

    The arrays are `index` (examples,), their numbers in the split; `images`, uint8 (examples, height, width,
    channels); `true/<task>` and `pred/<task>`, uint8 for images; and `best/<task>` and `worst/<task>`, row indices into
    these arrays, the best and the worst first. `name` (examples,) is written if `names` are given.

    Of dense tasks, labels and predictions are maps of at most 256 pixels on a side, made by leaving out pixels: classes
    as int16, -1 where there is no label; numbers as float16, NaN where there is no label. `iou/<task>` or
    `error/<task>` (examples,) is that of the whole image.

    Args:
        path: the file to write.
        outputs: labels and predictions of the split.
        tasks: all tasks.
        batches: the split again, in the same order.
        names: the file names of all images of the split, if they have any.
        predict: images -> task -> outputs; for dense tasks, whose predictions are not in `outputs`.

    Raises:
        ValueError: if there are dense tasks but no `predict`.
    """
    if outputs.dense and predict is None:
        raise ValueError("predict is required for dense tasks. Received: predict=None")
    per_side = _EXAMPLES if len(tasks) <= _FEW_TASKS else _EXAMPLES_OF_MANY_TASKS
    chosen: dict[str, np.ndarray] = {}
    for name, task in tasks.items():
        if task.is_dense:
            numbers = np.flatnonzero(np.isfinite(outputs.dense[name].losses))
            losses = outputs.dense[name].losses[numbers]
        else:
            numbers, losses = sample_losses(task, outputs.true[name], outputs.pred[name])
        order = numbers[np.argsort(losses, kind="stable")]
        chosen[f"best/{name}"], chosen[f"worst/{name}"] = (
            order[:per_side],
            order[::-1][: min(per_side, len(order) // 2)],
        )
    index = np.unique(np.concatenate(list(chosen.values()))).astype(np.int64)
    rows = {key: np.searchsorted(index, numbers) for key, numbers in chosen.items()}
    dense = TaskSet(tasks[name] for name in outputs.dense) if outputs.dense else {}
    images, maps = _examples(batches, index, dense, predict)
    arrays: dict[str, np.ndarray] = {"index": index, "images": images, **rows, **maps}
    if names is not None:
        arrays["name"] = np.array([names[number] for number in index], str)
    for name, result in outputs.dense.items():
        arrays[f"{measure_name(tasks[name])}/{name}"] = result.measures[index].astype("float32")
    for name, task in tasks.items():
        for side, values in (("true", outputs.true), ("pred", outputs.pred)) if name not in outputs.dense else ():
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


def measure_name(task: Task | Output) -> str:
    """Returns the name of the arrays with the measure of each example of a dense task: `"iou"` or `"error"`."""
    return "iou" if task.head in CLASS_HEADS else "error"


def _examples(
    batches: Iterable[Any], index: np.ndarray, dense: Mapping[str, Task], predict: Predict | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reads a split up to the last of some examples.

    Returns:
        The images (rows of `index`, ...), and `true/<task>` and `pred/<task>`, the maps of dense tasks.
    """
    found, start = [], 0
    maps: dict[str, list[np.ndarray]] = {f"{side}/{name}": [] for name in dense for side in ("true", "pred")}
    for images, labels in batches:
        rows = index[(index >= start) & (index < start + len(images))] - start
        if len(rows):
            # The whole batch, as in the evaluation: a model is compiled again for batches of another size.
            predicted = predict(images) if dense and predict else {}
            for name, task in dense.items():
                output = Output.of(task)
                for row in rows:
                    maps[f"true/{name}"].append(_compact(output.label_map(np.asarray(labels[name][row]))))
                    maps[f"pred/{name}"].append(_compact(output.prediction_map(np.asarray(predicted[name][row]))))
            found.append(to_bytes(np.asarray(tf.gather(images, rows))))
        start += len(images)
        if start > index[-1]:
            break
    return np.concatenate(found), {name: _stack(each) for name, each in maps.items()}


def _compact(values: np.ndarray) -> np.ndarray:
    """Returns a map of at most `_MAP_SIDE` pixels on a side."""
    step = -(-max(values.shape[:2]) // _MAP_SIDE)
    return values[::step, ::step]


def _stack(maps: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.stack(maps)
    if stacked.dtype.kind == "f" and np.max(np.abs(stacked), initial=0, where=np.isfinite(stacked)) < _LARGEST_HALF:
        return stacked.astype("float16")
    return stacked
