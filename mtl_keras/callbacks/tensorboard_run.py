"""`TensorBoardRun`: the scalars and heat maps of a callback, as a separate run in TensorBoard."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mtl_keras.extras import import_extra

_BLUE, _WHITE, _RED, _GREY = np.array([[33, 102, 172], [255, 255, 255], [178, 24, 43], [128, 128, 128]], "float32")
_PIXELS = 320


class HeatMap(NamedTuple):
    """A table shown as an image.

    Args:
        table: `(rows, columns)` numbers from -1 to 1; NaN where unknown.
        description: the names of the rows and columns.
    """

    table: np.ndarray
    description: str


class TensorBoardRun:
    """Writes scalars and heat maps to a folder of their own. A folder with two event files may be read in part only.

    Args:
        log_dir: the folder of `TensorBoard`.
        name: name of the run, a folder in it.

    Raises:
        TypeError: if `log_dir` is not a path.
    """

    def __init__(self, log_dir: str | os.PathLike[str], name: str) -> None:
        if not isinstance(log_dir, (str, os.PathLike)):
            raise TypeError(f"log_dir must be a path or None. Received: log_dir={log_dir!r}")
        import_extra("tensorboard", "tensorboard")
        self.log_dir = Path(log_dir)
        self.name = name
        self._writer: Any = None

    def write(self, step: int, scalars: Iterable[tuple[str, float]], images: Iterable[tuple[str, HeatMap]]) -> None:
        """Writes the values of a step, each with its tag. Scalars that are NaN are left out.

        Args:
            step: the epoch.
            scalars: tags and values.
            images: tags and heat maps.
        """
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.log_dir / self.name))
        # Keras' TensorBoard may have switched recording off for this step.
        with self._writer.as_default(step=step), tf.summary.record_if(True):
            for tag, value in scalars:
                if not math.isnan(value):
                    tf.summary.scalar(tag, value)
            for tag, (table, description) in images:
                tf.summary.image(tag, heat_map(table)[None], description=description)
        self._writer.flush()

    def close(self) -> None:
        """Closes the file. The next `write` begins another one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def heat_map(table: np.ndarray) -> np.ndarray:
    """Draws a table `(rows, columns)` of numbers from -1 (blue) over 0 (white) to 1 (red), NaN in grey.

    Returns:
        uint8 image `(height, width, 3)`, each entry a square of the same size.
    """
    values = np.clip(np.nan_to_num(table), -1, 1)[..., None]
    colours = _WHITE + np.abs(values) * (np.where(values < 0, _BLUE, _RED) - _WHITE)
    colours = np.where(np.isnan(table)[..., None], _GREY, colours)
    side = max(4, _PIXELS // max(table.shape))
    return np.rint(colours).astype("uint8").repeat(side, axis=0).repeat(side, axis=1)
