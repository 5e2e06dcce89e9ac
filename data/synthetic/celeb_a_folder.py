"""Writes drawn portraits as CelebA's plain files, to test loading these without a download."""

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
    """Writes the portraits of `materialise("celeb_a", sizes, seed=seed)` as CelebA's plain files.

    The images have the same bytes and the same labels. `sizes.json` marks them as drawn and has their numbers.

    Args:
        path: the folder to create. An existing one is not overwritten.
        sizes: split -> number of examples, >= 1; by default the default size of the split.
        seed: seed of everything drawn, >= 0.
        zipped: whether to put the images into `img_align_celeba.zip` instead of a folder.
        csv: whether the lists are csv files, as on Kaggle, instead of the text files of CelebA's authors.

    Returns:
        The folder, for `data.load("celeb_a", data_dir=...)` and `--data_dir`.

    Raises:
        FileExistsError: if `path` exists.
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
        raise FileExistsError(f"{target} already exists. Name a new folder.")
    target.parent.mkdir(parents=True, exist_ok=True)
    # The folder is moved into place only when it is complete.
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
    """Writes a list in the format of `data.celeb_a_lists`: the partition's text file has no header."""
    if csv:
        head = [",".join(["image_id", *columns])]
    else:
        head = [] if path.name == PARTITION_LIST else [str(len(rows)), " ".join(columns)]
    lines = head + [("," if csv else " ").join(map(str, row)) for row in rows]
    path.with_suffix(".csv" if csv else ".txt").write_text("\n".join(lines) + "\n", "utf-8")
