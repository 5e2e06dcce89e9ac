"""`TensorBoard`: Keras' callback, with scalars grouped to compare tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras

from mtl_keras.extras import import_extra
from mtl_keras.keras_private import keras_model_summary
from mtl_keras.logs import LogKey, parse_key, present, task_names


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes a multi-task run for TensorBoard, with scalars grouped to compare tasks.

    | tag | what | runs |
    |---|---|---|
    | `summary/loss` | total loss, weighted by the task weights | train, validation |
    | `summary/mtl_score` | mean of the primary metrics, each in its good direction | train, validation |
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

    def set_model(self, model: keras.Model) -> None:
        self._task_names = task_names(model)
        super().set_model(model)

    @property
    def reads_batch_logs(self) -> bool:
        """Whether it reads the logs of single steps; see `mtl_keras.training.logs`."""
        return self.update_freq != "epoch"

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        # Without a default writer, the call for each of these scalars would have no effect.
        written = present(logs or {}) if self.reads_batch_logs else None
        super().on_train_batch_end(batch, written)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        # Keras repeats every validation scalar here as `evaluation_<key>_vs_iterations`.
        self._pop_writer()

    def _log_epoch_metrics(self, epoch: int, logs: Mapping[str, float] | None) -> None:
        if not logs:
            return
        scalars = self._collect_learning_rate(dict(logs))
        if self.write_steps_per_second:
            scalars["steps_per_second"] = self._compute_steps_per_second()
        for name, value in present(scalars).items():
            key = parse_key(name, self._task_names)
            writer = self._val_writer if key.validation else self._train_writer
            with writer.as_default():
                self.summary.scalar(tag(key), value, step=epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write_keras_model_summary(self) -> None:
        # TensorBoard supports neither names of subclasses nor a dict of outputs, so write the same layers as a plain
        # Functional model with a list of outputs.
        functional = keras.Model(self.model.inputs, self.model.outputs, name=self.model.name)
        with self._train_writer.as_default():
            keras_model_summary("keras", functional, step=0)


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
