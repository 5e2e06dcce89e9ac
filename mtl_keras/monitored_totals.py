"""A warning for those who watch a total loss whose meaning changes while they watch."""

from __future__ import annotations

import warnings
from typing import Any

import keras


class MonitoredTotals:
    """What the callbacks of a training run monitor.

    Args:
        callbacks: what `fit` was given: a callback, a list of them, a `keras.callbacks.CallbackList` or `None`.
    """

    def __init__(self, callbacks: Any = None) -> None:
        each = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks or []))
        self._monitored = {getattr(callback, "monitor", None) for callback in each}

    def warn(self, *totals: str) -> None:
        """Warns once for each of these entries of the logs that is monitored: from now on its weights change."""
        for total in totals:
            if total in self._monitored:
                self._monitored.discard(total)
                warnings.warn(
                    f"A callback monitors {total!r} while the task weights that it depends on change. "
                    "Monitor 'val_mtl_score' (mode='max') or the loss or metric of a task instead.",
                    stacklevel=3,
                )
