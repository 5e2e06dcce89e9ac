"""`PredictionImages`: writes a few images with their predictions to TensorBoard during training."""

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
_MAX_LISTED_TASKS = 8
"""With more tasks than this, correct predictions are not listed below the picture."""


class PredictionImages(keras.callbacks.Callback):
    """Writes a few images with their predictions and labels to TensorBoard's tab IMAGES.

    Points are drawn on the images, true ones as circles and predicted ones as crosses; reconstructions are next to
    them, classes and numbers below. Of each dense task there are the image, the label, the prediction and the errors
    side by side, with the colours of `mtl_keras.reports.maps`. The tag is `predictions`, in a run of that name. The
    callback draws no random numbers and does not change the state of the model, so it does not affect training.

    Args:
        log_dir: the folder to write to, that of `TensorBoard`.
        images: (batch, height, width, channels) in [0, 1]; a few.
        labels: task -> labels (batch, ...).
        tasks: the predicted tasks.
        every: number of epochs from one writing to the next, >= 1.

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

    def __repr__(self) -> str:
        return f"PredictionImages(log_dir={str(self.log_dir)!r}, images={len(self._images)}, every={self.every})"

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        # A separate folder: if one has two event files, TensorBoard may read only the newer.
        self._writer = tf.summary.create_file_writer(str(self.log_dir / TAG))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self._writer.close()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if (epoch + 1) % self.every:
            return
        outputs = self.model(self._images, training=False)
        sheets = self._draw({name: np.asarray(outputs[name], "float32") for name in self._tasks})
        with self._writer.as_default(), tf.summary.record_if(True):
            tf.summary.image(TAG, sheets, step=epoch, max_outputs=len(sheets))
        self._writer.flush()

    def _draw(self, predicted: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns uint8 pictures (batch, height, width, 3)."""
        # Imported here because they import slowly and most training runs do not need them.
        from mtl_keras.reports.maps import legend, legend_picture, panels
        from mtl_keras.reports.outputs import Output
        from mtl_keras.reports.pictures import picture, same_size, side_by_side, stacked, with_caption

        outputs = {name: Output.of(task) for name, task in self._tasks.items()}
        sheets = []
        for row, image in enumerate(self._images):
            points = [(self._labels[name][row], predicted[name][row]) for name, o in outputs.items() if o.is_points]
            true_points, predicted_points = (np.concatenate(side) for side in zip(*points)) if points else (None, None)
            images = [predicted[name][row] for name, output in outputs.items() if output.head == "reconstruction"]
            rows = []
            if points or images or not any(output.is_dense for output in outputs.values()):
                first = picture(image, true_points=true_points, predicted_points=predicted_points, side=_SIDE)
                rows.append(side_by_side([first, *(picture(each, side=_SIDE) for each in images)]))
            for name, output in outputs.items():
                if output.is_dense:
                    maps = output.label_map(self._labels[name][row]), output.prediction_map(predicted[name][row])
                    rows.append(side_by_side(list(panels(output, image, *maps, side=_SIDE).values())))
                    if entries := legend(output, maps):
                        rows.append(legend_picture(entries, rows[-1].width))
            texts = {
                name: o.describe_result(self._labels[name][row], predicted[name][row]) for name, o in outputs.items()
            }
            if len(texts) > _MAX_LISTED_TASKS:
                texts = {name: text for name, text in texts.items() if not text.startswith("right")}
            lines = [f"{name}: {text}" for name, text in texts.items()]
            sheets.append(with_caption(stacked(rows), lines, _WIDTH))
        return np.stack([np.asarray(sheet) for sheet in same_size(sheets)])
