"""Folders of .npy files: splits, values, classes, names and one-line errors."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import data
from data.dense.arrays import ArraySource
from data.dense.dataset import DenseDataset
from data.dense.npy import NpySource
from data.source import DataUnavailable
from data.synthetic.rooms import ROOM_CLASSES
from data.synthetic.streets import STREET_CLASSES
from data.tfds_reader import DRAWN
from tests.data.dense.examples import CLASSES, TASKS, examples, write_npy

TRAIN, VAL = 21, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without a test split."""
    return write_npy(tmp_path_factory.mktemp("rooms"), {"train": examples(TRAIN, 0), "val": examples(VAL, 1)})


@pytest.fixture
def changeable(folder: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(folder, tmp_path / "rooms"))


def taken(dataset: data.AnyDataset, split: str = "train", **how: Any) -> list[dict[str, np.ndarray]]:
    batches = itertools.islice(dataset.batches(split, 4, **how), 12)
    return [{"image": images.numpy(), **{k: v.numpy() for k, v in labels.items()}} for images, labels in batches]


def assert_same(ones: list[dict[str, np.ndarray]], others: list[dict[str, np.ndarray]]) -> None:
    for one, other in zip(ones, others, strict=True):
        assert list(one) == list(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("cache", ["none", "memory", "disk"])
def test_files_give_the_batches_of_the_arrays_in_them(folder: Path, cache: str) -> None:
    dataset = data.load(f"npy:{folder}", cache=cache)
    images, labels = examples(TRAIN, 0)
    parts = {
        split: (images[rows], {name: values[rows] for name, values in labels.items()})
        for split, rows in {"train": slice(0, 19), "validation": slice(19, 21)}.items()
    }
    arrays = DenseDataset("arrays", ArraySource({**parts, "test": examples(VAL, 1)}, TASKS), TASKS)
    assert isinstance(dataset, DenseDataset)
    assert dataset.tasks.names == TASKS.names
    assert dataset.tasks["segmentation"].shape == (8, 12, CLASSES)
    for split in ("train", "validation", "test"):
        assert_same(taken(dataset, split), taken(arrays, split))
    assert_same(taken(dataset, shuffle=True, seed=2), taken(arrays, shuffle=True, seed=2))
    assert dataset.label_counts() == dict.fromkeys(TASKS, 19)


def test_without_a_test_folder_the_last_tenth_of_train_is_for_validation(folder: Path) -> None:
    dataset = data.load(f"npy:{folder}")
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [19, 2, 4]
    assert dataset.example_names("validation") == ["train/image/19.npy", "train/image/20.npy"]
    assert dataset.example_names("test") == [f"val/image/{number}.npy" for number in range(VAL)]


def test_with_a_test_folder_the_splits_are_the_folders(changeable: Path) -> None:
    write_npy(changeable, {"test": examples(3, 2)})
    dataset = data.load(f"npy:{changeable}")
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [21, 4, 3]
    assert dataset.example_names("validation") == [f"val/image/{number}.npy" for number in range(VAL)]
    assert dataset.missing_labels("test") == dict.fromkeys(TASKS, 0)


def test_values_may_be_stored_in_other_types(tmp_path: Path) -> None:
    images, labels = examples(3)
    stored = {
        "segmentation": labels["segmentation"].astype(np.float64),
        "depth": labels["depth"][..., 0].astype(np.float64),
        "normals": np.asfortranarray(labels["normals"]),
    }
    splits = {"train": (images.astype(np.float64) * 1.0005, stored), "val": (images.astype(np.float64), stored)}
    source = NpySource(write_npy(tmp_path / "floats", splits))
    found, read = source.read("test", np.array([1]), source.tasks)
    assert (str(found.dtype), source.kind) == ("float32", "float")
    np.testing.assert_array_equal(found, images[1:2])
    for name, values in labels.items():
        assert read[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], values[1:2])
    assert source.read("train", np.arange(2), source.tasks)[0].max() <= 1
    bytes_ = (images * 255).astype(np.uint8)
    source = NpySource(write_npy(tmp_path / "bytes", {"train": (bytes_, labels), "val": (bytes_, labels)}))
    assert source.kind == "uint8"
    np.testing.assert_array_equal(source.read("test", np.array([2]), source.tasks)[0], bytes_[2:])


def test_tasks_are_chosen_and_others_are_not_opened(changeable: Path) -> None:
    shutil.rmtree(changeable / "val" / "normal")
    dataset = data.load(f"npy:{changeable}", tasks=["depth", "segmentation"])
    assert list(taken(dataset)[0]) == ["image", "depth", "segmentation"]
    with pytest.raises(
        ValueError, match=r"Unknown task of .*Received: 'edges'\. Choices: depth, normals, segmentation"
    ):
        data.load(f"npy:{changeable}", tasks=["edges"])
    with pytest.raises(ValueError, match=r"There is no folder .*val/normal, the labels of 'normals'"):
        data.load(f"npy:{changeable}")


@pytest.mark.parametrize(
    ("folders", "chosen"), [(["label_2", "label_7", "label_19"], "label_7"), (["label_7", "label"], "label")]
)
def test_one_of_several_folders_of_classes_is_read(tmp_path: Path, folders: list[str], chosen: str) -> None:
    for name in folders:
        images, labels = examples(3)
        classes = {"segmentation": labels["segmentation"] if name == chosen else labels["segmentation"] * 0}
        write_npy(tmp_path / name, {"train": (images, classes), "val": (images, classes)}, {"segmentation": name})
        for split in ("train", "val"):
            shutil.copytree(tmp_path / name / split, tmp_path / "all" / split, dirs_exist_ok=True)
    source = NpySource(tmp_path / "all")
    assert source.tasks.names == ("segmentation",)
    assert source.tasks["segmentation"].shape[-1] == CLASSES


@pytest.mark.parametrize(
    ("classes", "labels"), [(7, ()), (("a", "b", "c", "d", "e", "f"), ("a", "b", "c", "d", "e", "f"))]
)
def test_classes_may_be_given(folder: Path, classes: Any, labels: tuple[str, ...]) -> None:
    task = NpySource(folder, classes=classes).tasks["segmentation"]
    assert task.shape[-1] == (classes if isinstance(classes, int) else len(classes))
    assert task.labels == labels


def saved(path: str, value: Any) -> Callable[[Path], None]:
    return lambda root: np.save(root / path, value)


def edited(path: str, value: Any, where: Any = (0, 0)) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        array = np.load(root / path)
        array[where] = value
        np.save(root / path, array)

    return edit


def cut(root: Path) -> None:
    path = root / "val/depth/2.npy"
    path.write_bytes(path.read_bytes()[:-8])


def folder_instead(root: Path) -> None:
    (root / "val/depth/2.npy").unlink()
    (root / "val/depth/2.npy").mkdir()


def without_labels(root: Path) -> None:
    for name in ("label", "depth", "normal"):
        shutil.rmtree(root / "train" / name)


AT_OPENING: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no such folder": (shutil.rmtree, r"There is no folder .*rooms$"),
    "no val": (lambda root: shutil.rmtree(root / "val"), r"There is no folder .*val/image: the files should be "),
    "no labels": (without_labels, r"train has no folder of labels: label, depth or normal"),
    "missing file": (
        lambda root: (root / "train/depth/3.npy").unlink(),
        r"There is no .*train/depth/3\.npy, although .*train/image/3\.npy exists",
    ),
    "missing last file": (
        lambda root: (root / "val/image/3.npy").unlink(),
        r"no .*val/image/3\.npy, although .*label/3",
    ),
    "other names": (
        lambda root: (root / "val/depth/3.npy").rename(root / "val/depth/03.npy"),
        r"Files must be named 0\.npy, 1\.npy and so on\. Received: .*val/depth/03\.npy",
    ),
    "channels first": (
        saved("train/image/0.npy", np.zeros((3, 8, 12))),
        r"train/image/0\.npy: an image must be \(height, width, channels\)\. Received: \(3, 8, 12\): save it with the "
        r"channels last, `array\.transpose\(1, 2, 0\)`",
    ),
    "another size": (
        saved("val/image/1.npy", np.zeros((8, 14, 3))),
        r"val/image/1\.npy: all images must be float \(8, 12, 3\), as the first\. Received: float64 \(8, 14, 3\)",
    ),
    "integers as image": (saved("train/image/4.npy", np.zeros((8, 12, 3), int)), r"4\.npy: images must be uint8, or"),
    "depth of another size": (
        saved("train/depth/5.npy", np.zeros((4, 6))),
        r"train/depth/5\.npy: labels of depth must be \(8, 12\), the size of the images\. Received: \(4, 6\)",
    ),
    "normals first": (
        saved("train/normal/5.npy", np.zeros((3, 8, 12))),
        r"normal/5\.npy: labels of normals must be \(8, 12, 3\), .* Received: \(3, 8, 12\): save it with",
    ),
    "classes one-hot": (saved("train/label/5.npy", np.zeros((8, 12, 5))), r"label/5\.npy: labels of segmentation must"),
    "text": (
        saved("train/label/5.npy", np.full((8, 12), "a")),
        r"label/5\.npy: labels of segmentation must be numbers",
    ),
    "integer normals": (saved("val/normal/0.npy", np.zeros((8, 12, 3), int)), r"labels of normals must be numbers"),
    "no npy": (
        lambda root: (root / "val/depth/2.npy").write_bytes(b"text"),
        r"Cannot read .*2\.npy: it is no \.npy file\.",
    ),
    "objects": (saved("val/depth/2.npy", np.array([{}])), r"Cannot read .*2\.npy: it is no \.npy file of numbers"),
    "cut": (cut, r"Cannot read .*val/depth/2\.npy: it has \d+ bytes of \d+\."),
    "a folder": (
        folder_instead,
        r"Cannot read .*val/depth/2\.npy: Is a directory",
    ),
    "255": (edited("train/label/7.npy", 255), r"label/7\.npy: pixels without a class must be -1\. Received: 255"),
}


@pytest.mark.parametrize("bad", AT_OPENING)
def test_bad_files_are_found_at_opening(changeable: Path, bad: str) -> None:
    change, message = AT_OPENING[bad]
    change(changeable)
    with pytest.raises(ValueError, match=message) as error:
        data.load(f"npy:{changeable}")
    assert "\n" not in str(error.value)


WHEN_READ: dict[str, tuple[Callable[[Path], Any], str]] = {
    "NaN depth": (edited("train/depth/7.npy", np.nan), r"depth/7\.npy: labels must be finite.* Received: NaN"),
    "infinite depth": (
        edited("train/depth/7.npy", np.inf),
        r"depth/7\.npy: labels must be finite.* Received: infinity",
    ),
    "NaN normals": (edited("train/normal/7.npy", np.nan), r"normal/7\.npy: labels must be finite.* Received: NaN"),
    "class out of range": (edited("train/label/7.npy", -2), r"label/7\.npy: classes are from 0 to 4, .*Received: -2"),
    "part of a class": (
        saved("train/label/7.npy", np.full((8, 12), 0.5)),
        r"label/7\.npy: classes must be whole numbers\. Received: 0\.5",
    ),
    "image of 0 to 255": (saved("train/image/7.npy", np.full((8, 12, 3), 255.0)), r"image/7\.npy: images .* from 255"),
    "NaN image": (edited("train/image/7.npy", np.nan), r"image/7\.npy: images must be .*Received: NaN"),
}


@pytest.mark.parametrize("cache", ["none", "memory"])
@pytest.mark.parametrize("bad", WHEN_READ)
def test_bad_values_are_found_when_they_are_read(changeable: Path, bad: str, cache: str) -> None:
    change, message = WHEN_READ[bad]
    change(changeable)
    dataset = data.load(f"npy:{changeable}", cache=cache)
    with pytest.raises((ValueError, tf.errors.OpError)) as error:
        taken(dataset)
    text = data.explain(error.value) if isinstance(error.value, tf.errors.OpError) else str(error.value)
    assert text.startswith("Dataset rooms, split train: ")
    assert "\n" not in text
    with pytest.raises(ValueError, match=message):
        raise ValueError(text)


def test_classes_of_the_test_split_must_be_those_of_training(changeable: Path) -> None:
    edited("val/label/1.npy", CLASSES)(changeable)
    dataset = data.load(f"npy:{changeable}", cache="memory")
    with pytest.raises(ValueError, match=r"split test: .*val/label/1\.npy: classes are from 0 to 4.* Received: 5"):
        taken(dataset, "test")


def test_bad_files_can_be_skipped(changeable: Path) -> None:
    for bad in ("missing file", "channels first", "cut", "text"):
        AT_OPENING[bad][0](changeable)
    WHEN_READ["NaN depth"][0](changeable)
    (changeable / "train/label/12.npy").unlink()
    dataset = data.load(f"npy:{changeable}", on_bad_example="skip")
    left_out = (0, 3, 5, 7, 12)
    assert dataset.skipped("train") == data.Skipped(5, tuple(f"train/image/{number}.npy" for number in left_out))
    assert dataset.skipped("test") == data.Skipped(1, ("val/image/2.npy",))
    stored = [number for number in range(19) if number not in left_out]
    found = np.concatenate([batch["depth"] for batch in taken(dataset)])
    np.testing.assert_array_equal(found, examples(TRAIN, 0)[1]["depth"][stored])


def test_the_name_is_that_of_the_folder_wherever_it_moved(changeable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(changeable.parent)
    assert data.names_files("npy:rooms")
    name = data.absolute_name("npy:rooms")
    assert name == f"npy:{changeable}"
    changeable.rename(changeable.parent / "moved")
    dataset = data.load(name, data_dir="moved")
    assert dataset.name == "rooms"
    assert data.decoder(name, dataset.image_shape)(tf.io.encode_png(np.zeros((4, 4, 3), np.uint8))).shape == (8, 12, 3)
    with pytest.raises(ValueError, match=r"There is no folder .*rooms"):
        data.load(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"types": {"depth": "depth"}}, "`types` is for csv:PATH and folder:PATH. Received: 'npy:"),
        ({"image_size": (4, 4)}, "`image_size` is for csv:PATH and folder:PATH"),
        ({"features": ["a"]}, "`features` is for csv:PATH"),
        ({"image_column": "a"}, "`image_column` is for csv:PATH"),
        ({"synthetic": True}, "has no synthetic look-alike"),
        ({"cache": "ram"}, "Unknown cache"),
        ({"on_bad_example": "ignore"}, "Unknown value of on_bad_example"),
        ({"color_jitter": -1}, "color_jitter must be from 0 to 1"),
    ],
)
def test_options_that_do_not_apply_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.load(f"npy:{folder}", **options)


def test_too_few_examples_for_a_validation_split_are_refused(tmp_path: Path) -> None:
    write_npy(tmp_path, {"train": examples(1), "val": examples(1)})
    with pytest.raises(ValueError, match=r"train needs at least 2 examples, .* Received: 1"):
        NpySource(tmp_path)
    for path in (tmp_path / "val").glob("*/0.npy"):
        path.unlink()
    with pytest.raises(ValueError, match=r"There are no \.npy files in .*val/image"):
        NpySource(tmp_path)


@pytest.mark.parametrize(("name", "classes"), [("nyuv2", 13), ("cityscapes", 7)])
def test_known_datasets_have_names_of_classes(folder: Path, tmp_path: Path, name: str, classes: int) -> None:
    tasks = data.available_tasks(name)
    (tmp_path / name).symlink_to(folder)
    for place in (tmp_path, folder):
        dataset = data.load(name, data_dir=place)
        assert isinstance(dataset, DenseDataset)
        assert dataset.name == name
        assert dataset.tasks.names == tasks.names
        assert len(dataset.tasks["segmentation"].labels) == classes
        assert dataset.source.inverse_depth == (("depth",) if name == "cityscapes" else ())
    assert data.load(name, data_dir=folder, tasks=["depth"]).tasks.names == ("depth",)
    assert data.decoder(name, (8, 12, 3))(tf.io.encode_png(np.zeros((4, 4, 3), np.uint8))).shape == (8, 12, 3)
    with pytest.raises(ValueError, match=r"Unknown task\..*Received: 'normal'"):
        data.load(name, data_dir=folder, tasks=["normal"])


def test_missing_datasets_name_their_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DataUnavailable, match="Found no nyuv2") as error:
        data.load("nyuv2")
    assert all(
        part in str(error.value) for part in (str(tmp_path), "github.com/lorenmt/mtan", "--data_dir", "--synthetic")
    )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "classes"), [("nyuv2", ROOM_CLASSES), ("cityscapes", STREET_CLASSES)])
def test_drawn_datasets_have_the_labels_of_real_ones(tmp_path: Path, name: str, classes: tuple[str, ...]) -> None:
    dataset = data.load(name, synthetic=True, sizes=3, seed=1, image_size=(16, 24), data_dir=tmp_path)
    assert dataset.tasks["segmentation"].labels == classes
    assert dataset.tasks.names == data.available_tasks(name).names
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [2, 1, 3]
    (image, labels), *_ = dataset.batches("train", 2)
    assert image.shape == (2, 16, 24, 3)
    assert float(tf.reduce_max(labels["depth"])) > 0
    assert dataset.description()["synthetic"]


def test_drawn_files_are_marked(changeable: Path) -> None:
    assert not data.load(f"npy:{changeable}").description()["synthetic"]
    (changeable / DRAWN).touch()
    assert data.load("nyuv2", data_dir=changeable).description()["synthetic"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nyuv2", {"sizes": 3}, "`sizes` of nyuv2 is for synthetic=True. Received: sizes=3"),
        ("nyuv2", {"image_size": (96, 128)}, "`image_size` of nyuv2 is for synthetic=True"),
        ("nyuv2", {"types": {"depth": "depth"}}, "`types` and `image_size` are for csv:PATH and folder:PATH"),
        ("nyuv2", {"features": ["a"]}, "`features` and `feature_types` are for csv:PATH"),
        ("nyuv3", {}, "Unknown dataset. Did you mean 'nyuv2'"),
        (
            "fashion_mnist",
            {"color_jitter": 0.2},
            "`color_jitter` is for datasets with labels of pixels: cityscapes, nyuv2",
        ),
    ],
)
def test_options_of_other_datasets_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.load(name, **options)
