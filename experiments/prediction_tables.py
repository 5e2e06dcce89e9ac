"""Prints predictions and writes them as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mtl_keras.analysis.pixels import CLASS_HEADS
from mtl_keras.export.replacing import replacing
from mtl_keras.reports.outputs import Output

MAX_PRINTED = 20
"""Maximum number of examples in a printed table; predictions.csv has all."""


def class_or_text(output: Output, value: np.ndarray) -> tuple[str, str]:
    """Returns a prediction as text, and its confidence; `""` for other kinds than classes."""
    if output.head in ("classification", "binary"):
        return output.classes[output.class_of(value)], f"{output.confidence(value):.1%}"
    return output.describe(value), ""


def csv_cells(values: Mapping[str, np.ndarray], outputs: Mapping[str, Output]) -> dict[str, str]:
    """Returns the CSV columns of an example: the name of the predicted class and its probability, else the numbers.

    Of a map they are the shares of its classes, or the mean of each channel.

    Args:
        values: task -> prediction `(...)`.
        outputs: task -> description of its output.
    """
    cells: dict[str, str] = {}
    for task, output in outputs.items():
        value = values[task]
        if output.is_dense:
            cells |= {f"{task}_{name}": f"{number:.6g}" for name, number in _map_numbers(output, value).items()}
        elif output.head in ("classification", "binary"):
            cells[task] = output.classes[output.class_of(value)]
            cells[f"{task}_confidence"] = f"{output.confidence(value):.6f}"
        elif output.head == "regression":
            names = [f"{point}_{axis}" for point in output.labels for axis in "xy"] if output.is_points else []
            names = names or list(map(str, range(value.size)))
            for name, number in zip(names, value.reshape(-1)):
                cells[task if value.size == 1 else f"{task}_{name}"] = f"{number:.6g}"
    return cells


def _map_numbers(output: Output, value: np.ndarray) -> dict[str, float]:
    """Returns name -> number: a few that describe a map."""
    values = output.prediction_map(value)
    if output.head in CLASS_HEADS:
        shares = dict(zip(output.classes, output.class_shares(values).tolist()))
        return shares if output.head == "segmentation" else {output.classes[1]: shares[output.classes[1]]}
    means = values.reshape(-1, values.shape[-1]).mean(axis=0, dtype="float64").tolist()
    names = "xyz" if output.head == "normals" else [str(channel) for channel in range(len(means))]
    return {"mean" if len(means) == 1 else f"mean_{name}": mean for name, mean in zip(names, means)}


def write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Writes rows of the same columns, at least one."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def print_table(table: Table, console: Console) -> None:
    """Prints a table, with uncut lines in a pipe or file."""
    if not console.is_terminal:
        # Do not cut lines in a pipe or file.
        wide = console.options.update(max_width=10_000)
        console.width = max(console.width, Measurement.get(console, wide, table).maximum)
    console.print(table)
