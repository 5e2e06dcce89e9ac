"""Finds examples that cannot be read before training, and leaves them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from data.cache import cached_array
from data.split import Split

_MAX_NAMES = 5


@dataclass(frozen=True)
class Skipped:
    """The examples of a split that are left out.

    Args:
        count: how many.
        names: names of the first five, in stored order: the image's file name if it has one, else the number in the
            split, from 0.
    """

    count: int
    names: tuple[str, ...]


def without_bad(split: Split, *, on_disk: bool) -> Split:
    """Returns a split without the examples whose image or labels cannot be read. Reads the whole split once.

    Args:
        split: the whole split.
        on_disk: whether to cache the result on disk, so that other processes need not check again.

    Raises:
        ValueError: if no example is left, or a damaged file makes all later examples unreadable.
        OSError: if the result cannot be written to disk.
    """
    try:
        with tf.device("cpu"):
            if on_disk:
                # The tasks determine which labels are checked.
                path = split.cache_file(split.key("good", *split.recipe.fields, tf.__version__))
                good = np.array(cached_array(path, (split.size,), np.dtype(bool), lambda: [_good(split)]))
            else:
                good = _good(split)
    except tf.errors.OpError as error:
        raise ValueError(split.explain(error)) from error
    if not good.any():
        raise ValueError(f"Dataset {split.recipe.name}, split {split.name}: none of {split.size} examples can be read.")
    return split if good.all() else replace(split, good=good)


def skipped_examples(split: Split) -> Skipped:
    """Returns the examples that a split leaves out."""
    if split.good is None:
        return Skipped(0, ())
    numbers = np.flatnonzero(~split.good).tolist()
    return Skipped(
        len(numbers), tuple(split.reader.example_name(split.name, number) for number in numbers[:_MAX_NAMES])
    )


def _good(split: Split) -> np.ndarray:
    """Returns whether each example can be read, bool (examples,)."""
    return np.fromiter(_can_be_read(split), bool)


def _can_be_read(split: Split) -> Iterator[bool]:
    """Yields for each example whether it can be read. Errors of other kinds are raised."""
    examples = iter(split.read(split.stored(), together=1))
    for _ in range(split.size):
        try:
            next(examples)
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            yield False
        else:
            yield True
