"""Decoded images that are kept, in memory and on disk: the same batches, and never a wrong file."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import data
from data.cache import cached_array
from data.recipe import Recipe
from tests.celeb_a_folder import write_celeb_a_folder
from tests.data.conftest import face, face_features, write

SHAPE, UINT8 = (6, 2, 2, 1), np.dtype(np.uint8)
ARRAY = np.arange(24, dtype=np.uint8).reshape(SHAPE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where decoded images are kept."""
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def epochs(source: str | Path, cache: str, **options: Any) -> list[np.ndarray]:
    """Two epochs of the training split, image by image with their labels."""
    dataset = data.load("celeb_a", tasks=["landmarks", "Young"], data_dir=source, cache=cache)
    batches = itertools.islice(dataset.batches("train", 4, **options), 2 * dataset.steps("train", 4))
    rows = [(images, labels["landmarks"], labels["Young"]) for images, labels in batches]
    return [np.concatenate(parts) for parts in zip(*rows)]


def opened(source: str | Path, tasks: list[str] | None = None) -> None:
    """Lets the training split be kept on disk."""
    data.load("celeb_a", tasks=tasks or ["Young"], data_dir=source, cache="disk").batches("train", 4)


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with every split that is read to the end to be kept."""
    calls: list[str] = []
    original = data.pipeline._pieces

    def counted(split: Any, count: int = -1) -> Iterator[Any]:
        if count < 0:
            calls.append(split.name)
        return original(split, count)

    monkeypatch.setattr("data.pipeline._pieces", counted)
    return calls


def test_every_cache_gives_the_same_examples(faces_dir: str, folder: Path) -> None:
    found = {cache: epochs(faces_dir, cache) for cache in ("none", "memory", "disk")}
    for parts in found.values():
        for part, expected in zip(parts, found["none"]):
            np.testing.assert_array_equal(part, expected)
    shuffled = {cache: epochs(faces_dir, cache, shuffle=True, seed=3) for cache in ("memory", "disk")}
    for one, other in zip(shuffled["memory"], shuffled["disk"]):
        np.testing.assert_array_equal(one, other)
    assert [path.suffix for path in folder.iterdir()] == [".npy"]


def test_the_file_is_found_again_by_other_tasks(faces_dir: str, folder: Path, decoding: list[str]) -> None:
    opened(faces_dir)
    assert decoding == ["train"]
    opened(faces_dir)
    opened(faces_dir, ["Bald", "landmarks"])
    assert decoding == ["train"]


def test_other_images_and_another_preprocessing_get_a_file_of_their_own(
    faces_dir: str, tmp_path: Path, folder: Path, decoding: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = epochs(faces_dir, "disk")[0]
    other = [face(number) for number in (5, *range(1, 10))]
    write(
        tmp_path / "other", "celeb_a", "2.1.0", face_features(), dict.fromkeys(("train", "validation", "test"), other)
    )
    assert (epochs(tmp_path / "other", "disk")[0] != found).any()
    assert decoding == ["train"] * 2
    original = data.recipes["celeb_a"].decode_all

    def brighter(self: Recipe, encoded: Any) -> Any:
        return original(self, encoded) | 1

    monkeypatch.setattr("data.celeb_a.CelebA.decode_all", brighter)
    assert (np.rint(epochs(faces_dir, "disk")[0] * 255).astype(int) % 2 == 1).all()
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("zipped", [False, True])
def test_plain_files_that_change_are_decoded_again(
    tmp_path: Path, folder: Path, decoding: list[str], zipped: bool
) -> None:
    sizes = {"train": 5, "validation": 1, "test": 1}
    source = write_celeb_a_folder(tmp_path / "files", sizes, zipped=zipped)
    opened(source)
    opened(source)
    assert decoding == ["train"]
    changed = source / "img_align_celeba.zip" if zipped else source / "img_align_celeba" / "000003.jpg"
    os.utime(changed, ns=(1, 1))
    opened(source)
    assert decoding == ["train"] * 2


def test_an_array_is_made_once(tmp_path: Path) -> None:
    pieces = [iter([ARRAY[:4], ARRAY[4:]])]
    for _ in range(2):
        found = cached_array(tmp_path / "new" / "a.npy", SHAPE, UINT8, pieces.pop if pieces else pytest.fail)
        np.testing.assert_array_equal(found, ARRAY)
    found[0] = 99  # changes no file
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "a.npy"), ARRAY)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content[:60],
        lambda content: content + b"more",
        lambda content: b"",
        lambda content: b"something else" * 100,
        lambda content: content.replace(b"(6, 2, 2, 1)", b"(3, 4, 2, 1)"),
        lambda content: content.replace(b"|u1", b"|i1"),
    ],
    ids=["cut off", "header alone", "too long", "empty", "foreign", "other shape", "other type"],
)
def test_a_file_that_is_not_whole_is_made_anew(tmp_path: Path, damage: Any) -> None:
    path = tmp_path / "a.npy"
    cached_array(path, SHAPE, UINT8, lambda: [ARRAY])
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    np.testing.assert_array_equal(cached_array(path, SHAPE, UINT8, lambda: [ARRAY]), ARRAY)
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def break_off() -> Iterator[np.ndarray]:
        yield ARRAY[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_array(tmp_path / "a.npy", SHAPE, UINT8, break_off)
    with pytest.raises(ValueError, match="4 images, but the dataset declares 6"):
        cached_array(tmp_path / "a.npy", SHAPE, UINT8, lambda: [ARRAY[:4]])
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_both_succeed(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"

    def overtaken() -> Iterator[np.ndarray]:
        yield ARRAY[:4]
        np.testing.assert_array_equal(cached_array(path, SHAPE, UINT8, lambda: [ARRAY]), ARRAY)
        yield ARRAY[4:]

    np.testing.assert_array_equal(cached_array(path, SHAPE, UINT8, overtaken), ARRAY)
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Iterator[np.ndarray]:
        yield ARRAY[:4]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"Cannot store the decoded images in .*No space left on device") as error:
        cached_array(tmp_path / "a.npy", SHAPE, UINT8, full)
    assert "\n" not in str(error.value)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=23))
    with pytest.raises(OSError, match=r"takes 0.00 GiB, and 0.00 GiB are free.*MTL_KERAS_CACHE"):
        cached_array(tmp_path / "a.npy", SHAPE, UINT8, lambda: pytest.fail("nothing is decoded in vain"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "decoded").write_text("")
    with pytest.raises(OSError, match=r"Cannot store the decoded images in .*decoded: .*MTL_KERAS_CACHE"):
        cached_array(tmp_path / "decoded" / "a.npy", SHAPE, UINT8, lambda: pytest.fail("nothing is decoded in vain"))


def test_an_unknown_cache_is_refused(faces_dir: str) -> None:
    with pytest.raises(ValueError, match=r"Unknown cache\. Did you mean 'disk'.*auto, disk, memory, none"):
        data.load("celeb_a", data_dir=faces_dir, cache="dsik")
