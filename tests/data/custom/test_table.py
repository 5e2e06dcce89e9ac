"""One's own images: from the rows of a CSV file, or the folders of a folder, to batches."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from data.custom.files import list_folder
from tests import stripes

COUNT = 60
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stripes.draw(tmp_path_factory.mktemp("own") / "my images", COUNT)


def write(file: Path, columns: dict[str, list[str]], separator: str = ",") -> Path:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values()))
    return file


def sizes(dataset: data.Dataset) -> list[int]:
    return [dataset.size(split) for split in SPLITS]


def images_of(dataset: data.Dataset, split: str) -> list[str]:
    """Returns the names of the images of a split, in their order, as they stand in the file."""
    return dataset.example_names(split) or []


def everything(dataset: data.Dataset, split: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    (images, labels), *more = dataset.batches(split, dataset.size(split)).as_numpy_iterator()
    assert not more
    return images, labels


def test_images_and_labels_are_those_of_the_file(table: Path) -> None:
    dataset = data.from_csv(table)
    assert {name: (task.head, task.labels) for name, task in dataset.tasks.items()} == {
        "kind": ("classification", stripes.KINDS),
        "red": ("binary", ("no", "yes")),
        "bright": ("binary", ("no", "yes")),
        "contrast": ("regression", ()),
    }
    assert (dataset.name, dataset.image_shape, sizes(dataset)) == ("labels", (16, 16, 3), [48, 6, 6])
    with table.open(encoding="utf-8", newline="") as lines:
        rows = {row["image"]: row for row in csv.DictReader(lines)}
    assert sorted(name for split in SPLITS for name in images_of(dataset, split)) == sorted(rows)
    for split in ("train", "test"):
        images, labels = everything(dataset, split)
        for number, name in enumerate(images_of(dataset, split)):
            row = rows[name]
            np.testing.assert_array_equal(np.round(images[number] * 255), np.asarray(Image.open(table.parent / name)))
            assert stripes.KINDS[labels["kind"][number]] == row["kind"]
            assert labels["contrast"][number] == pytest.approx([float(row["contrast"])])
            for task, words in (("red", {"no": 0, "yes": 1}), ("bright", {"0": 0, "1": 1})):
                np.testing.assert_equal(labels[task][number], np.float32(words.get(row[task], np.nan)))
    train = [rows[name] for name in images_of(dataset, "train")]
    assert dataset.label_counts() == {
        "kind": 48,
        "red": sum(row["red"] == "yes" for row in train),
        "bright": sum(row["bright"] == "1" for row in train),
        "contrast": 48,
    }


def test_any_form_of_file(table: Path, tmp_path: Path) -> None:
    names = [str(table.parent / f"images/{number:03}.png") for number in range(20)]
    split = [*["train"] * 16, *["Val", "test"] * 2]
    columns = {"": ["7"] * 20, "x": ["a, b", 'c "d"'] * 10, "File": names, "split": split}
    for number, separator in enumerate(",;\t"):
        file = write(tmp_path / f"{number}.csv", columns, separator)
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes() + b"\r\n  \r\n")
        dataset = data.from_csv(file)
        assert dataset.tasks["x"].labels == ("a, b", 'c "d"')
        assert sizes(dataset) == [16, 2, 2]
        assert images_of(dataset, "validation") == [names[16], names[18]]


def test_rows_of_an_image_stay_together(table: Path) -> None:
    names = [f"images/{number % 20:03}.png" for number in range(COUNT)]
    dataset = data.from_csv(write(table.parent / "thrice.csv", {"image": names, "x": ["a", "b"] * 30}))
    train, validation, test = (set(images_of(dataset, split)) for split in SPLITS)
    assert sizes(dataset) == [48, 6, 6]
    assert (len(train), len(validation), len(test), len(train | validation | test)) == (16, 2, 2, 20)


def test_the_files_may_be_moved(table: Path, tmp_path: Path) -> None:
    expected = {split: images_of(data.from_csv(table), split) for split in SPLITS}
    shutil.copytree(table.parent, tmp_path / "moved")
    for name in (f"csv:{table}", "csv:/nowhere/labels.csv"):
        moved = data.load(name, data_dir=tmp_path / "moved")
        assert {split: images_of(moved, split) for split in SPLITS} == expected
        assert moved._reader.paths["test"][0] == str(tmp_path / "moved" / expected["test"][0])
    with pytest.raises(ValueError, match=r"data_dir is a folder.*Received: data_dir='.*none'"):
        data.load(f"csv:{table}", data_dir=tmp_path / "none")


def test_images_of_other_sizes_and_in_grey(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        pixels = rng.integers(0, 256, (200, 150 + number), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{number:03}.jpg")
    names = [f"images/{number:03}.jpg" for number in range(8)]
    file = write(tmp_path / "labels.csv", {"image": names, "x": ["a", "b"] * 4})
    assert data.from_csv(file).image_shape == (128, 128, 1)
    small = data.from_csv(file, image_size=(12, 10))
    assert small.description()["image_shape"] == [12, 10, 1]
    images, _ = everything(small, "test")
    encoded = (tmp_path / images_of(small, "test")[0]).read_bytes()
    np.testing.assert_array_equal(images[0], small.decode(tf.constant(encoded)))


def test_a_damaged_image_is_named_or_skipped(table: Path, tmp_path: Path) -> None:
    shutil.copytree(table.parent, tmp_path / "own")
    file = tmp_path / "own/labels.csv"
    damaged, missing, *_ = images_of(data.from_csv(file), "test")
    line = int(damaged[-7:-4]) + 2
    (file.parent / damaged).write_bytes(b"no image")
    with pytest.raises(ValueError, match=rf"split test: .*labels\.csv, line {line}: {damaged}\)"):
        data.from_csv(file).batches("test", 8)
    (file.parent / missing).unlink()
    dataset = data.from_csv(file, on_bad_example="skip")
    assert dataset.size("test") == 4
    assert dataset.skipped("test").names[0] == f"{file}, line {line}: {damaged}"


def test_kept_images_are_those_of_files_that_have_not_changed(table: Path, tmp_path: Path) -> None:
    shutil.copytree(table.parent, tmp_path / "own")
    dataset = data.from_csv(tmp_path / "own/labels.csv")
    before = {split: dataset._reader.fingerprint(split) for split in SPLITS}
    assert len(set(before.values())) == 3
    Image.new("RGB", (16, 16)).save(tmp_path / "own" / images_of(dataset, "test")[0])
    assert [dataset._reader.fingerprint(split) == before[split] for split in SPLITS] == [True, True, False]


@pytest.mark.parametrize("split", [False, True], ids=["drawn", "said"])
def test_a_folder_of_folders(table: Path, tmp_path: Path, split: bool) -> None:
    images = sorted((table.parent / "images").iterdir())
    for number, image in enumerate(images[:40]):
        part = ("train", "val", "test", "train")[number // 10] if split else ""
        place = tmp_path / "pets" / part / ("cat", "dog")[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, place)
    (place / "notes.txt").write_text("no image")
    listed = list_folder(tmp_path / "pets").columns
    assert [Path(image).parent.name for image in listed["image"]] == list(listed["class"])
    with pytest.raises(ValueError, match=r"Unknown option\. Did you mean 'image_size'"):
        data.from_folder(tmp_path / "pets", image_sise=(8, 8))
    dataset = data.load(f"folder:{tmp_path}/pets", image_size=(8, 8))
    assert (dataset.name, dataset.image_shape) == ("pets", (8, 8, 3))
    assert dataset.tasks["class"].labels == ("cat", "dog")
    assert sizes(dataset) == ([20, 10, 10] if split else [32, 4, 4])


def test_names_and_settings_that_do_not_go_together(table: Path) -> None:
    with pytest.raises(ValueError, match="has no synthetic look-alike"):
        data.load(f"csv:{table}", synthetic=True)
    with pytest.raises(ValueError, match="`types` and `image_size` are for csv:PATH and folder:PATH"):
        data.load("fashion_mnist", types={"item": "binary"})
    assert data.absolute_name("csv:a.csv") == f"csv:{Path.cwd()}/a.csv"
    assert data.absolute_name("cifar10") == "cifar10"
