"""`TaskScheduler`: applies a schedule to a model while it trains."""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from mtl_keras import schedules
from mtl_keras.logs import task_names
from mtl_keras.schedules.base import Records
from mtl_keras.schedules.sampling import draw_tasks, epoch_generator, running_probabilities

# The last `TaskScheduler` of each model.
_LAST_SCHEDULER: MutableMapping[keras.Model, weakref.ref[TaskScheduler]] = weakref.WeakKeyDictionary()


class TaskScheduler(keras.callbacks.Callback):
    """Decides before each training step which tasks run and with which weight.

    Put it first in the list of callbacks: it adds `<task>_probability` to the logs of each epoch (probability
    schedules only), for the callbacks after it.

    The draws of an epoch depend only on `seed` and the epoch number. They count optimizer steps, so they are the same
    for every `steps_per_execution`. At least one task runs in each step. Tasks whose own weight in the model is 0
    never run.

    Args:
        schedule: a schedule, its specification (`"dst(floor=0.3)"`) or its config.
        seed: seed of the draws, >= 0.
        every: number of steps for which a draw holds, or `"epoch"`. For probability schedules.
        unbiased: whether to divide the weight of a running task by its probability of running, so that the expected
            gradient is that of training without dropping.
        counts: number of labelled training samples of each task; `None` for equal numbers.

    Raises:
        ValueError: for an unknown schedule or an invalid argument; at the start of training, for a task name that the
            model does not have, if no task is left to run, or if `fit` has another `TaskScheduler`.

    Example:

    ```python
    model.fit(images, labels, callbacks=[TaskScheduler("dst(floor=0.3)", counts={"item": 60000, "group": 6000})])
    ```
    """

    def __init__(
        self,
        schedule: str | Mapping[str, Any] | schedules.Schedule = "dst",
        *,
        seed: int = 0,
        every: int | Literal["epoch"] = 1,
        unbiased: bool = False,
        counts: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.schedule = schedules.get(schedule)
        if not isinstance(seed, int) or seed < 0:
            raise ValueError(f"seed must be an integer >= 0. Received: seed={seed!r}")
        if every != "epoch" and (not isinstance(every, int) or every < 1):
            raise ValueError(f"every must be a number of steps >= 1 or 'epoch'. Received: every={every!r}")
        if unbiased and self.schedule.kind != "probability":
            raise ValueError(f"unbiased=True needs a schedule of probabilities. Received: schedule={schedule!r}")
        self.seed = seed
        self.every = every
        self.unbiased = unbiased
        self.counts = counts
        self.records: Records | None = None
        self._epoch = 0
        self._values = np.zeros(0)

    def __repr__(self) -> str:
        return f"TaskScheduler({self.schedule!r}, seed={self.seed}, every={self.every!r}, unbiased={self.unbiased})"

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        # Keras calls `set_model` of all callbacks before `on_train_begin` of the first.
        _LAST_SCHEDULER[model] = weakref.ref(self)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        tasks = task_names(self.model)
        other = _LAST_SCHEDULER[self.model]()
        if other is not self:
            raise ValueError(f"`fit` takes one TaskScheduler. Received: {self!r} and {other!r}")
        if self.records is None:
            counts = dict.fromkeys(tasks, 1.0) if self.counts is None else self.counts
            self.records = Records(tasks, dict(self.model.task_depths()), dict(counts))
        elif self.records.tasks != tasks:
            raise ValueError(
                f"A TaskScheduler with the records of the tasks {list(self.records.tasks)} cannot continue with a "
                f"model of other tasks: make a new one. Received: a model with the tasks {list(tasks)}"
            )
        # Raises for a wrong task name in the schedule now, not in the middle of the first epoch.
        self._evaluate(0, self.records.before(0))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.records = self._checked_records().before(epoch)
        self._epoch = epoch
        self._values = self._evaluate(epoch, self.records)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.model.set_step_weights(self._step_weights(batch, int(self.model.steps_per_execution)))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {} if logs is None else logs
        records = self._checked_records()
        absent = [f"{task}_loss" for task in records.tasks if f"{task}_loss" not in logs]
        if absent and not records.losses:
            warnings.warn(
                f"The logs have no {absent[0]!r}: the schedule takes the task as one that did not run. "
                "`super().compute_loss` in an overridden `compute_loss` logs the loss of each task.",
                stacklevel=2,
            )
        self.records = records.after(epoch, {task: float(logs.get(f"{task}_loss", math.nan)) for task in records.tasks})
        if self.schedule.kind == "probability":
            logs.update(
                {f"{task}_probability": value for task, value in zip(records.tasks, self._values.tolist(), strict=True)}
            )

    def get_state(self) -> dict[str, Any]:
        """Returns the state of the records and draws, without the constructor's arguments, as JSON values."""
        if self.records is None:
            return {"seed": self.seed, "records": None}
        losses = [
            {task: None if math.isnan(loss) else loss for task, loss in entry.items()} for entry in self.records.losses
        ]
        records = {
            "tasks": list(self.records.tasks),
            "depths": dict(self.records.depths),
            "counts": dict(self.records.counts),
            "losses": losses,
        }
        return {"seed": self.seed, "records": records}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `get_state` returned; `fit` must then start at the epoch after it."""
        self.seed = state["seed"]
        records = state["records"]
        if records is None:
            self.records = None
            return
        losses = tuple(
            {task: math.nan if loss is None else loss for task, loss in entry.items()} for entry in records["losses"]
        )
        self.records = Records(tuple(records["tasks"]), records["depths"], records["counts"], losses)

    def _checked_records(self) -> Records:
        if self.records is None:
            raise RuntimeError("TaskScheduler has no records yet: on_train_begin comes first.")
        return self.records

    def _evaluate(self, epoch: int, records: Records) -> NDArray[np.float64]:
        """Returns the checked values `(tasks,)` of the schedule."""
        by_task = self.schedule(epoch, records)
        values = np.array([by_task[task] for task in records.tasks], np.float64)
        highest = 1.0 if self.schedule.kind == "probability" else np.finfo(np.float64).max
        if not ((values >= 0) & (values <= highest)).all():
            raise ValueError(
                f"{self.schedule!r} must give each task a {self.schedule.kind} from 0 to {highest:g}. "
                f"Received: {by_task!r} at epoch {epoch}"
            )
        return values

    def _step_weights(self, batch: int, steps: int) -> NDArray[np.float64]:
        """Returns the weights `(steps, tasks)` of the steps from `batch` on."""
        weights = self.model.task_weights
        own = np.array([weights[task] for task in self._checked_records().tasks], np.float64)
        if self.schedule.kind == "weight":
            rows = np.tile(own * self._values, (steps, 1))
        else:
            rows = own * self._draws(own > 0, batch, steps)
            if self.unbiased:
                probabilities = running_probabilities(self._values, own > 0)
                rows = np.divide(rows, probabilities, out=rows, where=rows > 0)
        if not rows.any(axis=1).all():
            raise ValueError(
                f"At least one task must have a weight above 0. Received: own weights {dict(weights)!r}, "
                f"schedule {self._values.tolist()} at epoch {self._epoch}"
            )
        return rows

    def _draws(self, eligible: NDArray[np.bool_], batch: int, steps: int) -> NDArray[np.bool_]:
        """Returns which tasks run, `(steps, tasks)`, in the steps from `batch` on.

        Each row depends on its index, not on earlier draws, so there is no state between executions.
        """
        if not eligible.any():
            return np.zeros((steps, len(eligible)), bool)
        rows = np.zeros(steps, int) if self.every == "epoch" else np.arange(batch, batch + steps) // self.every
        rng = epoch_generator(self.seed, self._epoch, skip=int(rows[0]) * len(eligible))
        return draw_tasks(self._values, int(rows[-1] - rows[0]) + 1, rng, eligible)[rows - rows[0]]
