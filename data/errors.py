"""What went wrong inside a data pipeline, in one line."""

from __future__ import annotations

import re

import tensorflow as tf

_SCOPE = re.compile(r"dataset\.(\w+)\.(\w+)/")
_REASON = re.compile(r"([^\n]+)\n\t \[\[")
_NOISE = re.compile(r"\{\{.*?\}\}\s*|Error in user-defined function .*? with iterator: \S+: |\s*\[Op:.*")
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\](?: \[(.*?)\])?")


def scope(name: str, split: str) -> str:
    """Returns the name scope of the operations that read a split: TensorFlow's errors carry it."""
    return f"dataset.{name}.{split}"


def explain(error: tf.errors.OpError) -> str:
    """Returns the reason in an error of TensorFlow's, with the dataset and the split that it came from.

    Args:
        error: raised while iterating over `Dataset.batches`, directly or within `fit`.

    Returns:
        One line such as `"Dataset celeb_a, split train: Invalid JPEG data"`. Without dataset and split if the
        error is not from a data pipeline.
    """
    found = _REASON.search(error.message)
    reason = _NOISE.sub("", found[1] if found else error.message.splitlines()[0])
    assertion = _ASSERTION.search(reason)
    if assertion:
        reason = "".join(part for part in assertion.groups() if part)
    place = _SCOPE.search(error.message)
    return f"Dataset {place[1]}, split {place[2]}: {reason}" if place else reason
