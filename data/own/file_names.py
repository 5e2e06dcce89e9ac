"""The names of datasets in your own files: `csv:PATH` and `folder:PATH`."""

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
"""The forms of such names."""


def names_files(name: str) -> bool:
    """Returns whether a dataset's name has one of `FORMS`."""
    return _NAME.fullmatch(name) is not None


def absolute_name(name: str) -> str:
    """Returns the name with an absolute path, valid from any folder; returns other names unchanged."""
    found = _NAME.fullmatch(name)
    return f"{found[1]}:{Path(found[2]).expanduser().absolute()}" if found else name


def open_files(
    name: str,
    *,
    tasks: Sequence[str] | None,
    data_dir: str | os.PathLike[str] | None,
    types: Mapping[str, str] | None,
    image_column: str | None = None,
    image_extension: str = "",
    image_size: tuple[int, int] | None,
    cache: str,
    on_bad_example: str,
) -> Dataset:
    """Opens `csv:PATH` or `folder:PATH`.

    Args:
        name: the name.
        tasks: the columns to use as tasks.
        data_dir: the current place of moved files. For `csv:`, the folder of the images, which is also searched for the
            CSV file if that is no longer at its path. For `folder:`, the folder to read instead of the named one.
        types: as in `from_csv`; a folder has only classes.
        image_column: `image` of `from_csv`; only for `csv:`.
        image_extension: `extension` of `from_csv`; only for `csv:`.
        image_size: as in `from_csv`.
        cache: as in `data.load`.
        on_bad_example: as in `data.load`.

    Raises:
        ValueError: as in `from_csv` and `from_folder`.
    """
    found = _NAME.fullmatch(absolute_name(name))
    if found is None:
        raise ValueError(f"A dataset in files is called {' or '.join(FORMS)}. Received: {name!r}")
    path = Path(found[2])
    data_folder = None if data_dir is None else Path(data_dir).expanduser()
    if data_folder is not None and not data_folder.is_dir():
        raise ValueError(f"data_dir is a folder with the images of {name}. Received: data_dir={str(data_dir)!r}")
    if found[1] == "folder":
        if image_column is not None or image_extension:
            raise ValueError(
                f"`image_column` and `image_extension` are for csv:PATH. Received: {name!r} with "
                f"image_column={image_column!r}, image_extension={image_extension!r}"
            )
        dataset = from_folder(
            data_folder or path,
            tasks=tasks,
            types=types,
            image_size=image_size,
            cache=cache,
            on_bad_example=on_bad_example,
        )
        return dataclasses.replace(dataset, name=record_name(path))
    if data_folder is not None and not path.exists() and (data_folder / path.name).exists():
        path = data_folder / path.name
    return from_csv(
        path,
        image_dir=data_folder,
        image=image_column,
        extension=image_extension,
        tasks=tasks,
        types=types,
        image_size=image_size,
        cache=cache,
        on_bad_example=on_bad_example,
    )
