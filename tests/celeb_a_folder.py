"""Drawn portraits as CelebA's plain files, to test loading these without a download."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.celeb_a_files import ATTRIBUTE_LIST, FOLDER, LANDMARK_LIST, PARTITION_LIST, SIZES_FILE
from data.synthetic import portrait


def write_celeb_a_folder(
    folder: Path, sizes: Mapping[str, int], *, seed: int = 0, zipped: bool = False, csv: bool = False
) -> Path:
    """Writes the portraits of `materialise("celeb_a", sizes, seed=seed)`, and returns the folder for `--data_dir`.

    Args:
        folder: the folder to create.
        sizes: split -> number of examples, >= 1.
        seed: seed of everything drawn.
        zipped: whether to put the images into `img_align_celeba.zip` instead of a folder.
        csv: whether the lists are csv files, as on Kaggle, instead of the text files of CelebA's authors.
    """
    (folder / FOLDER).mkdir(parents=True)
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
    return folder


def _write_list(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, csv: bool) -> None:
    """Writes a list as its authors do: the partition's text file has no header."""
    if csv:
        head = [",".join(["image_id", *columns])]
    else:
        head = [] if path.name == PARTITION_LIST else [str(len(rows)), " ".join(columns)]
    lines = head + [("," if csv else " ").join(map(str, row)) for row in rows]
    path.with_suffix(".csv" if csv else ".txt").write_text("\n".join(lines) + "\n", "utf-8")
