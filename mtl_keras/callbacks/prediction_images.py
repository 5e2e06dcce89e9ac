"""`PredictionImages`: what the model says of a few images, epoch by epoch, as pictures in TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mtl_keras.extras import import_extra
from mtl_keras.tasks import TaskSet

TAG = "predictions"
_SIDE, _WIDTH = 192, 260
_FEW = 8
"""Up to so many tasks, each has a line below the picture; of more, those that are wrong."""


class PredictionImages(keras.callbacks.Callback):
    """Writes a few images, with what is predicted of them and what is true, for TensorBoard's tab IMAGES.

    Points are drawn on the images, true ones as circles and predicted ones as crosses; reconstructions stand beside
    them; classes and numbers stand below. The tag is `predictions`, in a run of that name. Nothing random is drawn
    and no state of the model changes: training goes on as it would without this.

    Args:
        log_dir: the folder to write to, that of `TensorBoard`.
        images: (batch, height, width, channels) in [0, 1]; a few.
        labels: task -> labels (batch, ...).
        tasks: what is predicted.
        every: write after every so many epochs, >= 1.

    Raises:
        ValueError: if `every` is not an integer >= 1, or there are no labels for a task.

    Example:

    ```python
    images, labels = next(iter(dataset.batches("validation", 4)))
    model.fit(batches, epochs=10, callbacks=[PredictionImages("runs/first/tensorboard", images, labels, dataset.tasks)])
    ```
    """

    def __init__(
        self, log_dir: str | os.PathLike[str], images: Any, labels: Mapping[str, Any], tasks: TaskSet, every: int = 1
    ) -> None:
        super().__init__()
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"every must be a number of epochs, an integer >= 1. Received: every={every!r}")
        for name in tasks:
            if name not in labels:
                raise ValueError(f"labels must have all tasks. Received: none for {name!r}")
        import_extra("tensorboard", "tensorboard")
        import_extra("mtl_keras.reports", "report")
        self.log_dir = Path(log_dir)
        self.every = every
        self._images = np.asarray(images)
        self._labels = {name: np.asarray(labels[name]) for name in tasks}
        self._tasks = tasks
        self._writer: Any = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        # Not the folder of another callback: of two files in one, TensorBoard may follow the newer only.
        self._writer = tf.summary.create_file_writer(str(self.log_dir / TAG))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._writer.close()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        outputs = self.model(self._images, training=False)
        drawn = self._drawn({name: np.asarray(outputs[name], "float32") for name in self._tasks})
        with self._writer.as_default(), tf.summary.record_if(True):
            tf.summary.image(TAG, drawn, step=epoch, max_outputs=len(drawn))
        self._writer.flush()

    def _drawn(self, predicted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns uint8 pictures (batch, height, width, 3)."""
        # They take a while to import, and who only trains needs neither.
        from mtl_keras.reports.outputs import Output
        from mtl_keras.reports.pictures import beside, captioned, picture, same_size

        outputs = {name: Output(task.head, task.shape, task.labels) for name, task in self._tasks.items()}
        sheets = []
        for row, image in enumerate(self._images):
            points = [(self._labels[name][row], predicted[name][row]) for name, o in outputs.items() if o.is_points]
            true, found = (np.concatenate(side) for side in zip(*points)) if points else (None, None)
            parts = [picture(image, true_points=true, predicted_points=found, side=_SIDE)]
            others = [predicted[name][row] for name, output in outputs.items() if output.head == "reconstruction"]
            parts += [picture(other, side=_SIDE) for other in others]
            words = {name: o.compared(self._labels[name][row], predicted[name][row]) for name, o in outputs.items()}
            if len(words) > _FEW:
                words = {name: said for name, said in words.items() if not said.startswith("right")}
            sheets.append(captioned(beside(parts), [f"{name}: {said}" for name, said in words.items()], _WIDTH))
        return np.stack([np.asarray(sheet) for sheet in same_size(sheets)])
