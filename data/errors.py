"""One-line explanations of errors in a data pipeline."""

from __future__ import annotations

import re
import weakref
from typing import Protocol

import tensorflow as tf

_SCOPE = re.compile(r"dataset\.(\w+)\.(\w+)/")
_REASON = re.compile(r"([^\n]+)\n\t \[\[")
_NOISE = re.compile(r"\{\{.*?\}\}\s*|Error in user-defined function .*? with iterator: \S+: |\s*\[Op:.*")
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\](?: \[(.*?)\])?")
DAMAGED_FILE = (tf.errors.DataLossError, tf.errors.FailedPreconditionError)
"""Errors for damaged or missing records: the file is at fault, not an example."""


class ReadableSplit(Protocol):
    """A split of a dataset that can find its bad example or file."""

    def explain(self, error: tf.errors.OpError) -> str:
        """Returns the cause and place of an error in one line."""

    def is_damaged(self) -> bool:
        """Returns whether one of its files is damaged."""


# TensorFlow's errors name the operation that failed, but not the example or the file.
_splits: weakref.WeakValueDictionary[str, ReadableSplit] = weakref.WeakValueDictionary()


def scope(name: str, split: str) -> str:
    """Returns the name scope of the operations that read a split. TensorFlow's errors contain it."""
    return f"dataset.{name}.{split}"


def remember(name: str, split: str, source: ReadableSplit) -> None:
    """Registers a source, by weak reference, so that `explain` can locate errors of a split."""
    _splits[scope(name, split)] = source


def explain(error: tf.errors.OpError) -> str:
    """Returns the reason of a TensorFlow error, with the dataset, the split and the example that caused it.

    The example is found by reading the split again up to the error.

    Args:
        error: raised while iterating over `Dataset.batches`, directly or within `fit`.

    Returns:
        One line such as `"Dataset celeb_a, split train: Invalid JPEG data (example 3)"`, or only the reason if the
        error is not from a data pipeline.
    """
    place = _SCOPE.search(error.message)
    if place:
        source = _splits.get(scope(*place.groups()))
        return source.explain(error) if source else located(place[1], place[2], error)
    if isinstance(error, DAMAGED_FILE):
        for source in list(_splits.values()):
            if source.is_damaged():
                return source.explain(error)
    return _reason(error)


def located(name: str, split: str, error: tf.errors.OpError, what: str | None = None) -> str:
    """Returns the reason of an error with the dataset, the split and, if known, the example or file (`what`)."""
    return f"Dataset {name}, split {split}: {_reason(error)}" + (f" ({what})" if what else "")


def _reason(error: tf.errors.OpError) -> str:
    found = _REASON.search(error.message)
    reason = _NOISE.sub("", found[1] if found else error.message.splitlines()[0])
    assertion = _ASSERTION.search(reason)
    return "".join(part for part in assertion.groups() if part) if assertion else reason
