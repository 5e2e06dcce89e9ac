"""Examples that cannot be read: found before training, and left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from data.image_cache import cached
from data.split import Split

ON_BAD_EXAMPLE = ("error", "skip")
"""What can be done about examples that cannot be read."""
_NAMED = 5


@dataclass(frozen=True)
class Skipped:
    """The examples of a split that are left out.

    Args:
        count: how many.
        names: of the first five, in the order in which they are stored: the number in the split, from 0, or the name
            of the image's file where it has one.
    """

    count: int
    names: tuple[str, ...]


def without_bad(split: Split, *, keep: bool) -> Split:
    """Returns a split without the examples whose image or labels cannot be read; reads all of it once.

    Args:
        split: all of it.
        keep: whether to keep on disk which ones are good, so that other processes need not look again.

    Raises:
        ValueError: if none is left, or a file of the dataset is so damaged that what follows is lost.
        OSError: if it cannot be kept on disk.
    """
    try:
        with tf.device("cpu"):
            if keep:
                # Which labels are looked at is a matter of the tasks.
                path = split.kept_file(split.key("good", *split.recipe.fields, tf.__version__))
                good = np.array(cached(path, (split.size,), np.dtype(bool), lambda: [_good(split)]))
            else:
                good = _good(split)
    except tf.errors.OpError as error:
        raise ValueError(split.explain(error)) from error
    if not good.any():
        raise ValueError(f"Dataset {split.recipe.name}, split {split.name}: none of {split.size} examples can be read.")
    return split if good.all() else replace(split, good=good)


def skipped(split: Split) -> Skipped:
    """Returns which examples a split leaves out."""
    if split.good is None:
        return Skipped(0, ())
    numbers = np.flatnonzero(~split.good).tolist()
    return Skipped(len(numbers), tuple(split.reader.example_name(split.name, number) for number in numbers[:_NAMED]))


def _good(split: Split) -> np.ndarray:
    """Returns whether each example can be read, bool (examples,)."""
    return np.fromiter(_can_be_read(split), bool)


def _can_be_read(split: Split) -> Iterator[bool]:
    """Yields whether an example can be read, for each; an error of another kind is not the example's."""
    examples = iter(split.read(split.stored(), together=1))
    for _ in range(split.size):
        try:
            next(examples)
        except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError):
            yield False
        else:
            yield True
