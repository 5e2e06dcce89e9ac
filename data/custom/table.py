"""`LabelTable`: a CSV file as columns of text, with the line number and the split of each row."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.recipe import SPLITS
from mtl_keras.checks import did_you_mean, unknown_value

SPLIT_COLUMN = "split"
"""The optional column that names the split of each row."""
_SPLIT_WORDS = {
    **{split: split for split in SPLITS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "testing": "test",
}
_HELD_OUT = 0.1  # for validation, and the same for test
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class LabelTable:
    """Columns of text.

    Args:
        path: the CSV file, or the folder that was listed.
        columns: name -> cells (rows,), without spaces around them.
        lines: (rows,), the line number where each row begins, from 1; empty for a folder.
        header: the line number of the header; `None` if `lines` are the numbers of rows in memory.
    """

    path: Path
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int] = ()
    header: int | None = 1

    def where(self, row: int | None = None) -> str:
        """Returns the place of a row (by default the header) for a message: `"labels.csv, line 17"`."""
        if not self.lines or (row is None and self.header is None):
            return str(self.path)
        return f"{self.path}, {f'line {self.header}' if row is None else self.row_name(row)}"

    def row_name(self, row: int) -> str:
        """Returns the name of a row: `"line 17"`, or `"row 17"` of a table in memory."""
        return f"{'row' if self.header is None else 'line'} {self.lines[row]}"


def read_table(path: Path) -> LabelTable:
    """Reads a CSV file: a header, then one row per example.

    The separator is the most frequent of comma, semicolon and tab in the first line. Quoted cells may contain
    separators and line breaks; a doubled quote is a quote. Empty lines and columns without a name (pandas writes one
    for its index) are ignored.

    Raises:
        ValueError: for a missing file or an invalid table; the one-line message names the file and the line.
    """
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(_SEPARATORS, key=first.count)
    rows = _rows(path, text, separator)
    header, names = next(rows, (1, []))
    if not names:
        raise ValueError(f"{path} is empty. It should have a line of names, then one row per example.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path}, line {header}: two columns have one name. Received twice: {twice!r}")
    lines, cells = [], []
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {line}: the row has {len(row)} cells, and the header {len(names)}. Put a cell with "
                f"{separator!r} in it between double quotes."
            )
        lines.append(line)
        cells.append(row)
    if not cells:
        raise ValueError(f"{path} has a header and no rows.")
    columns = {name: column for name, column in zip(names, zip(*cells)) if name}
    return LabelTable(path, columns, lines, header)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as cause:
        raise ValueError(
            f"There is no file {path}.{did_you_mean(path.name, (file.name for file in path.parent.glob('*.[ct]sv')))} "
            "If it was moved since training, --data_dir is the folder that has it and its images now."
        ) from cause
    except IsADirectoryError as cause:
        raise ValueError(
            f"{path} is a folder, and not a CSV file. Images in folders by class: folder:{path}"
        ) from cause
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        line = content.count(b"\n", 0, cause.start) + 1
        raise ValueError(
            f"{path}, line {line}: the file is not in UTF-8 (byte 0x{content[cause.start]:02x}). Save it in UTF-8."
        ) from cause


def _rows(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line number where each row begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as cause:
            raise ValueError(
                f"{path}, line {line}: the row that begins there cannot be read, perhaps because of an unmatched quote "
                f"({cause})"
            ) from cause
        if row is None:
            return
        if any(cell.strip() for cell in row) or len(row) > 1:
            yield line, [cell.strip() for cell in row]


def rows_by_split(table: LabelTable, images: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Returns split -> its rows, (rows of the split,), in order.

    Uses the column `split`. Without it, a tenth of the images is held out for validation and a tenth for test: those
    whose names come first when sorted by their SHA-256. This is the same in every run and on every machine, and rows
    with the same image are in the same split. Without images the name of a row is its number, so that the splits stay
    the same if columns are added.

    Args:
        table: the table.
        images: the names of the images, row by row; `None` for a table without images.

    Raises:
        ValueError: for a word that is not a split, a split without rows, or fewer than three images or rows.
    """
    if SPLIT_COLUMN in table.columns:
        found = _splits_from_column(table)
    else:
        names = list(map(str, range(len(table.lines)))) if images is None else images
        ordered = sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).digest())
        parts = _splits_by_hash(table, ordered, "rows" if images is None else "images")
        found = np.array([parts[name] for name in names])
    return {split: np.flatnonzero(found == split) for split in SPLITS}


def is_split(word: str) -> bool:
    """Returns whether a word names a split."""
    return word.lower() in _SPLIT_WORDS


def _splits_from_column(table: LabelTable) -> np.ndarray:
    cells = table.columns[SPLIT_COLUMN]
    for row, cell in enumerate(cells):
        if not is_split(cell):
            raise unknown_value(f"split ({table.where(row)})", cell, SPLITS)
    found = np.array([_SPLIT_WORDS[cell.lower()] for cell in cells])
    for split in SPLITS:
        if split not in found:
            raise ValueError(
                f"{table.where()}: column {SPLIT_COLUMN!r} has no row for {split}. "
                f"It needs {', '.join(SPLITS)}. Received: {', '.join(sorted(set(cells)))}"
            )
    return found


def _splits_by_hash(table: LabelTable, ordered: Sequence[str], examples: str) -> Mapping[str, str]:
    """Returns the split of each image."""
    if len(ordered) < len(SPLITS):
        raise ValueError(
            f"{table.where()}: at least three {examples} are needed, one each for {', '.join(SPLITS)}. "
            f"Received: {len(ordered)}"
        )
    each = max(1, round(len(ordered) * _HELD_OUT))
    splits = ["validation"] * each + ["test"] * each
    return dict(zip(ordered, splits + ["train"] * (len(ordered) - len(splits))))
