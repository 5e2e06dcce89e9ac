"""Reads and writes the files of a run. Writes are atomic."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtl_keras.export.replacing import replacing


def write_json(path: Path, content: Any) -> None:
    """Writes JSON; NaN and infinite numbers, which JSON does not have, become null."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_finite(content), indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Reads JSON.

    Raises:
        ValueError: if the file is missing or is not JSON, naming it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as cause:
        raise ValueError(f"There is no {path}") from cause
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise ValueError(f"{path} is damaged: {cause}") from cause


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Writes one CSV row per epoch."""
    keys = sorted({key for epoch in history for key in epoch})
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *keys])
        writer.writeheader()
        writer.writerows({"epoch": number, **epoch} for number, epoch in enumerate(history))


def read_history(path: Path) -> dict[str, list[float]]:
    """Reads a file written by `write_history`, by column.

    Returns:
        column, without `epoch` -> `(epochs,)` numbers; an empty cell is NaN.

    Raises:
        ValueError: if the file is missing or is not such a table, naming it and the line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except FileNotFoundError as cause:
        raise ValueError(f"There is no {path}") from cause
    except (UnicodeDecodeError, csv.Error) as cause:
        raise ValueError(f"{path} is damaged: {cause}") from cause
    if header[:1] != ["epoch"]:
        raise ValueError(f"{path} is damaged: its first column must be epoch")
    columns: dict[str, list[float]] = {name: [] for name in header[1:]}
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(f"{path} is damaged: line {line} has {len(row)} cells for {len(header)} columns")
        try:
            for name, cell in zip(header[1:], row[1:]):
                columns[name].append(float(cell or "nan"))
        except ValueError as cause:
            raise ValueError(f"{path} is damaged: line {line}: {cause}") from cause
    return columns


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name, compressed."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def write_text(path: Path, content: str) -> None:
    """Writes text."""
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
