"""`DenseSplit`: one split of a `DenseSource`, with the examples to use and the labels to read."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import tensorflow as tf

from data.dense.labels import compact_dtype, label_shape
from data.dense.source import Arrays, DenseSource
from data.errors import located
from mtl_keras.tasks import TaskSet

_Result = TypeVar("_Result")
_PIECE = 16
"""Examples read at once in a pass over a split."""
_THREADS = 4
_PYTHON_ERROR = re.compile(r"\b\w+(?:Error|Exception): ([^\n]+)\n+Traceback ")


@dataclass(frozen=True, eq=False)
class DenseSplit:
    """One split of a source.

    Args:
        dataset: the dataset's name, for messages.
        source: reads the examples.
        name: `"train"`, `"validation"` or `"test"`.
        tasks: the tasks whose labels are read.
        numbers: int64 (examples,), the numbers of the examples in the source, in order.
    """

    dataset: str
    source: DenseSource
    name: str
    tasks: TaskSet
    numbers: np.ndarray

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.numbers)

    @property
    def image_dtype(self) -> np.dtype:
        """uint8 or float32."""
        return np.dtype(np.float32 if self.source.kind == "float" else np.uint8)

    @property
    def bytes(self) -> int:
        """Bytes of all images and labels in a cache."""
        image = math.prod(self.source.image_shape) * self.image_dtype.itemsize
        labels = [math.prod(label_shape(task)) * compact_dtype(task).itemsize for task in self.tasks.values()]
        return self.size * (image + sum(labels))

    def subset(self, count: int, seed: int) -> DenseSplit:
        """Returns a split of `count` of its examples; those of a smaller count are among those of a larger one."""
        chosen = np.random.default_rng(seed).permutation(self.numbers)[:count]
        return replace(self, numbers=np.sort(chosen))

    def without_bad(self) -> DenseSplit:
        """Returns the split without the examples that cannot be read. Reads all of them once.

        Raises:
            ValueError: if none is left.
        """

        def can_be_read(number: int) -> bool:
            try:
                self.source.read(self.name, self.numbers[number : number + 1], self.tasks)
            except ValueError:
                return False
            return True

        with ThreadPoolExecutor(_THREADS) as threads:
            good = np.fromiter(threads.map(can_be_read, range(self.size)), bool)
        if not good.any():
            raise ValueError(f"Dataset {self.dataset}, split {self.name}: none of {self.size} examples can be read.")
        return replace(self, numbers=self.numbers[good])

    def read(self, rows: np.ndarray) -> Arrays:
        """Returns the images and labels of the examples at some positions (examples,) of this split."""
        return self.source.read(self.name, self.numbers[rows], self.tasks)

    def pieces(self) -> Iterator[Arrays]:
        """Yields the images and labels of all examples, in order and in pieces.

        Raises:
            ValueError: for an example that cannot be read.
        """
        return self._pass(self.source.read, self.tasks)

    def labels(self, tasks: TaskSet | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Yields the labels of all examples as `pieces` does, without the images if the source can."""
        return self._pass(self.source.read_labels, tasks or self.tasks)

    def key(self, fingerprint: str, *parts: object) -> str:
        """Returns a digest of the chosen examples and of further parts, for the name of a cache file."""
        digest = hashlib.sha256(self.numbers.tobytes())
        for part in (fingerprint, self.source.image_shape, *parts):
            digest.update(f"{part}\n".encode())
        return digest.hexdigest()[:16]

    def explain(self, error: tf.errors.OpError) -> str:
        """Returns the cause of a read error in one line; the source's message names the file."""
        found = _PYTHON_ERROR.search(error.message)
        return self._located(found[1]) if found else located(self.dataset, self.name, error)

    def is_damaged(self) -> bool:
        """Returns `False`: a damaged file is found when it is read, with an error that names the split."""
        return False

    def _pass(self, read: Callable[[str, np.ndarray, TaskSet], _Result], tasks: TaskSet) -> Iterator[_Result]:
        numbers = [self.numbers[start : start + _PIECE] for start in range(0, self.size, _PIECE)]
        with ThreadPoolExecutor(_THREADS) as threads:
            # No more pieces are read ahead than there are threads, because all of them may not fit into memory.
            waiting = [threads.submit(partial(read, self.name, some, tasks)) for some in numbers[:_THREADS]]
            for index in range(len(numbers)):
                try:
                    yield waiting.pop(0).result()
                except ValueError as error:
                    raise ValueError(self._located(str(error))) from error
                if index + _THREADS < len(numbers):
                    waiting.append(threads.submit(partial(read, self.name, numbers[index + _THREADS], tasks)))

    def _located(self, reason: str) -> str:
        return f"Dataset {self.dataset}, split {self.name}: {reason}"
