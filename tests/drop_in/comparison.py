"""Compares what two runs recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np


class Logs(dict[str, Any]):
    """Recorded logs. Those of `MultiTaskModel` may have more entries than those of `keras.Model`."""


def compare(stock: Any, ours: Any, outputs: Sequence[str], tolerance: float, path: str = "") -> Iterator[str]:
    """Yields the differences, one line each: the path, what Keras gives and what `MultiTaskModel` gives.

    Args:
        stock: nested dicts, lists and arrays, recorded with `keras.Model`.
        ours: the same, recorded with `MultiTaskModel`.
        outputs: names of the model's outputs.
        tolerance: absolute and relative tolerance of floats.
        path: of the values in what was recorded.
    """
    if isinstance(stock, Logs):
        yield from _logs(path, stock, ours, outputs, tolerance)
    elif isinstance(stock, Mapping):
        if not isinstance(ours, Mapping) or sorted(stock) != sorted(ours):
            yield f"{path}: {_short(stock)} | {_short(ours)}"
        else:
            for key, value in stock.items():
                yield from compare(value, ours[key], outputs, tolerance, f"{path}/{key}")
    elif _are_names(stock) and _are_names(ours):
        if list(stock) != list(ours):
            only = [[name for name in one if name not in other] for one, other in ((stock, ours), (ours, stock))]
            yield f"{path}: {_short(only[0] or stock)} | {_short(only[1] or ours)}"
    elif isinstance(stock, (list, tuple)):
        if not isinstance(ours, (list, tuple)) or len(stock) != len(ours):
            yield f"{path}: {_short(stock)} | {_short(ours)}"
        else:
            for place, (one, other) in enumerate(zip(stock, ours)):
                yield from compare(one, other, outputs, tolerance, f"{path}/{place}")
    elif isinstance(stock, np.ndarray) and isinstance(ours, np.ndarray):
        if not _close(stock, ours, tolerance):
            yield f"{path}: {_short(stock)} | {_short(ours)}"
    elif type(stock) is not type(ours) or stock != ours:
        yield f"{path}: {_short(stock)} | {_short(ours)}"


def _are_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(entry, str) for entry in value)


def _logs(path: str, stock: Logs, ours: Logs, outputs: Sequence[str], tolerance: float) -> Iterator[str]:
    names = "|".join(map(re.escape, outputs))
    added = r"(val_)?(mtl_score|.+_weight|.+_active)"
    if not any(re.fullmatch(rf"({names})_loss", name) for name in stock):  # Keras does not log by output
        added += rf"|(val_)?({names})_.+"
    for name, value in stock.items():
        if name not in ours:
            yield f"{path}: {name} is missing; there are {', '.join(ours)}"
        elif not _close(value, ours[name], tolerance):
            yield f"{path}/{name}: {_short(value)} | {_short(ours[name])}"
    for name in ours:
        if name not in stock and not re.fullmatch(added, name):
            yield f"{path}: unknown log entry {name}"


def _close(stock: np.ndarray, ours: np.ndarray, tolerance: float) -> bool:
    if stock.shape != ours.shape:
        return False
    if stock.dtype.kind in "fc" and ours.dtype.kind in "fc":
        return bool(np.allclose(ours, stock, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(np.array_equal(stock, ours))


def _short(value: Any) -> str:
    text = re.sub(r"\s+", " ", repr(value))
    return text if len(text) < 200 else f"{text[:200]}..."
