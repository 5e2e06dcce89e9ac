"""The names of datasets that lie in one's own files: `csv:PATH` and `folder:PATH`."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.dataset import Dataset
from data.own.files import from_csv, from_folder, record_name

_NAME = re.compile(r"(csv|folder):(.+)", re.DOTALL)
FORMS = ("csv:PATH", "folder:PATH")
"""What such names look like."""


def names_files(name: str) -> bool:
    """Whether a dataset's name is one of `FORMS`."""
    return _NAME.fullmatch(name) is not None


def absolute_name(name: str) -> str:
    """Returns the name with an absolute path, which means the same in any folder; other names as they are."""
    found = _NAME.fullmatch(name)
    return f"{found[1]}:{Path(found[2]).expanduser().absolute()}" if found else name


def open_files(
    name: str,
    *,
    tasks: Sequence[str] | None,
    data_dir: str | os.PathLike[str] | None,
    types: Mapping[str, str] | None,
    image_size: tuple[int, int] | None,
    cache: str,
    on_bad_example: str,
) -> Dataset:
    """Opens `csv:PATH` or `folder:PATH`.

    Args:
        name: the name.
        tasks: the columns wanted.
        data_dir: where the files are now: the folder that the images of a CSV file are in, and in which the CSV file is
            looked for if it is no longer at its path; or the folder that is read instead of the one named.
        types: as in `from_csv`; a folder has only classes.
        image_size: as in `from_csv`.
        cache: as in `data.load`.
        on_bad_example: as in `data.load`.

    Raises:
        ValueError: as `from_csv` and `from_folder` do.
    """
    found = _NAME.fullmatch(absolute_name(name))
    if found is None:
        raise ValueError(f"A dataset in files is called {' or '.join(FORMS)}. Received: {name!r}")
    path = Path(found[2])
    now = None if data_dir is None else Path(data_dir).expanduser()
    if now is not None and not now.is_dir():
        raise ValueError(f"data_dir is a folder with the images of {name}. Received: data_dir={str(data_dir)!r}")
    if found[1] == "folder":
        moved = from_folder(
            now or path, tasks=tasks, types=types, image_size=image_size, cache=cache, on_bad_example=on_bad_example
        )
        return dataclasses.replace(moved, name=record_name(path))
    if now is not None and not path.exists() and (now / path.name).exists():
        path = now / path.name
    return from_csv(
        path,
        image_dir=now,
        tasks=tasks,
        types=types,
        image_size=image_size,
        cache=cache,
        on_bad_example=on_bad_example,
    )
