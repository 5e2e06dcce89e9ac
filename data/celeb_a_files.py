"""CelebA as distributed by its authors and Kaggle: images in a folder or a zip file, and three lists."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from data.celeb_a_lists import ImageList, check_same_images, read_list, refuse_html
from data.reader import Reader, fingerprint

FOLDER = "img_align_celeba"
ARCHIVE = f"{FOLDER}.zip"
ATTRIBUTE_LIST, LANDMARK_LIST, PARTITION_LIST = "list_attr_celeba", "list_landmarks_align_celeba", "list_eval_partition"
SIZES_FILE = "sizes.json"
OFFICIAL_SIZES = {"train": 162_770, "validation": 19_867, "test": 19_962}

# All in one folder, or in the three folders of the authors' download.
_SUBFOLDERS = (".", "Anno", "Eval", "Img")
_MAX_FILE_BYTES = 64 * 2**20  # far larger than any photograph


class CelebAImages(Protocol):
    """The image files by name: a folder of JPEGs, or the original zip file."""

    def read(self, name: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of the image called `name`, both scalar strings."""

    def paths(self, names: Iterable[str]) -> list[Path]:
        """Returns the files that hold the named images."""


class ImageFolder:
    """Images in a folder, or in a folder of the same name within it, as in Kaggle's copy.

    Args:
        path: the folder.
        names: (images,), the images that it must hold.

    Raises:
        ValueError: if some of them are missing.
    """

    def __init__(self, path: Path, names: np.ndarray) -> None:
        self._path = path / path.name if (path / path.name).is_dir() else path
        with os.scandir(self._path) as entries:
            present = {entry.name for entry in entries}
        _check_present(path, names, present, f"Extract {ARCHIVE} again")

    def read(self, name: tf.Tensor) -> tf.Tensor:
        return tf.io.read_file(tf.strings.join([f"{self._path}{os.sep}", name]))

    def paths(self, names: Iterable[str]) -> list[Path]:
        return [self._path / name for name in names]


class ImageArchive:
    """Images in a zip file, read one by one without extracting it.

    Args:
        path: the zip file; its members may be in folders.
        names: (images,), the images that it must hold.

    Raises:
        ValueError: if it is not a zip file, some images are missing, or a member is too large for an image.
    """

    def __init__(self, path: Path, names: np.ndarray) -> None:
        refuse_html(path)
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as cause:
            raise ValueError(f"{path} is not a whole zip file ({cause}). Download it again.") from cause
        self._members = {member.rpartition("/")[2]: member for member in self._zip.namelist()}
        largest = max(self._zip.infolist(), key=lambda member: member.file_size, default=None)
        if largest and largest.file_size > _MAX_FILE_BYTES:
            raise ValueError(
                f"{path} is not CelebA's: {largest.filename!r} in it unpacks to {largest.file_size / 2**20:.0f} MiB."
            )
        _check_present(path, names, self._members.keys(), "Download it again")

    def read(self, name: tf.Tensor) -> tf.Tensor:
        encoded, reason = tf.numpy_function(self._read, [name], (tf.string, tf.string))
        reason.set_shape(())
        encoded.set_shape(())
        message = f"{self._path} is damaged, download it again: "
        # The check is an operation, so that its error contains the name of the dataset and the split.
        with tf.control_dependencies([tf.debugging.Assert(tf.equal(reason, ""), [message, reason])]):
            return tf.identity(encoded)

    def paths(self, names: Iterable[str]) -> list[Path]:
        return [self._path]

    def _read(self, name: bytes) -> tuple[bytes, bytes]:
        """Returns the bytes of an image and an error message. Many threads may read a `ZipFile` at once."""
        try:
            return self._zip.read(self._members[name.decode()]), b""
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
            return b"", f"{name.decode()}: {error}".encode()


def _check_present(path: Path, names: np.ndarray, present: Collection[str], advice: str) -> None:
    missing = [name for name in names.tolist() if name not in present]
    if missing:
        raise ValueError(
            f"{path} lacks {len(missing)} of the {len(names)} images listed, the first {missing[0]}. {advice}."
        )


@dataclass(frozen=True)
class CelebAReader(Reader):
    """The examples of CelebA's plain files, in the order of the lists.

    Args:
        files: reads an image by its name.
        features: split -> `"image"` (images,), the file names, and as far as they are needed `"attributes"` bool
            (images, 40) and `"landmarks"` int32 (images, 10).
        columns: the names of the attributes and of the coordinates.
        synthetic: whether the images were drawn.
    """

    files: CelebAImages
    features: Mapping[str, Mapping[str, np.ndarray]]
    columns: Mapping[str, Sequence[str]]
    synthetic: bool
    version: str = "files"
    encoded: bool = True

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

    def fingerprint(self, split: str) -> str:
        names = self.features[split]["image"].tolist()
        return fingerprint(self.files.paths(names), names)


def open_folder(folder: Path, attributes: Sequence[str], coordinates: Sequence[str]) -> CelebAReader | None:
    """Opens CelebA's plain files.

    Searches the folder and its folders `Anno`, `Eval` and `Img` for `img_align_celeba` (a folder) or
    `img_align_celeba.zip`, and for the lists `list_eval_partition`, `list_attr_celeba` (if there are `attributes`) and
    `list_landmarks_align_celeba` (if there are `coordinates`), each as `.txt` or `.csv`. The splits must have their
    official sizes, 162,770, 19,867 and 19,962 images, so that an incomplete copy is rejected. For a folder with other
    images, give the sizes in a file `sizes.json`: `{"train": 100, "validation": 20, "test": 20}`, with
    `"synthetic": true` if they are synthetic.

    Args:
        folder: the value of `--data_dir`.
        attributes: the attribute columns, `"Smiling"` and so on; empty if no attribute is needed.
        coordinates: the landmark columns, `"nose_x"` and so on; empty if they are not needed.

    Returns:
        The reader, or `None` if none of the files is found.

    Raises:
        ValueError: if some of them are missing, damaged or inconsistent with each other.
    """
    columns = {"attributes": attributes, "landmarks": coordinates}
    lists = {"attributes": ATTRIBUTE_LIST, "landmarks": LANDMARK_LIST, "partition": PARTITION_LIST}
    # Each file in one of its forms; the first one found is read.
    forms = {kind: (f"{name}.txt", f"{name}.csv") for kind, name in lists.items()} | {"images": (FOLDER, ARCHIVE)}
    found = {kind: _find(folder, names) for kind, names in forms.items()}
    if not any(found.values()):
        return None
    paths = {kind: path for kind, path in found.items() if path is not None}
    needed = [kind for kind in forms if columns.get(kind, True)]
    missing = [" or ".join(forms[kind]) for kind in needed if kind not in paths]
    if missing:
        advice = "All files of CelebA must be in the same folder."
        if missing == [" or ".join(forms["landmarks"])]:
            advice = "It is needed for the task landmarks only."
        raise ValueError(f"{folder} lacks {', and '.join(missing)}. {advice}")
    labels = {
        kind: read_list(paths[kind], columns[kind], (-1, 1) if kind == "attributes" else None)
        for kind in columns
        if kind in needed
    }
    partition = read_list(paths["partition"], ["partition"], range(len(OFFICIAL_SIZES)), headed=False)
    check_same_images([*labels.values(), partition])
    expected, synthetic = _expected(folder / SIZES_FILE)
    rows = {split: np.flatnonzero(partition.values == number) for number, split in enumerate(expected)}
    _check_sizes(partition, rows, expected)
    features = {"image": partition.names, **{kind: one.values for kind, one in labels.items()}}
    if "attributes" in features:
        features["attributes"] = features["attributes"] == 1
    images = paths["images"]
    return CelebAReader(
        files=(ImageFolder if images.is_dir() else ImageArchive)(images, partition.names),
        features={split: {key: values[chosen] for key, values in features.items()} for split, chosen in rows.items()},
        columns=columns,
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
            f"For a subset, state its sizes in {SIZES_FILE} in the same folder: {json.dumps(counts)}"
        )


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{size} {split}" for split, size in counts.items())
