"""`TensorBoard`: Keras' callback, with scalars grouped to compare tasks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import tensorflow as tf

from mtl_keras.extras import import_extra
from mtl_keras.logs import LogKey, parse_key, task_names, without_nan


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes a multi-task run for TensorBoard, with scalars grouped to compare tasks.

    | tag | content | runs |
    |---|---|---|
    | `summary/loss` | total loss, weighted by the task weights | train, validation |
    | `summary/mtl_score` | mean of the primary metrics, negated where lower is better | train, validation |
    | `summary/learning_rate` | learning rate at the end of the epoch | train |
    | `losses/<task>` | the task's unweighted loss | train, validation |
    | `metrics/<task>_<metric>` | each of the task's metrics | train, validation |
    | `weights/<task>` | task weight, mean over the epoch's steps | train |
    | `schedule/<task>_active` | share of the epoch's steps in which the task ran | train |
    | `schedule/<task>_probability` | scheduling probability | train |

    All other logs are under `summary/`. The two runs are the folders `train` and `validation` of `log_dir`. The scalars
    of a task have a gap in epochs in which it did not run or had no labels. `write_graph` writes the model's graph of
    layers; histograms, images, profiles and the scalars of single batches (`batch_<key>`, with `update_freq`) are as
    in Keras.

    Args:
        log_dir: the folder to write to.
        **options: the other arguments of `keras.callbacks.TensorBoard`.

    Raises:
        TypeError: in `fit`, if the model is not a multi-task model.

    Example:

    ```python
    model.fit(dataset, epochs=10, callbacks=[TensorBoard("runs/first/tensorboard")])
    ```

    Then `tensorboard --logdir runs/first/tensorboard` shows it.
    """

    def __init__(self, log_dir: str | os.PathLike[str] = "logs", **options: Any) -> None:
        import_extra("tensorboard", "tensorboard")
        super().__init__(log_dir, **options)

    def __repr__(self) -> str:
        return f"TensorBoard(log_dir={self.log_dir!r}, update_freq={self.update_freq!r})"

    @property
    def summary(self) -> Any:
        """The module `tf.summary` with the tags of this class. Keras' callback writes through it."""
        return self._grouped_summary

    @property
    def reads_batch_logs(self) -> bool:
        """Whether it reads the logs of single steps; see `mtl_keras.training.batch_logs`."""
        return self.update_freq != "epoch"

    def set_model(self, model: keras.Model) -> None:
        self._grouped_summary = _GroupedSummary(task_names(model))
        # TensorBoard's graphs support neither names of subclasses nor a dict of outputs, so Keras gets the same layers
        # as a plain Functional model with a list of outputs.
        super().set_model(keras.Model(model.inputs, model.outputs, name=model.name))
        keras.callbacks.Callback.set_model(self, model)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        # Without a default writer, the call for each of these scalars would have no effect.
        written = without_nan(logs or {}) if self.reads_batch_logs else None
        super().on_train_batch_end(batch, written)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        # Keras would repeat every validation scalar here as `evaluation_<key>_vs_iterations`.
        super().on_test_end({})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        super().on_epoch_end(epoch, without_nan(logs or {}))
        self._grouped_summary.flush_all()


class _GroupedSummary:
    """Wraps the module `tf.summary`: writes `epoch_<key>` under the tag of that log.

    Args:
        tasks: the names of the model's tasks.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self._tasks = tuple(tasks)
        self._writers: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(tf.summary, name)

    def create_file_writer(self, *args: Any, **kwargs: Any) -> Any:
        self._writers.append(tf.summary.create_file_writer(*args, **kwargs))
        return self._writers[-1]

    def scalar(self, name: str, data: Any, step: Any = None) -> Any:
        key = name.removeprefix("epoch_")
        return tf.summary.scalar(name if key == name else tag(parse_key(key, self._tasks)), data, step=step)

    def flush_all(self) -> None:
        for writer in self._writers:
            writer.flush()


def tag(key: LogKey) -> str:
    """Returns the tag under which a log is written, e.g. `"losses/hat"`."""
    if key.task is None:
        return f"summary/{key.quantity}"
    if key.quantity == "loss":
        return f"losses/{key.task}"
    if key.quantity == "weight":
        return f"weights/{key.task}"
    if key.quantity in ("active", "probability"):
        return f"schedule/{key.task}_{key.quantity}"
    return f"metrics/{key.task}_{key.quantity}"
