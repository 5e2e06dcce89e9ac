"""`BatchLogs`: the logs of a step, read from the device only when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import ops

_HOOKS = ("on_batch_end", "on_train_batch_end", "on_test_batch_end")


def are_read(arguments: Mapping[str, Any]) -> bool:
    """Returns whether somebody looks at the logs of single steps.

    That is a callback with a method for the end of a batch, unless its `reads_batch_logs` is false.

    Args:
        arguments: those given to `keras.Model.fit`.
    """
    callbacks = arguments.get("callbacks") or []
    each = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks))
    readers = [callback for callback in each if getattr(callback, "reads_batch_logs", True)]
    hooks = [getattr(callback, name) for callback in readers for name in _HOOKS]
    default = [getattr(keras.callbacks.Callback, name) for name in _HOOKS]
    return arguments.get("verbose", "auto") != 0 or any(
        getattr(hook, "__func__", hook) not in default for hook in hooks
    )


class BatchLogs(Mapping[str, float]):
    """Names for the entries of one vector.

    One transfer fetches the logs of all tasks, on whichever thread reads them first.

    Args:
        names: the names of the entries.
        values: `(names,)` tensor.
        read: whether somebody looks at the logs of single steps. If nobody does, these logs pass for empty
            (`bool(logs)` is false): Keras would make numbers of all of them at each step, one by one.
    """

    def __init__(self, names: Sequence[str], values: Any, read: bool = True) -> None:
        self._names = names
        self._tensor = values
        self._read = read

    def __bool__(self) -> bool:
        return self._read

    @cached_property
    def _values(self) -> dict[str, float]:
        array = np.asarray(ops.convert_to_numpy(self._tensor), "float64")
        return dict(zip(self._names, array.tolist(), strict=True))

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
