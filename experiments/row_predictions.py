"""`predict_rows`: prints and writes as CSV the predictions for the rows of a CSV file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from data.custom.feature_columns import raw_columns
from data.custom.table import LabelTable, read_table
from experiments.prediction_tables import MAX_PRINTED, class_or_text, csv_cells, print_table, write_csv
from experiments.predictor import Predictor

_BATCH_SIZE = 4096


def rows_to_predict(path: Path) -> LabelTable:
    """Returns the table in a CSV file.

    Raises:
        ValueError: if there is no such file, or it is not a table.
    """
    if not path.is_file():
        raise ValueError(
            f"The model predicts the rows of a CSV file. There is no such file. Received: --predict={path}"
        )
    return read_table(path)


def predict_rows(predictor: Predictor, table: LabelTable, output: Path, console: Console | None = None) -> None:
    """Prints a table of predictions and writes `predictions.csv` into a folder. The first 20 rows are printed.

    Args:
        predictor: the model.
        table: rows with the columns of the model; other columns are ignored.
        output: the output folder.
        console: the console to print to.

    Raises:
        ValueError: for an absent column, text in a column of numbers, or if `predictions.csv` is the table itself.
        OSError: if `output` cannot be written.
    """
    target = output / "predictions.csv"
    if target.resolve() == table.path.resolve():
        raise ValueError(f"--output must not be the folder of --predict={table.path}. Received: {output}")
    columns = raw_columns(table, predictor.columns)
    parts = []
    for start in range(0, len(table.lines), _BATCH_SIZE):
        with tf.device("cpu"):  # strings are looked up on the CPU only
            cells = {name: tf.constant(column[start : start + _BATCH_SIZE]) for name, column in columns.items()}
            inputs = predictor.decode(cells)
        parts.append(predictor.predict(inputs))
    values = {task: np.concatenate([np.asarray(part[task]) for part in parts]) for task in predictor.outputs}
    rows: list[dict[str, str]] = []
    printed = Table("row", "task", "prediction", "confidence")
    for row, line in enumerate(table.lines):
        predicted = {task: array[row] for task, array in values.items()}
        rows.append({"line": str(line), **csv_cells(predicted, predictor.outputs)})
        for number, (task, entry) in enumerate(predictor.outputs.items() if row < MAX_PRINTED else ()):
            words, confidence = class_or_text(entry, predicted[task])
            printed.add_row("" if number else table.row_name(row), task, words, confidence)
    replaced = " (replaced)" if target.exists() else ""
    write_csv(target, rows)
    print(predictor.source)
    _warn_of_unseen(predictor, columns)
    print_table(printed, console or Console())
    if len(rows) > MAX_PRINTED:
        print(f"and {len(rows) - MAX_PRINTED} more rows")
    print(f"predictions.csv{replaced}: {output}")


def _warn_of_unseen(predictor: Predictor, columns: Mapping[str, np.ndarray]) -> None:
    """Warns of categories that no training row has, which are often the same word written in another way."""
    for name, categories in predictor.categories.items():
        unseen = Counter(cell for cell in columns[name] if cell and cell not in categories)
        if unseen:
            words = ", ".join(repr(word) for word, _ in unseen.most_common(3))
            print(
                f"warning: {sum(unseen.values())} cells of column {name!r} are no category of the training rows: "
                f"{words}{', ...' if len(unseen) > 3 else ''}. They count as none",
                file=sys.stderr,
            )
