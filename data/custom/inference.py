"""Infers the task of a column of labels from its values."""

from __future__ import annotations

import numpy as np

from mtl_keras.tasks import Task

BINARY_WORDS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"))
"""Pairs of words that mean 0 and 1, in any case."""


def infer_task(name: str, values: np.ndarray) -> Task:
    """Returns the task inferred from labels.

    | values | task |
    |---|---|
    | booleans; numbers that are 0 or 1; words such as `no` and `yes` (`BINARY_WORDS`) | binary |
    | other text | classification, the classes in alphabetical order |
    | other integers | classification, the number of classes is the greatest label + 1 |
    | other floats (examples,), or (examples, numbers) | regression |

    A regression is trained as if its labels were standardised, so that the loss begins at about 1 whatever the unit.
    Its outputs are in the unit of the labels.

    Args:
        name: the task's name.
        values: (examples,) or (examples, numbers). A missing label is -1 among integers (examples,), NaN among floats,
            "" or `None` among strings.

    Raises:
        ValueError: for an invalid task name, values of another kind, or if all labels are missing or the same.
    """
    found = known_labels(name, values)
    different = np.unique(found)
    if len(different) < 2:
        hint = " (-1 is a missing label)" if len(found) < len(values) and values.dtype.kind == "i" else ""
        raise ValueError(
            f"All labels of task {name!r} are the same: nothing can be learned. Received: {different[0]}{hint}"
        )
    if found.ndim == 2 or found.dtype.kind == "f":
        if found.ndim == 1 and np.isin(different, (0, 1)).all():
            return Task.binary(name)
        return regression_task(name, found)
    if found.dtype.kind == "U":
        words = {str(word).lower() for word in different}
        pair = next((pair for pair in BINARY_WORDS if words == set(pair)), None)
        return Task.binary(name, labels=pair) if pair else Task.classification(name, [str(word) for word in different])
    if found.dtype.kind == "b" or different.max() == 1:
        return Task.binary(name)
    return Task.classification(name, int(different.max()) + 1)


def known_labels(name: str, values: np.ndarray, *, numbers: bool = False) -> np.ndarray:
    """Returns the labels that are not missing: bool, integer, float64 or text, (labelled,) or (labelled, numbers).

    Args:
        name: the task's name.
        values: as in `infer_task`.
        numbers: whether they are targets of a regression: then every integer is a label.

    Raises:
        ValueError: for values of another kind, negative integers other than -1, or if all are missing.
    """
    kinds = {1: "biufUSO", 2: "iuf"}
    if values.dtype.kind not in kinds.get(values.ndim, ""):
        raise ValueError(
            f"labels of task {name!r} must be booleans, integers, floats or texts (examples,), or numbers "
            f"(examples, numbers). Received: {values.dtype} {values.shape}"
        )
    if values.dtype.kind in "USO":
        values = as_text(values)
        found = values[values != ""]
    elif values.dtype.kind == "f" or values.ndim == 2 or numbers:
        if np.isinf(values).any():
            raise ValueError(f"labels of task {name!r} must be finite, or NaN where missing. Received: inf")
        found = values[~np.isnan(values.reshape(len(values), -1)).any(axis=1)].astype(np.float64)
    else:
        found = values[values != -1]
        if len(found) and found.min() < 0:
            raise ValueError(f"labels of task {name!r} must be from 0, or -1 where missing. Received: {found.min()}")
    if not len(found):
        raise ValueError(f"All labels of task {name!r} are missing. Received: {len(values)} examples")
    return found


def as_text(values: np.ndarray) -> np.ndarray:
    """Returns strings, bytes or objects (examples,) as strings, with "" for `None`."""
    words = ("" if value is None else value for value in values.tolist())
    return np.array([word.decode() if isinstance(word, bytes) else str(word) for word in words], dtype=str)


def regression_task(name: str, labels: np.ndarray) -> Task:
    """Returns a regression task with the mean and the standard deviation of its labels.

    Args:
        name: the task's name.
        labels: (labelled,) or (labelled, numbers), none missing.
    """
    size = labels.shape[1] if labels.ndim == 2 else 1
    return Task.regression(name, size, mean=float(labels.mean()), deviation=float(labels.std()) or 1.0)
