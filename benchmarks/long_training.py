"""Whether a long training leaks memory or traces functions again: `python benchmarks/long_training.py`, some minutes.

20,000 steps of the tiny model of `mtl_keras.testing` in epochs of 100, under DST, with every callback of a run of
`train.py`: gradients are monitored, TensorBoard is written, and each epoch ends with validation, a line of progress, a
record and a checkpoint. The resident memory is read every 500 steps. From step 2,000 on (`--warm_up`), when all
functions are compiled, it should not grow, and nothing should be traced; else the exit code is 1. Linux only.

`--without TensorBoard Recorder` leaves callbacks out, to find the cause of a growth.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from experiments.gradient_record import GradientWriter
from experiments.recorder import Recorder
from experiments.run_directory import RunDirectory
from mtl_keras.callbacks import GradientMonitor, Progress, StopOnNonFinite, TaskScheduler, TensorBoard
from mtl_keras.testing import toy_data, toy_model

BATCH = 8
FUNCTIONS = 8  # compiled for sets of tasks, at most; monitored steps need two more
GROWTH = 1.02  # limit of the resident memory at the end, relative to the one after the warm-up
NAMES = ("TaskScheduler", "StopOnNonFinite", "GradientMonitor", "TensorBoard", "Recorder", "Progress")

Reading = tuple[int, float, int]  # steps, resident MB, traced functions


class MemoryReader(keras.callbacks.Callback):
    """Adds a reading to `readings` every so many steps."""

    reads_batch_logs = False  # else the model reads its logs at every step, which it does not do in a run

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.readings: list[Reading] = []
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._steps += 1
        if self._steps % self.every == 0:
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            traced = sum(function.traces for function in self.model.specializations)
            self.readings.append((self._steps, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, traced))


def callbacks_of_a_run(folder: Path, without: Sequence[str], output: Any) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a run of `train.py`, in its order, which write into a folder and a text file."""
    directory = RunDirectory(folder)
    scheduler = TaskScheduler("dst")
    monitor = GradientMonitor(every=50, log_dir=directory.tensorboard)
    records = [] if "GradientMonitor" in without else [GradientWriter(directory.gradients_file, monitor)]
    recorder = Recorder(directory, scheduler, patience=0, records=records)
    progress = Progress(Console(file=output))
    callbacks = [scheduler, StopOnNonFinite(), monitor, TensorBoard(directory.tensorboard), recorder, progress]
    return [callback for callback in callbacks if type(callback).__name__ not in without]


def train(steps: int, epoch: int, every: int, without: Sequence[str]) -> list[Reading]:
    """Trains the toy model in epochs of `epoch` steps; reads the memory every `every` steps."""
    model, reader = toy_model("adam", max_specializations=FUNCTIONS), MemoryReader(every)
    data = tf.data.Dataset.from_tensor_slices(toy_data(BATCH * 16)).cache()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as null:
        model.fit(
            data.shuffle(BATCH * 16, seed=0).repeat().batch(BATCH),
            validation_data=data.batch(BATCH),
            steps_per_epoch=epoch,
            epochs=steps // epoch,
            verbose=0,
            shuffle=False,
            callbacks=[*callbacks_of_a_run(Path(folder), without, null), reader],
        )
    return reader.readings


def figures_of(readings: Sequence[Reading], warm_up: int) -> list[harness.Figure]:
    """Returns the growth after `warm_up` steps; at least two readings must be later."""
    steps, memory, traced = map(np.array, zip(*(reading for reading in readings if reading[0] >= warm_up)))
    few = max(1, len(memory) // 6)
    first = statistics.median(memory[:few])  # one reading may include a checkpoint that is being written
    slope = float(np.polyfit(steps / 1000, memory, 1)[0])
    growth = [float(value) / first for value in memory[-few:]]
    return [
        harness.figure(f"resident memory at the end / after {warm_up} steps", growth, f"<= {GROWTH}"),
        harness.figure("growth in MB per 1,000 steps", [slope]),
        harness.figure("resident MB at the end", [float(memory[-1])]),
        harness.figure("traced functions", [float(traced[-1])], f"<= {FUNCTIONS + 2}"),
        harness.figure(f"of these after {warm_up} steps", [float(traced[-1] - traced[0])], "<= 0"),
    ]


def measure(
    steps: int = 20_000, warm_up: int = 2_000, epoch: int = 100, every: int = 500, without: Sequence[str] = ()
) -> list[harness.Figure]:
    readings = train(steps, epoch, every, without)
    rows = [[f"{step}", f"{memory:.1f}", f"{traced}"] for step, memory, traced in readings]
    print(harness.table(["steps", "resident MB", "traced functions"], rows))
    return figures_of(readings, warm_up)


if __name__ == "__main__":
    sys.exit(any(figure.met is False for figure in harness.run(measure, without=NAMES)))
