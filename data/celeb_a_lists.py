"""CelebA's annotation lists: the authors' text files and Kaggle's csv files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_LONGEST_NAME = 64
_HTML = (b"<!doctype html", b"<html")


@dataclass(frozen=True)
class ImageList:
    """The contents of one list.

    Args:
        path: the file.
        names: (images,), the names of the image files in the order of the list.
        values: int32 (images, columns), in the order of the requested columns.
    """

    path: Path
    names: np.ndarray
    values: np.ndarray


def read_list(
    path: Path, columns: Sequence[str], allowed: Collection[int] | None = None, *, headed: bool = True
) -> ImageList:
    """Reads a list with one row per image, its name first.

    A csv file begins with a header, `image_id,5_o_Clock_Shadow,...`. A text file begins with the number of its rows
    and a header without `image_id`, or has neither.

    Args:
        path: a file with the suffix `.csv`, or a text file with spaces between the columns.
        columns: the columns that the file must have.
        allowed: the allowed values; any integer by default.
        headed: whether the text file has a count and a header.

    Raises:
        ValueError: if the content of the file is invalid; the one-line message says what to do.
    """
    refuse_html(path)
    try:
        lines = [line for line in path.read_text("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as cause:
        raise _damaged(path, "is not a text file") from cause
    comma = path.suffix == ".csv"
    header, rows = list(columns), lines
    if comma:
        header, rows = [name.strip() for name in "".join(lines[:1]).split(",")][1:], lines[1:]
    elif headed:
        header, rows = " ".join(lines[1:2]).split(), lines[2:]
        count = "".join(lines[:1]).strip()
        if count != str(len(rows)):
            raise _damaged(path, f"declares {count[:20]!r} images in its first line and lists {len(rows)}")
    if sorted(header) != sorted(columns):
        odd = sorted(set(header) ^ set(columns)) or header
        raise _damaged(path, f"does not have the {len(columns)} columns of CelebA (see {odd[0][:40]!r})")
    if not rows:
        raise _damaged(path, "lists no images")
    kind = np.dtype([("name", f"U{_LONGEST_NAME}"), ("values", np.int32, (len(columns),))])
    try:
        table = np.loadtxt(rows, kind, comments=None, delimiter="," if comma else None, ndmin=1)
    except ValueError as cause:
        # NumPy's text after the semicolon is advice for programmers.
        reason = str(cause).split(";")[0].rstrip(".")
        raise _damaged(path, f"has a row that cannot be read ({reason}, counted without the header)") from cause
    values = table["values"][:, [header.index(name) for name in columns]]
    if allowed is not None:
        wrong = ~np.isin(values, list(allowed)).all(axis=1)
        if wrong.any():
            row = int(wrong.argmax())
            odd = next(value for value in values[row].tolist() if value not in allowed)
            raise _damaged(path, f"has {odd} for {table['name'][row]}; allowed are {sorted(allowed)}")
    return ImageList(path, table["name"], values)


def check_same_images(lists: Sequence[ImageList]) -> None:
    """Checks that the lists name the same images in the same order, each image once.

    Raises:
        ValueError: if not; the one-line message names two files.
    """
    first = lists[0]
    if len(np.unique(first.names)) != len(first.names):
        raise _damaged(first.path, "names an image twice")
    for other in lists[1:]:
        if len(other.names) != len(first.names):
            reason = f"lists {len(other.names)} images, and {first.path.name} {len(first.names)}"
            raise _damaged(other.path, reason)
        differs = other.names != first.names
        if differs.any():
            row = int(differs.argmax())
            reason = f"names {other.names[row]} as image {row + 1}, and {first.path.name} {first.names[row]}"
            raise _damaged(other.path, reason)


def refuse_html(path: Path) -> None:
    """Raises a `ValueError` if a file is an HTML page that a download host returned instead of the data."""
    with path.open("rb") as file:
        start = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_HTML):
        raise ValueError(
            f"{path} is an HTML page, not a {path.suffix.lstrip('.')} file: the download host answered with a page, "
            "as it does when its quota is used up. Download the file in a browser, later, or from another host."
        )


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path} {reason}. Download it again.")
