"""`Recorder`: keeps a run's history, its best model and the checkpoints from which it can go on."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras

from experiments.files import write_history
from experiments.gradient_record import GradientRecord
from experiments.memory import peak_memory
from experiments.run_directory import RunDirectory
from mtl_keras.callbacks import TaskScheduler
from mtl_keras.export.replacing import replacing

MONITOR = "val_mtl_score"


class Recorder(keras.callbacks.Callback):
    """Writes `history.csv` and `best.keras` (highest `val_mtl_score`) after every epoch, and checkpoints.

    Its state is part of a checkpoint, so that a resumed run stops where an uninterrupted one would have.

    Args:
        directory: where to write.
        scheduler: the scheduler whose state goes into a checkpoint, if there is one.
        patience: stop after so many epochs without a better `val_mtl_score`; 0 never stops.
        every: training steps between two checkpoints within an epoch; 0 for none but that at its end.
        gradients: the record of what a `GradientMonitor` sees, which must come before this; `None` for no such record.
    """

    reads_batch_logs = False  # at the end of a step it looks at the clock alone

    def __init__(
        self,
        directory: RunDirectory,
        scheduler: TaskScheduler | None,
        patience: int,
        every: int = 0,
        gradients: GradientRecord | None = None,
    ) -> None:
        super().__init__()
        self.directory = directory
        self.scheduler = scheduler
        self.patience = patience
        self.every = every
        self.gradients = gradients
        self.history: list[dict[str, float]] = []
        self.best = -math.inf
        self.best_epoch: int | None = None
        self.seconds: list[float] = []
        self.steps: list[int] = []
        self._epoch = 0
        self._saved = 0
        self._elapsed = 0.0
        self._began = 0.0
        self._ended = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch
        self._began, self._elapsed = time.perf_counter() - self._elapsed, 0.0
        self.steps.append(0)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._ended = time.perf_counter()
        self.steps[-1] = batch + 1
        due = self.every and batch + 1 >= self._saved + self.every
        # A state of NaN is none to go on from, nor can `fit` go on in the middle of an execution.
        if due and not (batch + 1) % self.model.steps_per_execution and not self.model.nonfinite_losses:
            self._saved, self._elapsed = batch + 1, self._ended - self._began
            self.directory.checkpoints.save(self._epoch, self._saved, self.model, self.get_state())
            # Writing it is no part of training.
            self._began += time.perf_counter() - self._ended

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.history.append(dict(logs or {}))
        self.seconds.append(self._ended - self._began)
        score = self.history[-1].get(MONITOR, math.nan)
        if score > self.best or self.best_epoch is None:
            self.best, self.best_epoch = (score if not math.isnan(score) else -math.inf), epoch
            with replacing(self.directory.best_model) as temporary:
                self.model.save(temporary)
        write_history(self.directory.history_file, self.history)
        if self.gradients:
            self.gradients.add(epoch, self.model.task_names)
        self._saved, self._elapsed = 0, 0.0
        self.directory.checkpoints.save(epoch + 1, 0, self.model, self.get_state())
        if self.finished:
            self.model.stop_training = True

    @property
    def finished(self) -> bool:
        """Whether the score has not risen for `patience` epochs."""
        since_best = len(self.history) - 1 - (self.best_epoch or 0)
        return bool(self.patience) and bool(self.history) and since_best >= self.patience

    def cost(self) -> dict[str, Any]:
        """Returns what training took: `steps`, `seconds` in all, `seconds_per_step`, `memory` and `compiled`.

        Validation, checkpoints and evaluation are not in it. The seconds a step are the median over the epochs: the
        first one, in which functions are compiled, does not show in it as soon as there are three. `compiled` are the
        functions of this process: for which tasks, how often traced, and the seconds of the calls that did. `memory` is
        the most that the process had up to now, in bytes.
        """
        each = [seconds / steps for seconds, steps in zip(self.seconds, self.steps) if steps]
        return {
            "steps": sum(self.steps),
            "seconds": sum(self.seconds),
            "seconds_per_step": statistics.median(each) if each else math.nan,
            "memory": peak_memory(),
            "compiled": [asdict(function) for function in self.model.specializations] if self.model else [],
        }

    def get_state(self) -> dict[str, Any]:
        """Returns all that the rest of the run depends on beside the model, as values that JSON can hold."""
        return {
            "history": self.history,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "steps": self.steps[: len(self.history)],
            "elapsed": self._elapsed,
            "scheduler": self.scheduler.get_state() if self.scheduler else None,
        }

    def set_state(self, state: Mapping[str, Any], step: int) -> None:
        """Goes on from what `get_state` returned after `step` steps of an epoch."""
        self.history, self.best_epoch = [dict(epoch) for epoch in state["history"]], state["best_epoch"]
        self.seconds, self.steps, self._elapsed = list(state["seconds"]), list(state["steps"]), state["elapsed"]
        self._saved = step
        if self.best_epoch is not None:
            score = self.history[self.best_epoch].get(MONITOR, math.nan)
            self.best = -math.inf if math.isnan(score) else score
        if self.scheduler and state["scheduler"]:
            self.scheduler.set_state(state["scheduler"])
        if self.gradients:
            self.gradients.go_on(len(self.history))
