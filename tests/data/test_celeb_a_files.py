"""CelebA's plain files: the same batches as through TFDS, and a reason in one line for what is damaged."""

from __future__ import annotations

import itertools
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import data
from data.celeb_a import ATTRIBUTES, CelebA
from data.celeb_a_files import OFFICIAL_SIZES
from data.dataset import Dataset
from tests.celeb_a_folder import write_celeb_a_folder

SIZES = {"train": 11, "validation": 4, "test": 3}
IMAGES = "img_align_celeba"
FORMS = {
    "folder and txt": {"zipped": False, "csv": False},
    "folder and csv": {"zipped": False, "csv": True},
    "zip and txt": {"zipped": True, "csv": False},
    "zip and csv": {"zipped": True, "csv": True},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("celeb_a")
    return {form: write_celeb_a_folder(root / form, SIZES, seed=5, **how) for form, how in FORMS.items()}


@pytest.fixture(scope="module")
def drawn_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the same portraits are kept as a TFDS dataset."""
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies one of the folders, for a test to damage."""
    return lambda form: Path(shutil.copytree(folders[form], tmp_path / "copy"))


def assert_same_batches(
    one: Dataset, other: Dataset, splits: Iterable[str] = ("train",), count: int | None = None, **how: object
) -> None:
    for split in splits:
        pairs = zip(one.batches(split, 4, **how), other.batches(split, 4, **how), strict=count is None)
        seen = 0
        for (image, labels), (other_image, other_labels) in itertools.islice(pairs, count):
            np.testing.assert_array_equal(image, other_image)
            assert list(labels) == list(other_labels)
            for name in labels:
                np.testing.assert_array_equal(labels[name], other_labels[name])
            seen += len(image)
        assert seen >= SIZES[split]


def assert_same_files(folder: Path, original: Path) -> None:
    files, expected = CelebA().open_files(folder), CelebA().open_files(original)
    read = tf.function(files.files.read)  # tf.data reads in a graph, where Python functions are given bytes
    for split in SIZES:
        for key, values in expected.features[split].items():
            np.testing.assert_array_equal(files.features[split][key], values)
        for name in expected.features[split]["image"]:
            assert read(tf.constant(name)) == expected.files.read(tf.constant(name))


def rewrite(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


@pytest.mark.parametrize(
    ("memory", "form"), [("in memory", "folder and txt"), ("streamed", "zip and csv")], indirect=["memory"]
)
def test_batches_are_those_of_tfds(folders: dict[str, Path], drawn_dir: Path, form: str, memory: str) -> None:
    tasks = ["landmarks", "Smiling", "5_o_Clock_Shadow"]
    drawn = data.load("celeb_a", tasks=tasks, synthetic=True, sizes=SIZES, seed=5, data_dir=drawn_dir)
    files = data.load("celeb_a", tasks=tasks, data_dir=folders[form])
    assert [files.size(split) for split in SIZES] == list(SIZES.values())
    assert_same_batches(drawn, files, SIZES)
    assert_same_batches(drawn, files, count=7, shuffle=True, seed=3, first_epoch=2, augment=True)


def test_all_tasks_and_their_counts_are_those_of_tfds(folders: dict[str, Path], drawn_dir: Path) -> None:
    drawn = data.load("celeb_a", synthetic=True, sizes=SIZES, seed=5, data_dir=drawn_dir)
    files = data.load("celeb_a", data_dir=folders["folder and txt"])
    assert files.tasks.names == (*ATTRIBUTES, "landmarks")
    counts = files.label_counts()
    assert counts == drawn.label_counts()
    assert counts["landmarks"] == SIZES["train"]
    assert_same_batches(drawn, files)
    assert files.label_counts() == counts


@pytest.mark.parametrize(
    ("tasks", "unneeded"),
    [(["Smiling"], "list_landmarks_align_celeba.txt"), (["landmarks"], "list_attr_celeba.txt")],
)
def test_a_list_is_read_only_if_a_task_needs_it(
    copied: Callable[[str], Path], folders: dict[str, Path], tasks: list[str], unneeded: str
) -> None:
    folder = copied("folder and txt")
    (folder / unneeded).unlink()
    whole = data.load("celeb_a", tasks=tasks, data_dir=folders["folder and txt"])
    assert data.load("celeb_a", tasks=tasks, data_dir=folder).label_counts() == whole.label_counts()
    with pytest.raises(ValueError, match=unneeded):
        data.load("celeb_a", data_dir=folder)


def test_folder_says_whether_it_was_drawn(copied: Callable[[str], Path]) -> None:
    folder = copied("folder and txt")
    files = data.load("celeb_a", data_dir=folder)
    assert files.synthetic
    assert files.version == "files"
    (folder / "sizes.json").write_text(json.dumps(SIZES))
    assert not data.load("celeb_a", data_dir=folder).synthetic


def test_kaggles_nested_folder(copied: Callable[[str], Path], folders: dict[str, Path]) -> None:
    folder = copied("folder and csv")
    (folder / IMAGES).rename(folder / "inner")
    (folder / IMAGES).mkdir()
    (folder / "inner").rename(folder / IMAGES / IMAGES)
    assert_same_files(folder, folders["folder and txt"])


def test_folders_of_the_authors_download(copied: Callable[[str], Path], folders: dict[str, Path]) -> None:
    folder = copied("zip and txt")
    for place, names in {
        "Anno": ["list_attr_celeba.txt", "list_landmarks_align_celeba.txt"],
        "Eval": ["list_eval_partition.txt"],
        "Img": [f"{IMAGES}.zip"],
    }.items():
        (folder / place).mkdir()
        for name in names:
            (folder / name).rename(folder / place / name)
    assert_same_files(folder, folders["folder and txt"])


@pytest.mark.parametrize(
    ("prefix", "method"), [("", zipfile.ZIP_STORED), (f"{IMAGES}/{IMAGES}/", zipfile.ZIP_DEFLATED)]
)
def test_zips_of_any_make(copied: Callable[[str], Path], folders: dict[str, Path], prefix: str, method: int) -> None:
    folder = copied("folder and txt")
    with zipfile.ZipFile(folder / f"{IMAGES}.zip", "w", method) as archive:
        for path in sorted((folder / IMAGES).iterdir(), reverse=True):
            archive.write(path, prefix + path.name)
            archive.writestr(f"__MACOSX/{prefix}._{path.name}", b"not an image")
    shutil.rmtree(folder / IMAGES)
    assert_same_files(folder, folders["folder and txt"])
    assert not (folder / IMAGES).exists()


def test_columns_are_found_by_their_names(copied: Callable[[str], Path], folders: dict[str, Path]) -> None:
    folder = copied("folder and csv")
    rewrite(
        folder / "list_attr_celeba.csv",
        lambda lines: [",".join([row.split(",")[0], *reversed(row.split(",")[1:])]) for row in lines],
    )
    assert_same_files(folder, folders["folder and txt"])


def test_tfds_is_read_where_both_are(copied: Callable[[str], Path], faces_dir: str) -> None:
    folder = copied("folder and txt")
    shutil.copytree(faces_dir, folder, dirs_exist_ok=True)
    assert data.load("celeb_a", data_dir=folder).version == "2.1.0"


def test_windows_line_ends_and_alignment_do_not_matter(copied: Callable[[str], Path], folders: dict[str, Path]) -> None:
    folder = copied("folder and txt")
    for path in folder.glob("*.txt"):
        text = path.read_text().replace(" ", "  ").replace("\n", " \r\n")
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert_same_files(folder, folders["folder and txt"])


def test_only_the_whole_of_celeb_a_passes_for_it(
    copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied("folder and txt")
    (folder / "sizes.json").unlink()
    assert OFFICIAL_SIZES == {"train": 162770, "validation": 19867, "test": 19962}
    with pytest.raises(ValueError, match=r"11 train, 4 validation, 3 test images, and CelebA has 162770 train"):
        data.load("celeb_a", data_dir=folder)
    monkeypatch.setattr("data.celeb_a_files.OFFICIAL_SIZES", SIZES)
    files = data.load("celeb_a", data_dir=folder)
    assert not files.synthetic
    assert [files.size(split) for split in SIZES] == list(SIZES.values())


def test_nothing_there_says_which_files_are_read(tmp_path: Path) -> None:
    with pytest.raises(data.DataUnavailable, match=r"img_align_celeba \(or \.zip\) and the lists"):
        data.load("celeb_a", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("folder and txt", "list_attr_celeba.txt"),
        ("folder and txt", "list_landmarks_align_celeba.txt"),
        ("folder and csv", "list_eval_partition.csv"),
        ("zip and csv", f"{IMAGES}.zip"),
    ],
)
def test_missing_file_is_named(copied: Callable[[str], Path], form: str, name: str) -> None:
    folder = copied(form)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=rf"copy lacks .*{Path(name).stem}") as error:
        data.load("celeb_a", data_dir=folder)
    assert "\n" not in str(error.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def html(path: Path) -> None:
    path.write_text("\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head></html>")


def without_last(path: Path) -> None:
    rewrite(path, lambda lines: lines[:-1])


def without_last_and_count(path: Path) -> None:
    rewrite(path, lambda lines: [str(int(lines[0]) - 1), *lines[1:-1]])


def replaced(old: str, new: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def swapped(path: Path) -> None:
    rewrite(path, lambda lines: [*lines[:-2], lines[-1], lines[-2]])


def binary(path: Path) -> None:
    path.write_bytes(b"\x1f\x8b\xff\xfe" * 10)


@pytest.mark.parametrize(
    ("form", "name", "damage", "reason"),
    [
        ("zip and txt", f"{IMAGES}.zip", html, r"is an HTML page, not a zip file: .*quota"),
        ("zip and txt", f"{IMAGES}.zip", cut, r"is not a whole zip file .*Download it again"),
        ("zip and txt", "list_attr_celeba.txt", html, r"is an HTML page, not a txt file"),
        ("zip and csv", "list_eval_partition.csv", html, r"is an HTML page, not a csv file"),
        ("zip and txt", "list_attr_celeba.txt", binary, r"is not a text file"),
        ("zip and txt", "list_attr_celeba.txt", without_last, r"declares '18' images in its first line and lists 17"),
        ("zip and txt", "list_attr_celeba.txt", without_last_and_count, r"landmarks_.*lists 18 .*_attr_.* 17"),
        ("zip and csv", "list_landmarks_align_celeba.csv", without_last, r"lists 17 images, and list_attr.*18"),
        ("zip and txt", "list_eval_partition.txt", without_last, r"lists 17 images, and list_attr.*18"),
        ("zip and txt", "list_eval_partition.txt", swapped, r"names 000018.jpg as image 17, and list_attr.*000017.jpg"),
        ("zip and csv", "list_attr_celeba.csv", replaced("Smiling", "Grinning"), r"40 columns of CelebA.*'Grinning'"),
        ("zip and csv", "list_attr_celeba.csv", replaced("000002.jpg", "000001.jpg"), r"names an image twice"),
        ("zip and csv", "list_attr_celeba.csv", replaced("-1", "0"), r"has 0 for 000001.jpg; allowed are \[-1, 1\]"),
        ("zip and csv", "list_attr_celeba.csv", replaced("-1", "x"), r"'x' to int32 at row 0"),
        ("zip and csv", "list_attr_celeba.csv", replaced("-1,", ""), r"requires 41 columns but 40 were found at row 1"),
        ("zip and txt", "list_eval_partition.txt", replaced(" 2", " 3"), r"has 3 for 000016.jpg; allowed are \[0, 1"),
        ("zip and txt", "list_eval_partition.txt", replaced(" 2", " 1"), r"11 train, 5 validation, 2 test.*sizes.json"),
        ("zip and csv", "list_eval_partition.csv", replaced("000018", "../../18"), r"names ../../18.jpg as image 18"),
        ("zip and txt", "list_eval_partition.txt", lambda path: path.write_text(""), r"lists no images"),
        ("zip and txt", "list_attr_celeba.txt", lambda path: path.write_text(""), r"declares '' images"),
        ("zip and csv", "list_attr_celeba.csv", lambda path: path.write_text(""), r"40 columns"),
        ("zip and txt", "sizes.json", cut, r"sizes.json should be like .*Received"),
        ("zip and txt", "sizes.json", replaced("11", "0"), r"sizes.json should be like .*Received"),
        ("folder and txt", f"{IMAGES}/000007.jpg", Path.unlink, r"lacks 1 of the 18 images listed, the first 000007"),
    ],
)
def test_damage_is_said_in_one_line(
    copied: Callable[[str], Path], form: str, name: str, damage: Callable[[Path], None], reason: str
) -> None:
    folder = copied(form)
    damage(folder / name)
    with pytest.raises(ValueError, match=reason) as error:
        data.load("celeb_a", data_dir=folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_broken_jpeg_is_named(copied: Callable[[str], Path]) -> None:
    folder = copied("folder and txt")
    cut(folder / IMAGES / "000003.jpg")
    files = data.load("celeb_a", tasks=["Bald"], data_dir=folder)
    with pytest.raises(ValueError, match=r"Dataset celeb_a, split train: .*JPEG.* \(example 000003.jpg\)"):
        files.batches("train", 4)


def test_image_removed_meanwhile_is_named(copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied("folder and txt")
    files = data.load("celeb_a", tasks=["Bald"], data_dir=folder)
    (folder / IMAGES / "000017.jpg").unlink()
    monkeypatch.setattr("data.pipeline.MEMORY_LIMIT", 0)
    with pytest.raises(tf.errors.OpError) as error:
        list(files.batches("test", 4))
    assert "split test" in data.explain(error.value)
    assert "000017.jpg" in data.explain(error.value)


def test_damaged_member_of_the_zip_is_named(copied: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied("zip and txt")
    path = folder / f"{IMAGES}.zip"
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(f"{IMAGES}/000004.jpg").header_offset
    content = bytearray(path.read_bytes())
    content[start + 100 : start + 200] = bytes(100)
    path.write_bytes(content)
    files = data.load("celeb_a", tasks=["Bald"], data_dir=folder)
    with pytest.raises(ValueError, match=r"split train: .*\.zip is damaged.*000004\.jpg.*\(example 000004.jpg\)"):
        files.batches("train", 4)
    monkeypatch.setattr("data.pipeline.MEMORY_LIMIT", 0)
    with pytest.raises(tf.errors.OpError) as error:
        list(files.batches("train", 4))
    explained = data.explain(error.value)
    assert "Dataset celeb_a, split train" in explained
    assert "000004.jpg" in explained
    assert "\n" not in explained
