"""`GradientMonitor`: measures in each epoch how far the tasks' gradients agree."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping

import keras

from mtl_keras.analysis.affinity import Affinity
from mtl_keras.callbacks.tensorboard_run import HeatMap, TensorBoardRun
from mtl_keras.model import MultiTaskModel
from mtl_keras.training.gradients import GradientSummary


class GradientMonitor(keras.callbacks.Callback):
    """Compares the tasks' gradients in every n-th training step, and logs statistics of them once per epoch.

    The gradients are those of the unweighted losses with respect to the variables that several tasks share, without
    regularizers. Put it before the callbacks that read logs: it adds to the logs of each epoch

    - `gradient_cosine`: the cosine of the angle between the gradients of two tasks, mean over the pairs of tasks;
    - `conflict_rate`: the share of the steps in which that cosine was below 0, mean over the pairs;
    - `gradient_norm_ratio`: the largest of the tasks' mean gradient norms, divided by the smallest that is not 0.

    Pairs that never ran together are left out of these means; unknown values are NaN. With `log_dir` it writes the run
    `gradients` for TensorBoard:

    | tag | content |
    |---|---|
    | `gradients/cosine`, `gradients/conflict_rate`, `gradients/norm_ratio` | the three above |
    | `gradient_cosine/<task>~<task>` | mean cosine of two tasks |
    | `gradient_conflict/<task>~<task>` | the share of the steps in which they were in conflict |
    | `gradient_norm/<task>` | mean norm of a task's gradient |
    | `gradients/cosines` | heat map of the cosines, from -1 (blue) over 0 (white) to 1 (red); grey is not known |

    A monitored step takes one more backward pass per task, and the model compiles a separate function for such steps.
    The other steps and the training result do not change; see docs/gradients.md.

    Args:
        every: number of training steps from one monitored step to the next, >= 1. A single task is not monitored.
        log_dir: the folder to write to, the same as that of `TensorBoard`; `None` to write nothing.

    Attributes:
        summary: statistics of the last epoch for each pair of tasks; `None` before the end of the first epoch.
        affinity: the mean cosines over all finished epochs of `fit` with their standard errors, as
            `mtl_keras.analysis.Affinity`; `None` as before.

    Raises:
        ValueError: if `every` is not an integer >= 1.
        TypeError: if `log_dir` is not a path; in `fit`, if the model is not a `MultiTaskModel`.

    Example:

    ```python
    model.fit(dataset, epochs=10, callbacks=[GradientMonitor(every=50, log_dir="runs/first/tensorboard")])
    ```
    """

    def __init__(self, every: int = 50, log_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"every must be a number of steps, an integer >= 1. Received: every={every!r}")
        self.every = every
        self.summary: GradientSummary | None = None
        self.affinity: Affinity | None = None
        self._tensorboard = None if log_dir is None else TensorBoardRun(log_dir, "gradients")
        self.log_dir = self._tensorboard and self._tensorboard.log_dir

    def __repr__(self) -> str:
        return f"GradientMonitor(every={self.every}, log_dir={self.log_dir and str(self.log_dir)!r})"

    def set_model(self, model: keras.Model) -> None:
        check_monitored_model(type(self).__name__, model)
        super().set_model(model)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.summary = self.affinity = None
        self.model.gradients.reset()
        self.model.gradients.every = self.every if len(self.model.task_names) > 1 else 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.model.gradients.reset()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.summary = summary = self.model.gradients.summary()
        self.model.gradients.reset()
        last = summary.affinity(self.model.task_names)
        self.affinity = last if self.affinity is None else Affinity.pooled([self.affinity, last])
        if logs is not None:
            logs["gradient_cosine"] = summary.mean_cosine
            logs["conflict_rate"] = summary.conflict_rate
            logs["gradient_norm_ratio"] = summary.norm_ratio
        if self._tensorboard is not None:
            tasks = self.model.task_names
            legend = f"Rows and columns: {', '.join(tasks)}. Blue is -1, white 0, red 1, grey not known."
            images = [("gradients/cosines", HeatMap(summary.cosine, legend))] if summary.steps else []
            self._tensorboard.write(epoch, _scalars(tasks, summary), images)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.model.gradients.every = 0
        if self._tensorboard is not None:
            self._tensorboard.close()


def check_monitored_model(callback: str, model: keras.Model) -> None:
    """Checks that a model trains with the library's own step.

    Args:
        callback: name of the callback that needs it.
        model: the model.

    Raises:
        TypeError: if it is not a `MultiTaskModel`.
        ValueError: if its class overrides a method of the step.
    """
    if not isinstance(model, MultiTaskModel):
        raise TypeError(f"{callback} needs a mtl_keras.MultiTaskModel. Received: model={type(model).__name__}")
    if model.overridden_methods:
        raise ValueError(
            f"{callback} cannot be used by a class that overrides {', '.join(model.overridden_methods)}: it needs the "
            f"loss of each task from the library's own step. Received: model={type(model).__name__}"
        )


def _scalars(tasks: tuple[str, ...], summary: GradientSummary) -> Iterator[tuple[str, float]]:
    yield "gradients/cosine", summary.mean_cosine
    yield "gradients/conflict_rate", summary.conflict_rate
    yield "gradients/norm_ratio", summary.norm_ratio
    for (row, one), (column, other) in itertools.combinations(enumerate(tasks), 2):
        yield f"gradient_cosine/{one}~{other}", float(summary.cosine[row, column])
        yield f"gradient_conflict/{one}~{other}", float(summary.conflict[row, column])
    for row, task in enumerate(tasks):
        yield f"gradient_norm/{task}", float(summary.norm[row])
