"""What went wrong inside a data pipeline, in one line."""

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
"""The errors of records that are damaged, or fewer than there should be: the fault of a file, not of an example."""


class Source(Protocol):
    """What can find out which of its examples, or of its files, is the bad one."""

    def explain(self, error: tf.errors.OpError) -> str:
        """Returns what went wrong in an error, and where, in one line."""

    def is_damaged(self) -> bool:
        """Whether one of its files is."""


# An error of TensorFlow's names the operation that failed, and neither the example nor the file.
_sources: weakref.WeakValueDictionary[str, Source] = weakref.WeakValueDictionary()


def scope(name: str, split: str) -> str:
    """Returns the name scope of the operations that read a split: TensorFlow's errors carry it."""
    return f"dataset.{name}.{split}"


def remember(name: str, split: str, source: Source) -> None:
    """Lets `explain` ask a source about errors of a split, as long as the source is there."""
    _sources[scope(name, split)] = source


def explain(error: tf.errors.OpError) -> str:
    """Returns the reason in an error of TensorFlow's, with the dataset, the split and the example that it came from.

    The example is found by reading the split again up to there.

    Args:
        error: raised while iterating over `Dataset.batches`, directly or within `fit`.

    Returns:
        One line such as `"Dataset celeb_a, split train: Invalid JPEG data (example 3)"`. The reason alone if the
        error is not from a data pipeline.
    """
    place = _SCOPE.search(error.message)
    if place:
        source = _sources.get(scope(*place.groups()))
        return source.explain(error) if source else located(place[1], place[2], error)
    if isinstance(error, DAMAGED_FILE):
        for source in list(_sources.values()):
            if source.is_damaged():
                return source.explain(error)
    return _reason(error)


def located(name: str, split: str, error: tf.errors.OpError, what: str | None = None) -> str:
    """Returns the reason in an error with the dataset, the split and, if it is known, the example or file."""
    return f"Dataset {name}, split {split}: {_reason(error)}" + (f" ({what})" if what else "")


def _reason(error: tf.errors.OpError) -> str:
    found = _REASON.search(error.message)
    reason = _NOISE.sub("", found[1] if found else error.message.splitlines()[0])
    assertion = _ASSERTION.search(reason)
    return "".join(part for part in assertion.groups() if part) if assertion else reason
