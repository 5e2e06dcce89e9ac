"""`BatchLogs`: the logs of a step, read from the device only when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops


class BatchLogs(Mapping[str, float]):
    """Names for the entries of one vector.

    One transfer fetches the logs of all tasks, on whichever thread reads them first.

    Args:
        names: the names of the entries.
        values: `(names,)` tensor.
    """

    def __init__(self, names: Sequence[str], values: Any) -> None:
        self._names = names
        self._tensor = values

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
