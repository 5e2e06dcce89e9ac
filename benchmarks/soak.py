"""Whether a long training grows: `python benchmarks/soak.py`, some minutes.

20,000 steps of the tiny network of `mtl_keras.testing` in short epochs, under DST, with every callback that a run of
`train.py` has: the tasks' gradients are looked at, TensorBoard is written, and each epoch ends with a validation, a
line of progress, a record and a checkpoint. The resident memory is read every 500 steps; from step 2,000 on, when all
functions are compiled, it should stay what it is, and nothing should be traced again.

`--without TensorBoard Recorder` leaves callbacks out, to see whose the growth is.
"""

from __future__ import annotations

import argparse
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
from benchmarks import figures, timing
from experiments.gradient_record import GradientRecord
from experiments.recorder import Recorder
from experiments.run_directory import RunDirectory
from mtl_keras.callbacks import GradientMonitor, Progress, StopOnNonFinite, TaskScheduler, TensorBoard
from mtl_keras.testing import toy_data, toy_model

STEPS, WARM_UP, EPOCH = 20_000, 2_000, 100
BATCH = 8
FUNCTIONS = 8  # to be compiled for sets of tasks, at most; for the steps whose gradients are looked at, two more
GROWTH = 1.02  # of the resident memory, at most
NAMES = ("TaskScheduler", "StopOnNonFinite", "GradientMonitor", "TensorBoard", "Recorder", "Progress")


def resident_megabytes() -> float:
    """Returns how much of this process is in memory now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Gauge(keras.callbacks.Callback):
    """Reads the memory and counts what was traced every so many steps.

    Args:
        every: steps between two readings.

    Attributes:
        readings: `(steps made, resident MB, functions traced so far)` of each.
    """

    reads_batch_logs = False  # else the model would hand them over at every step, which a run does not do

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.readings: list[tuple[int, float, int]] = []
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._steps += 1
        if self._steps % self.every == 0:
            traced = sum(function.traces for function in self.model.specializations)
            self.readings.append((self._steps, resident_megabytes(), traced))


def watching(folder: Path, without: Sequence[str], quiet: Any) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a run, in its order.

    Args:
        folder: where they write.
        without: names of those to leave out.
        quiet: a text file for the lines of progress.
    """
    directory = RunDirectory(folder)
    scheduler = TaskScheduler("dst")
    monitor = GradientMonitor(every=50, log_dir=directory.tensorboard)
    gradients = None if "GradientMonitor" in without else GradientRecord(directory.gradients_file, monitor)
    callbacks = [
        scheduler,
        StopOnNonFinite(),
        monitor,
        TensorBoard(directory.tensorboard),
        Recorder(directory, scheduler, patience=0, gradients=gradients),
        Progress(Console(file=quiet)),
    ]
    return [callback for callback in callbacks if type(callback).__name__ not in without]


def train(steps: int, epoch: int, every: int, without: Sequence[str] = ()) -> Gauge:
    """Trains the toy model.

    Args:
        steps: how many in all, whole epochs.
        epoch: steps of an epoch.
        every: steps between two readings of the memory.
        without: names of callbacks to leave out.

    Returns:
        The gauge with its readings.
    """
    model, gauge = toy_model("adam", max_specializations=FUNCTIONS), Gauge(every)
    data = tf.data.Dataset.from_tensor_slices(toy_data(BATCH * 16)).cache()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as quiet:
        model.fit(
            data.shuffle(BATCH * 16, seed=0).repeat().batch(BATCH),
            validation_data=data.batch(BATCH),
            steps_per_epoch=epoch,
            epochs=steps // epoch,
            verbose=0,
            shuffle=False,
            callbacks=[*watching(Path(folder), without, quiet), gauge],
        )
    return gauge


def found(gauge: Gauge, warm_up: int) -> list[figures.Figure]:
    """Returns what the readings after `warm_up` steps come to.

    Args:
        gauge: with its readings, two of them after `warm_up` or more.
        warm_up: steps in which memory may grow and functions may be traced.
    """
    steps, memory, traced = map(np.array, zip(*(reading for reading in gauge.readings if reading[0] >= warm_up)))
    few = max(1, len(memory) // 6)
    # One reading may catch a checkpoint in the making; medians of a few at both ends do not.
    first = statistics.median(memory[:few])
    slope = float(np.polyfit(steps / 1000, memory, 1)[0])
    return [
        figures.of_values(
            f"resident memory at the end / after {warm_up} steps",
            [float(value) / first for value in memory[-few:]],
            f"<= {GROWTH}",
        ),
        figures.of_values("growth in MB per 1,000 steps", [slope]),
        figures.of_values("resident MB at the end", [float(memory[-1])]),
        figures.of_values("functions traced", [float(traced[-1])], f"<= {FUNCTIONS + 2}"),
        figures.of_values(f"of these after {warm_up} steps", [float(traced[-1] - traced[0])], "<= 0"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the readings and the verdict; returns 1 if something grows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--warm_up", type=int, default=WARM_UP, help="steps after which nothing may grow")
    parser.add_argument("--epoch", type=int, default=EPOCH, help="steps of an epoch")
    parser.add_argument("--every", type=int, default=500, help="steps between two readings")
    parser.add_argument("--without", nargs="*", default=[], choices=NAMES, help="callbacks to leave out")
    parser.add_argument("--json", type=Path, help="file to write the figures to as well")
    arguments = parser.parse_args(argv)
    gauge = train(arguments.steps, arguments.epoch, arguments.every, arguments.without)
    print(timing.machine(), f"{arguments.steps} steps in epochs of {arguments.epoch}", sep=", ")
    print("\n| steps | resident MB | functions traced |\n|---:|---:|---:|")
    for steps, memory, traced in gauge.readings:
        print(f"| {steps} | {memory:.1f} | {traced} |")
    results = found(gauge, arguments.warm_up)
    figures.report(results, arguments.json)
    flat = all(figure.met is not False for figure in results)
    print("\nWithin the limits." if flat else "\nBeyond a limit: see what was missed.")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
