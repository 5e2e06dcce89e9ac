"""`Recorder`: saves a run's history, its best model and the checkpoints for resuming."""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras

from experiments.epoch_record import EpochRecord
from experiments.files import write_history
from experiments.run_directory import RunDirectory
from mtl_keras.callbacks import TaskScheduler
from mtl_keras.export.replacing import replacing

try:
    import resource
except ImportError:  # Windows, where the peak memory is unknown
    resource = None  # type: ignore[assignment]

MONITOR = "val_mtl_score"


class Recorder(keras.callbacks.Callback):
    """Writes `history.csv` and `best.keras` (highest `val_mtl_score`) after every epoch, and checkpoints.

    Its state is part of a checkpoint, so that a resumed run stops at the same epoch as an uninterrupted one.

    Args:
        directory: the run directory to write to.
        scheduler: the scheduler whose state is saved in a checkpoint, if any.
        patience: stop after this many epochs without a better `val_mtl_score`; 0 never stops.
        every: training steps between checkpoints within an epoch; 0 for only one at its end.
        records: further records with an entry for each epoch. The callbacks that they read must come before this one.
    """

    reads_batch_logs = False  # at the end of a step it only reads the clock

    def __init__(
        self,
        directory: RunDirectory,
        scheduler: TaskScheduler | None,
        patience: int,
        every: int = 0,
        records: Sequence[EpochRecord] = (),
    ) -> None:
        super().__init__()
        self.directory = directory
        self.scheduler = scheduler
        self.patience = patience
        self.every = every
        self.records = tuple(records)
        self.history: list[dict[str, float]] = []
        self.best = -math.inf
        self.best_epoch: int | None = None
        self.seconds: list[float] = []
        self.steps: list[int] = []
        self.timed_steps: list[int] = []
        self._epoch = 0
        self._saved = 0
        self._elapsed = 0.0
        self._began = 0.0
        self._ended = 0.0
        self._traces = 0
        self._untimed = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch, self._traces = epoch, self._count_traces()
        self._ended = time.perf_counter()
        self._began, self._elapsed = self._ended - self._elapsed, 0.0
        self.steps.append(self._saved)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        now, traces = time.perf_counter(), self._count_traces()
        if traces > self._traces:
            # Exclude the steps in which a function was compiled from the training time.
            self._began += now - self._ended
            self._untimed += batch + 1 - self.steps[-1]
        self._ended, self._traces, self.steps[-1] = now, traces, batch + 1
        due = self.every and batch + 1 >= self._saved + self.every
        # A run cannot resume from a NaN state, and `fit` cannot resume in the middle of an execution.
        if due and not (batch + 1) % self.model.steps_per_execution and not self.model.nonfinite_losses:
            self._saved, self._elapsed = batch + 1, self._ended - self._began
            self.directory.checkpoints.save(self._epoch, self._saved, self.model, self.get_state())
            # Exclude the time for writing from the training time.
            now = time.perf_counter()
            self._began, self._ended = self._began + now - self._ended, now

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.history.append(dict(logs or {}))
        self.seconds.append(self._ended - self._began)
        self.timed_steps.append(self.steps[-1] - self._untimed)
        score = self.history[-1].get(MONITOR, math.nan)
        if score > self.best or self.best_epoch is None:
            self.best, self.best_epoch = (score if not math.isnan(score) else -math.inf), epoch
            with replacing(self.directory.best_model) as temporary:
                self.model.save(temporary)
        write_history(self.directory.history_file, self.history)
        for record in self.records:
            record.add(epoch, self.model.task_names)
        self._saved, self._elapsed, self._untimed = 0, 0.0, 0
        self.directory.checkpoints.save(epoch + 1, 0, self.model, self.get_state())
        if self.finished:
            self.model.stop_training = True

    @property
    def finished(self) -> bool:
        """Whether the score has not improved for `patience` epochs."""
        since_best = len(self.history) - 1 - (self.best_epoch or 0)
        return bool(self.patience) and bool(self.history) and since_best >= self.patience

    def cost(self) -> dict[str, Any]:
        """Returns the cost of training: `steps`, total `seconds`, `seconds_per_step`, `memory` and `compiled`.

        `seconds` and `seconds_per_step` exclude validation, checkpoints, evaluation and the steps in which a function
        was compiled. `seconds_per_step` is the median over the epochs, NaN if every step compiled a function.
        `compiled` are the functions of this process: their tasks, number of traces, and the seconds of the tracing
        calls. `memory` is the peak memory of the process so far, in bytes, or `None` if unknown.
        """
        each = [seconds / steps for seconds, steps in zip(self.seconds, self.timed_steps) if steps]
        return {
            "steps": sum(self.steps),
            "seconds": sum(self.seconds),
            "seconds_per_step": statistics.median(each) if each else math.nan,
            "memory": _peak_memory(),
            "compiled": [asdict(function) for function in self.model.specializations] if self.model else [],
        }

    def get_state(self) -> dict[str, Any]:
        """Returns the state that the rest of the run depends on, without the model, as JSON values."""
        return {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "steps": self.steps[: len(self.history)],
            "timed_steps": self.timed_steps,
            "elapsed": self._elapsed,
            "untimed": self._untimed,
            "scheduler": self.scheduler.get_state() if self.scheduler else None,
        }

    def set_state(self, state: Mapping[str, Any], step: int) -> None:
        """Restores the state that `get_state` returned after `step` steps of an epoch."""
        self.history, self.best_epoch = [dict(epoch) for epoch in state["history"]], state["best_epoch"]
        self.seconds, self.steps, self._elapsed = list(state["seconds"]), list(state["steps"]), state["elapsed"]
        # Earlier versions timed all steps.
        self.timed_steps, self._untimed = list(state.get("timed_steps", state["steps"])), state.get("untimed", 0)
        self._saved = step
        if self.best_epoch is not None:
            score = self.history[self.best_epoch].get(MONITOR, math.nan)
            self.best = -math.inf if math.isnan(score) else score
        if self.scheduler and state["scheduler"]:
            self.scheduler.set_state(state["scheduler"])
        for record in self.records:
            record.restore(len(self.history))

    def _count_traces(self) -> int:
        return sum(function.traces for function in self.model.specializations)


def _peak_memory() -> int | None:
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS, in KiB elsewhere
    return peak if sys.platform == "darwin" else 1024 * peak
