"""`TaskAffinity`: measures during training how a step on one task changes the losses of the others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from mtl_keras.analysis.affinity import Affinity
from mtl_keras.callbacks.gradient_monitor import check_monitored_model
from mtl_keras.callbacks.tensorboard_run import HeatMap, TensorBoardRun
from mtl_keras.checks import check_integer


class TaskAffinity(keras.callbacks.Callback):
    """Measures the affinities of the tasks in every n-th training step: how a step on one helps or harms each other.

    The affinity of a source i with a task j is `1 - L_j(after) / L_j(before)`, above 0 if the source helps. Both are
    unweighted losses of the step's batch in training mode, with the same dropout masks. In between, the variables that
    several tasks share are moved by the optimizer's own step on `L_i` alone, with its momentum, learning rate, weight
    decay and clipping; private variables, such as heads, are not moved. Then all is restored: training is the same with
    the callback and without it.

    A measured step takes, for each source, one more backward pass and one more forward pass of all tasks: at most about
    as long as another training step. By default one task is the source, and the tasks take turns: `every=10` makes
    training at most about 10% slower, whatever the number of tasks, and each of T tasks is the source once in `10 * T`
    steps. With `sources=None` it is at most about `10 * T` percent. See docs/grouping.md.

    Tasks at weight 0 and tasks without a label in the batch are neither source nor affected in that step. Losses that
    are not above 0 are left out, as are those of steps that mixed precision skips. With `log_dir` it writes the run
    `affinity` for TensorBoard, with values over all epochs of `fit` so far:

    | tag | content |
    |---|---|
    | `affinity/<source>-><task>` | mean affinity of a source with a task |
    | `affinity/scale` | the largest absolute value of them |
    | `affinity/table` | heat map, rows are sources: from -scale (blue, harms) over 0 (white) to scale (red, helps) |

    Args:
        every: number of training steps from one measured step to the next, >= 1; counted in each epoch from its first
            step. A single task is not measured.
        sources: number of tasks whose effect is measured in each measured step, >= 1; `None` for all of them.
        log_dir: the folder to write to, the same as that of `TensorBoard`; `None` to write nothing.

    Attributes:
        affinity: `mtl_keras.analysis.Affinity` over all finished epochs of `fit`; `None` before the first one ended.
        epoch_affinity: that of the last epoch.

    Raises:
        ValueError: if `every` or `sources` is not an integer >= 1; in `fit`, if the optimizer accumulates gradients.
        TypeError: if `log_dir` is not a path; in `fit`, if the model is not a `MultiTaskModel`.

    References:
        C. Fifty et al., *Efficiently Identifying Task Groupings for Multi-Task Learning* (TAG), NeurIPS 2021,
        https://arxiv.org/abs/2109.04617, equation 1.

    Example:

    ```python
    monitor = TaskAffinity(every=10)
    model.fit(dataset, epochs=10, callbacks=[monitor])
    print(monitor.affinity)
    monitor.affinity.on("depth", of="normals")  # mean, standard error and number of measurements
    ```
    """

    def __init__(self, every: int = 10, sources: int | None = 1, log_dir: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self.every = check_integer("every", every, 1)
        self.sources = None if sources is None else check_integer("sources", sources, 1)
        self.affinity: Affinity | None = None
        self.epoch_affinity: Affinity | None = None
        self._tensorboard = None if log_dir is None else TensorBoardRun(log_dir, "affinity")
        self.log_dir = self._tensorboard and self._tensorboard.log_dir

    def __repr__(self) -> str:
        log_dir = self.log_dir and str(self.log_dir)
        return f"TaskAffinity(every={self.every}, sources={self.sources}, log_dir={log_dir!r})"

    def set_model(self, model: keras.Model) -> None:
        check_monitored_model(type(self).__name__, model)
        super().set_model(model)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        steps = getattr(optimizer, "gradient_accumulation_steps", None)
        if steps:
            raise ValueError(
                "TaskAffinity cannot measure the effect of a step while gradients are accumulated over several steps. "
                f"Received: gradient_accumulation_steps={steps}"
            )
        self.affinity = self.epoch_affinity = None
        tasks = len(self.model.task_names)
        statistics = self.model.affinity
        statistics.reset()
        statistics.sources = min(self.sources or tasks, tasks)
        statistics.every = self.every if tasks > 1 else 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.model.affinity.reset()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        last = self.model.affinity.summary(self.model.task_names)
        self.model.affinity.reset()
        self.epoch_affinity = last
        self.affinity = last if self.affinity is None else Affinity.pooled([self.affinity, last])
        if self._tensorboard is not None:
            self._tensorboard.write(epoch, _scalars(self.affinity), _images(self.affinity))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.model.affinity.every = 0
        if self._tensorboard is not None:
            self._tensorboard.close()


def _scale(affinity: Affinity) -> float:
    return float(np.nanmax(np.abs(affinity.mean), initial=0.0))


def _scalars(affinity: Affinity) -> Iterator[tuple[str, float]]:
    for source, row in zip(affinity.tasks, affinity.mean):
        for task, mean in zip(affinity.tasks, row):
            yield f"affinity/{source}->{task}", float(mean)
    if affinity.count.any():
        yield "affinity/scale", _scale(affinity)


def _images(affinity: Affinity) -> list[tuple[str, HeatMap]]:
    if not affinity.count.any():
        return []
    legend = f"Rows, the sources, and columns: {', '.join(affinity.tasks)}. Blue harms, red helps, grey not known."
    return [("affinity/table", HeatMap(affinity.mean / (_scale(affinity) or 1.0), legend))]
