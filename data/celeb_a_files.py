"""CelebA as distributed by its authors and Kaggle: images in a folder or a zip file, and three lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from data.celeb_a_images import ARCHIVE, FOLDER, Images, open_images
from data.celeb_a_lists import ImageList, check_same_images, read_list
from data.fingerprint import fingerprint

ATTRIBUTE_LIST, LANDMARK_LIST, PARTITION_LIST = "list_attr_celeba", "list_landmarks_align_celeba", "list_eval_partition"
SIZES_FILE = "sizes.json"
OFFICIAL_SIZES = {"train": 162_770, "validation": 19_867, "test": 19_962}

_LISTS = (ATTRIBUTE_LIST, LANDMARK_LIST, PARTITION_LIST)
# The required files, each in one of its forms; the first one found is read.
_FILES = (*((f"{name}.txt", f"{name}.csv") for name in _LISTS), (FOLDER, ARCHIVE))
# All in one folder, or in the three folders of the authors' download.
_SUBFOLDERS = (".", "Anno", "Eval", "Img")


@dataclass(frozen=True)
class CelebAFiles:
    """The examples of CelebA's plain files, in the order of the lists.

    Args:
        files: reads an image by its name.
        features: split -> `"image"` (images,), the file names, `"attributes"` bool (images, 40) and
            `"landmarks"` int32 (images, 10).
        columns: the names of the attributes and of the coordinates.
        synthetic: whether the images were drawn.
    """

    files: Images
    features: Mapping[str, Mapping[str, np.ndarray]]
    columns: Mapping[str, Sequence[str]]
    synthetic: bool
    version: ClassVar[str] = "files"
    encoded: ClassVar[bool] = True

    def size(self, split: str) -> int:
        return len(self.features[split]["image"])

    def examples(self, split: str) -> tf.data.Dataset:
        # The attributes stay in one array: slicing 40 of them one by one would take longer than reading the image.
        return tf.data.Dataset.from_tensor_slices(dict(self.features[split]))

    def fetch(self, examples: Mapping[str, tf.Tensor], paths: Iterable[str]) -> Mapping[str, tf.Tensor]:
        found = {}
        for path in paths:
            key, _, name = path.partition("/")
            found[path] = examples[key][:, self.columns[key].index(name)] if name else examples[key]
        return found

    def images(self, stored: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(self.files.read, stored, fn_output_signature=tf.TensorSpec((), tf.string))

    def example_name(self, split: str, number: int) -> str:
        return str(self.features[split]["image"][number])

    def damaged_file(self, split: str) -> str | None:
        return None

    def fingerprint(self, split: str) -> str:
        names = self.features[split]["image"].tolist()
        return fingerprint(self.files.paths(names), names)


def open_folder(folder: Path, attributes: Sequence[str], coordinates: Sequence[str]) -> CelebAFiles | None:
    """Opens CelebA's plain files.

    Searches the folder and its folders `Anno`, `Eval` and `Img` for `img_align_celeba` (a folder) or
    `img_align_celeba.zip`, and for the lists `list_attr_celeba`, `list_landmarks_align_celeba` and
    `list_eval_partition`, each as `.txt` or `.csv`. The splits must have their official sizes, 162,770, 19,867 and
    19,962 images, so that an incomplete copy is rejected. For a folder with other images, give the sizes in a file
    `sizes.json`: `{"train": 100, "validation": 20, "test": 20}`, with `"synthetic": true` if they are drawn.

    Args:
        folder: the value of `--data_dir`.
        attributes: the attribute columns, `"Smiling"` and so on.
        coordinates: the landmark columns, `"nose_x"` and so on.

    Returns:
        The files, or `None` if none of them is found.

    Raises:
        ValueError: if some of them are missing, damaged or inconsistent with each other.
    """
    found = {names: _find(folder, names) for names in _FILES}
    if not any(found.values()):
        return None
    missing = [" or ".join(names) for names, path in found.items() if path is None]
    if missing:
        raise ValueError(f"{folder} lacks {', and '.join(missing)}. All files of CelebA belong beside each other.")
    faces_path, points_path, partition_path, images_path = (path for path in found.values() if path is not None)
    faces = read_list(faces_path, attributes, (-1, 1))
    points = read_list(points_path, coordinates)
    partition = read_list(partition_path, ["partition"], range(len(OFFICIAL_SIZES)), headed=False)
    check_same_images([faces, points, partition])
    expected, synthetic = _expected(folder / SIZES_FILE)
    rows = {split: np.flatnonzero(partition.values == number) for number, split in enumerate(expected)}
    _check_sizes(partition, rows, expected)
    features = {"image": faces.names, "attributes": faces.values == 1, "landmarks": points.values}
    return CelebAFiles(
        files=open_images(images_path, faces.names),
        features={split: {key: values[chosen] for key, values in features.items()} for split, chosen in rows.items()},
        columns={"attributes": attributes, "landmarks": coordinates},
        synthetic=synthetic,
    )


def _find(folder: Path, names: Sequence[str]) -> Path | None:
    candidates = [folder / place / name for name in names for place in _SUBFOLDERS]
    return next((path for path in candidates if path.exists()), None)


def _expected(path: Path) -> tuple[Mapping[str, int], bool]:
    """Returns the required sizes of the splits, and whether the images are declared synthetic."""
    if not path.exists():
        return OFFICIAL_SIZES, False
    try:
        content = json.loads(path.read_text("utf-8"))
        sizes = {split: content[split] for split in OFFICIAL_SIZES}
        synthetic = content.get("synthetic", False)
        if not isinstance(synthetic, bool) or not all(type(size) is int and size > 0 for size in sizes.values()):
            raise ValueError("a size is a number above 0, and synthetic is true or false")
    except (ValueError, KeyError, TypeError) as cause:
        example = json.dumps(OFFICIAL_SIZES)
        raise ValueError(f"{path} should be like {example}. Received: {cause!r}") from cause
    return sizes, synthetic


def _check_sizes(partition: ImageList, rows: Mapping[str, np.ndarray], expected: Mapping[str, int]) -> None:
    counts = {split: len(chosen) for split, chosen in rows.items()}
    if counts != expected:
        source = SIZES_FILE if expected is not OFFICIAL_SIZES else "CelebA"
        raise ValueError(
            f"{partition.path} makes splits of {_format_counts(counts)} images, and {source} has "
            f"{_format_counts(expected)}: the list is incomplete or not CelebA's. Download it again. "
            f"If a subset is meant, say so in {SIZES_FILE} beside it: {json.dumps(counts)}"
        )


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{size} {split}" for split, size in counts.items())
