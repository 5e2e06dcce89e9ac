"""Small datasets of every kind that is read, and ways to damage them."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tests.celeb_a_folder import write_celeb_a_folder
from tests.data import conftest
from tests.data.cifar import cifar10
from tests.data.conftest import face, face_features, garment, write

Damage = Callable[[Path], object]
GARMENTS, FACES = Path("fashion_mnist/3.0.1"), Path("celeb_a/2.1.0")
IMAGES = "img_align_celeba"
GARMENT_SIZES = {"train": 20, "test": 10}
FACE_SIZES = {"train": 5, "validation": 2, "test": 2}


def write_garments(
    root: Path,
    bad: Callable[[], Mapping[str, Any]] = dict,
    features: Mapping[str, Any] | None = None,
    numbers: Collection[int] = (3,),
) -> None:
    """Writes a Fashion-MNIST of `GARMENT_SIZES` in which no garment is of class 9.

    Args:
        root: the TFDS directory.
        bad: returns what is otherwise in some training examples.
        features: other features than those of the real dataset.
        numbers: which examples that are.
    """
    shutil.rmtree(root / GARMENTS, ignore_errors=True)
    splits = {
        split: [{**garment(number), "label": number % 9} for number in range(size)]
        for split, size in GARMENT_SIZES.items()
    }
    for number in numbers:
        splits["train"][number] |= bad()
    write(root, "fashion_mnist", "3.0.1", {**conftest.garment_features(), **(features or {})}, splits)


def write_faces(
    root: Path, bad: Callable[[dict[str, Any]], object] | None = None, features: Mapping[str, Any] | None = None
) -> None:
    """Writes a CelebA of `FACE_SIZES`; `bad` changes training example 2."""
    shutil.rmtree(root / FACES, ignore_errors=True)
    splits = {split: [face(number) for number in range(size)] for split, size in FACE_SIZES.items()}
    if bad:
        bad(splits["train"][2])
    write(root, "celeb_a", "2.1.0", {**face_features(), **(features or {})}, splits)


SOURCES: Mapping[str, Callable[[Path], object]] = {
    "garments": write_garments,
    "faces": write_faces,
    "scenes": cifar10,
    "files": lambda root: write_celeb_a_folder(root, FACE_SIZES),
    "zip": lambda root: write_celeb_a_folder(root, FACE_SIZES, zipped=True),
    "nothing": lambda root: root.mkdir(),
}


def garment_label(label: int) -> Damage:
    """Writes garments of which one has an impossible label."""
    return lambda root: write_garments(root, lambda: {"label": label}, {"label": np.int64})


def garment_image(content: bytes, numbers: Collection[int] = (3,)) -> Damage:
    """Writes garments of which some are not images."""
    return lambda root: write_garments(root, lambda: {"image": io.BytesIO(content)}, numbers=numbers)


def garment_features(features: Mapping[str, Any]) -> Damage:
    """Writes garments with other features."""
    return lambda root: write_garments(root, features=features)


def face_value(path: str, value: int) -> Damage:
    """Writes faces of which one has another attribute or landmark, and all of them numbers."""
    kind, name = path.split("/")
    features = {kind: dict.fromkeys(face(0)[kind], np.int64)}
    return faces(lambda example: example[kind].update({name: value}), features)


def faces(bad: Callable[[dict[str, Any]], object], features: Mapping[str, Any] | None = None) -> Damage:
    """Writes faces of which one is bad."""
    return lambda root: write_faces(root, bad, features)


def face_image(content: Callable[[bytes], bytes]) -> Damage:
    """Writes faces of which one has another image file."""
    return faces(lambda example: example.update(image=io.BytesIO(content(example["image"].getvalue()))))


def nan_in_garments(root: Path) -> None:
    """Writes garments as floats, one of them NaN."""
    shutil.rmtree(root / GARMENTS)
    images = np.zeros((20, 28, 28, 1), np.float32)
    images[7, 3, 3, 0] = np.nan
    examples = [{"image": image, "label": number % 10} for number, image in enumerate(images)]
    feature = tfds.features.Tensor(shape=(28, 28, 1), dtype=np.float32)
    write(
        root, "fashion_mnist", "3.0.1", conftest.garment_features(feature), dict.fromkeys(("train", "test"), examples)
    )


def file(name: str, change: Callable[[bytes], bytes]) -> Damage:
    """Changes the content of the one file whose name is like that."""

    def damage(root: Path) -> None:
        (path,) = root.glob(name)
        path.write_bytes(change(path.read_bytes()))

    return damage


def cut(content: bytes) -> bytes:
    """Half of a file."""
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """A file with another bit in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def text(old: str, new: str, count: int = 1) -> Callable[[bytes], bytes]:
    """Replaces some text of a file, which must be there."""

    def change(content: bytes) -> bytes:
        changed = content.replace(old.encode(), new.encode(), count)
        if changed == content:
            raise ValueError(f"There is no {old!r} in the file.")
        return changed

    return change


def zipped(change: Callable[[list[str]], list[str]], content: bytes = b"") -> Damage:
    """Writes the zip file anew with other names for its members, and another content of all if one is given."""

    def damage(root: Path) -> None:
        path = root / f"{IMAGES}.zip"
        with zipfile.ZipFile(path) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (_, image) in zip(change([name for name, _ in members]), members):
                archive.writestr(name, content or image)

    return damage


def renamed(old: str, new: str) -> Damage:
    """Gives an image another name in all three lists of CelebA."""

    def damage(root: Path) -> None:
        for path in root.glob("list_*"):
            path.write_bytes(text(old, new)(path.read_bytes()))

    return damage


def folder(name: str) -> Damage:
    """Puts a folder in the place of a file."""

    def damage(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return damage


def plain_file(root: Path) -> None:
    """Adds a file called `file`."""
    (root / "file").touch()


def remove(name: str) -> Damage:
    """Removes the files whose names are like that."""

    def damage(root: Path) -> None:
        found = list(root.glob(name))
        if not found:
            raise ValueError(f"There is no {name} in {root}.")
        for path in found:
            path.unlink()

    return damage


def shard_lengths(length: int) -> Damage:
    """Lets dataset_info.json say that there are so many examples in each split."""

    def damage(root: Path) -> None:
        path = root / GARMENTS / "dataset_info.json"
        info = json.loads(path.read_text())
        for split in info["splits"]:
            split["shardLengths"] = [str(length)]
        path.write_text(json.dumps(info))

    return damage


def no_splits(root: Path) -> None:
    """Lets dataset_info.json know no splits."""
    path = root / GARMENTS / "dataset_info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "splits": []}))
