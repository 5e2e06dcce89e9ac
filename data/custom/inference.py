"""Infers the task of a column of labels from its values."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from mtl_keras.tasks import Task

BINARY_WORDS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("off", "on"))
"""Pairs of words that mean 0 and 1, in any case."""
_FEW_STRAY = 0.05  # the share of labels up to which others than the two of a binary task are taken for mistakes


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
        ValueError: for an invalid task name, values of another kind, if all labels are missing or the same, or if a few
            texts keep the others from being binary.
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
        if found.ndim == 1 and len(different) == 2 and (different % 1 == 0).all():
            _warn_of_two_numbers(name, different, "regression")
        return regression_task(name, found)
    if found.dtype.kind == "U":
        return _infer_from_words(name, as_text(values).tolist())
    if found.dtype.kind == "b" or different.max() == 1:
        return Task.binary(name)
    if len(different) == 2:
        _warn_of_two_numbers(name, different, f"classification with {different.max() + 1} classes")
    return Task.classification(name, int(different.max()) + 1)


def _warn_of_two_numbers(name: str, different: np.ndarray, kind: str) -> None:
    low, high = different.tolist()
    warnings.warn(
        f"Task {name!r}, whose labels are {low:g} and {high:g}, is a {kind}. For a binary task recode them as 0 and 1.",
        stacklevel=5,
    )


def _infer_from_words(name: str, texts: Sequence[str]) -> Task:
    different = sorted({text for text in texts if text})
    words = {word.lower() for word in different}
    pair = next((pair for pair in BINARY_WORDS if words == set(pair)), None)
    if pair:
        return Task.binary(name, labels=pair)
    stray = find_stray(texts)
    if stray:
        row, (no, yes) = stray
        raise ValueError(
            f"The label of task {name!r} is neither {no!r} nor {yes!r}, unlike the others. If it is missing, pass "
            f"an empty text; if it is a class, pass a Task.classification. Received: {texts[row]!r} at example {row}"
        )
    for word in filter(is_placeholder, different):
        warnings.warn(
            f"Task {name!r} has a class {word!r}. If it means a missing label, pass an empty text.", stacklevel=5
        )
    return Task.classification(name, different)


def find_stray(texts: Sequence[str]) -> tuple[int, tuple[str, str]] | None:
    """Returns the place of the first of a few labels without which the task would be binary, and its two other words.

    Few are one, or a twentieth of the labels. With 0 and 1, a label is no mistake if it is a number too.

    Args:
        texts: the labels; "" where missing.
    """
    counts = Counter(text.lower() for text in texts if text)
    for pair in (("0", "1"), *BINARY_WORDS):
        others = [word for word in counts if word not in pair]
        strays = sum(counts[word] for word in others)
        limit = max(1, _FEW_STRAY * counts.total())
        numbers = pair == ("0", "1") and any(parse_number(word) is not None for word in others)
        if 0 < strays <= limit and len(counts) - len(others) == 2 and not numbers:
            return next(row for row, text in enumerate(texts) if text.lower() in others), pair
    return None


def is_placeholder(word: str) -> bool:
    """Returns whether a class name has neither letters nor digits, such as `?` or `-`: probably a missing label."""
    return not any(letter.isalnum() for letter in word)


def parse_number(text: str) -> float | None:
    """Returns the finite number in a text, or `None`."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


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
