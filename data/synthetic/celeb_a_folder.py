"""Drawn portraits as the plain files in which people have CelebA, to try the way to them without a download."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.celeb_a_files import ATTRIBUTE_LIST, LANDMARK_LIST, PARTITION_LIST, SIZES_FILE
from data.celeb_a_images import FOLDER
from data.synthetic.portraits import PORTRAIT_SIZES, portrait
from data.synthetic.sizes import checked_sizes


def write_celeb_a_folder(
    path: str | os.PathLike[str],
    sizes: Mapping[str, int] | None = None,
    *,
    seed: int = 0,
    zipped: bool = False,
    csv: bool = False,
) -> Path:
    """Draws the portraits of `materialise("celeb_a", sizes, seed=seed)` into CelebA's plain files.

    The images have the same bytes and the same labels. `sizes.json` says that they are drawn, and how many.

    Args:
        path: the folder to make. What is there is not overwritten.
        sizes: split -> number of examples, >= 1; splits that are not named have their default size.
        seed: of everything drawn, >= 0.
        zipped: whether the images lie in `img_align_celeba.zip` instead of a folder.
        csv: whether the lists are csv files, as on Kaggle, instead of the text files of CelebA's authors.

    Returns:
        The folder, for `data.load("celeb_a", data_dir=...)` and `--data_dir`.

    Raises:
        FileExistsError: if there is something at `path`.
        ValueError: for an unknown split, a size below 1 or a seed below 0.

    Example:

    ```python
    folder = write_celeb_a_folder("portraits", {"train": 100, "validation": 20, "test": 20}, zipped=True)
    dataset = data.load("celeb_a", data_dir=folder)
    ```
    """
    wanted = checked_sizes("celeb_a", PORTRAIT_SIZES, sizes, seed)
    target = Path(path).expanduser()
    if target.exists():
        raise FileExistsError(f"{target} is there already. Name a folder that is not.")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Only what is complete is moved into place.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        complete = Path(temporary) / "complete"
        complete.mkdir()
        _draw(complete, wanted, seed, zipped=zipped, csv=csv)
        complete.rename(target)
    return target


def _draw(folder: Path, sizes: Mapping[str, int], seed: int, *, zipped: bool, csv: bool) -> None:
    (folder / FOLDER).mkdir()
    attributes: list[list[Any]] = []
    landmarks: list[list[Any]] = []
    partition: list[list[Any]] = []
    for number, split in enumerate(sizes):
        for index in range(sizes[split]):
            example = portrait(seed, split, index)
            name = f"{len(partition) + 1:06d}.jpg"
            (folder / FOLDER / name).write_bytes(example["image"])
            attributes.append([name, *(1 if present else -1 for present in example["attributes"].values())])
            landmarks.append([name, *example["landmarks"].values()])
            partition.append([name, number])
    if zipped:
        shutil.make_archive(str(folder / FOLDER), "zip", folder, FOLDER)
        shutil.rmtree(folder / FOLDER)
    _write_list(folder / ATTRIBUTE_LIST, list(example["attributes"]), attributes, csv=csv)
    _write_list(folder / LANDMARK_LIST, list(example["landmarks"]), landmarks, csv=csv)
    _write_list(folder / PARTITION_LIST, ["partition"], partition, csv=csv)
    (folder / SIZES_FILE).write_text(json.dumps({**sizes, "synthetic": True}) + "\n", "utf-8")


def _write_list(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, csv: bool) -> None:
    """Writes a list as `data.celeb_a_lists` reads it: the partition has no head in its text form."""
    if csv:
        head = [",".join(["image_id", *columns])]
    else:
        head = [] if path.name == PARTITION_LIST else [str(len(rows)), " ".join(columns)]
    lines = head + [("," if csv else " ").join(map(str, row)) for row in rows]
    path.with_suffix(".csv" if csv else ".txt").write_text("\n".join(lines) + "\n", "utf-8")
