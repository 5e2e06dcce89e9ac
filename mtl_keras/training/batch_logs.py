"""The logs of a step, read from the device on first access, and which callbacks read them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

_HOOKS = ("on_batch_end", "on_train_batch_end", "on_test_batch_end")


def batch_logs_are_read(arguments: Mapping[str, Any]) -> bool:
    """Returns whether a callback reads the logs of single steps.

    That is one with a method for the end of a batch, unless its `reads_batch_logs` is false.

    Args:
        arguments: those given to `keras.Model.fit` or `evaluate`.
    """
    callbacks = arguments.get("callbacks") or []
    # A `CallbackList` made by Keras contains its progress bar.
    shown = not hasattr(callbacks, "callbacks") and arguments.get("verbose", "auto") != 0
    each = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks))
    readers = [callback for callback in each if getattr(callback, "reads_batch_logs", True)]
    hooks = [getattr(callback, name, None) for callback in readers for name in _HOOKS]
    default = [None, *(getattr(keras.callbacks.Callback, name) for name in _HOOKS)]
    return shown or any(getattr(hook, "__func__", hook) not in default for hook in hooks)


class BatchLogs(Mapping[str, Any]):
    """Names for the entries of one vector, and other results.

    One transfer fetches the logs of all tasks, on whichever thread reads them first.

    Args:
        names: the names of the entries.
        values: `(names,)` tensor.
        others: results that are no numbers, by name.
        aliases: further name -> name of an entry.
        read: whether a callback reads the logs of single steps. If none does, these logs count as empty
            (`bool(logs)` is false): otherwise Keras converts each entry to a number in every step.
    """

    def __init__(
        self,
        names: Sequence[str],
        values: Any,
        others: Mapping[str, Any] | None = None,
        aliases: Mapping[str, str] | None = None,
        read: bool = True,
    ) -> None:
        self._names = names
        self._tensor = values
        self._others = dict(others or {})
        self._aliases = {name: other for name, other in (aliases or {}).items() if name not in names}
        self._read = read

    def __bool__(self) -> bool:
        return self._read

    @cached_property
    def _values(self) -> dict[str, Any]:
        array = np.asarray(ops.convert_to_numpy(self._tensor), "float64")
        found = {**dict(zip(self._names, array.tolist(), strict=True)), **self._others}
        return found | {name: found[other] for name, other in self._aliases.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._names, *self._others, *self._aliases])

    def __len__(self) -> int:
        return len(self._names) + len(self._others) + len(self._aliases)


def score(logs: Mapping[str, Any], primary: Mapping[str, tuple[str, bool]]) -> float:
    """Returns the mean of the primary metrics, negated where lower is better; NaN if none is known.

    Args:
        logs: key -> value.
        primary: task -> name of its primary metric, and whether higher is better.
    """
    found = [(logs.get(f"{task}_{name}", math.nan), higher) for task, (name, higher) in primary.items()]
    known = [float(value) if higher else -float(value) for value, higher in found if np.ndim(value) == 0]
    known = [value for value in known if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


class MonitoredTotals:
    """Warns if a callback monitors a total loss while task weights change.

    Args:
        callbacks: the argument of `fit`: a callback, a list of them, a `keras.callbacks.CallbackList` or `None`.
    """

    def __init__(self, callbacks: Any = None) -> None:
        each = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks or []))
        self._monitored = {getattr(callback, "monitor", None) for callback in each}

    def warn(self, *totals: str) -> None:
        """Warns once about each of these log entries that a callback monitors. Call it when task weights change."""
        for total in totals:
            if total in self._monitored:
                self._monitored.discard(total)
                warnings.warn(
                    f"A callback monitors {total!r} while the task weights that it depends on change. "
                    "Monitor 'val_mtl_score' (mode='max') or the loss or metric of a task instead.",
                    stacklevel=3,
                )
