"""Assigns the rows of a table to splits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from data.own.recipe import SPLITS
from data.own.table import Table
from mtl_keras.serialization import unknown_value

COLUMN = "split"
"""The optional column that names the split of each row."""
_WORDS = {
    **{split: split for split in SPLITS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "testing": "test",
}
_HELD_OUT = 0.1  # for validation, and the same for test


def rows_by_split(table: Table, images: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns split -> its rows, (rows of the split,), in order.

    Uses the column `split`. Without it, a tenth of the images is held out for validation and a tenth for test: those
    whose names come first when sorted by their SHA-256. This is the same in every run and on every machine, and rows
    with the same image are in the same split.

    Args:
        table: the table.
        images: the names of the images, row by row.

    Raises:
        ValueError: for a word that is not a split, a split without rows, or fewer than three images.
    """
    if COLUMN in table.columns:
        found = _splits_from_column(table)
    else:
        parts = _splits_by_hash(table, sorted(set(images), key=_digest))
        found = np.array([parts[name] for name in images])
    return {split: np.flatnonzero(found == split) for split in SPLITS}


def is_split(word: str) -> bool:
    """Returns whether a word names a split."""
    return word.lower() in _WORDS


def _splits_from_column(table: Table) -> np.ndarray:
    cells = table.columns[COLUMN]
    for row, cell in enumerate(cells):
        if not is_split(cell):
            raise unknown_value(f"split ({table.where(row)})", cell, SPLITS)
    found = np.array([_WORDS[cell.lower()] for cell in cells])
    for split in SPLITS:
        if split not in found:
            raise ValueError(
                f"{table.where()}: column {COLUMN!r} has no row for {split}. "
                f"It needs {', '.join(SPLITS)}. Received: {', '.join(sorted(set(cells)))}"
            )
    return found


def _splits_by_hash(table: Table, ordered: Sequence[str]) -> Mapping[str, str]:
    """Returns the split of each image."""
    if len(ordered) < len(SPLITS):
        raise ValueError(
            f"{table.where()}: three images and more are needed, to have some for {', '.join(SPLITS)}. "
            f"Received: {len(ordered)}"
        )
    each = max(1, round(len(ordered) * _HELD_OUT))
    splits = ["validation"] * each + ["test"] * each
    return dict(zip(ordered, splits + ["train"] * (len(ordered) - len(splits))))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
