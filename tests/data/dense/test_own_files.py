"""Your own files with labels for every pixel: from a CSV file or folders to batches."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import data
from experiments.run_flags import specifications
from tests.data.dense import pixel_files as files

MILLIMETRES = "column 'depth' has depths up to"
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{MILLIMETRES}:UserWarning")

SUFFIXES = {
    "image": ".png",
    "classes": ".png",
    "mask": ".png",
    "depth": ".png",
    "normals": ".npy",
    "heat": ".npy",
}
SPLITS = ["train"] * 6 + ["val"] * 2 + ["test"] * 2


@pytest.fixture(scope="module")
def drawn() -> files.Drawn:
    return files.draw()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, drawn: files.Drawn) -> Path:
    """A folder with all files, and `labels.csv`."""
    folder = tmp_path_factory.mktemp("pixels")
    names = files.save_all(folder, drawn, SUFFIXES)
    files.write_table(folder / "labels.csv", {**names, "split": SPLITS})
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that the test may change."""
    return shutil.copytree(made, tmp_path / "copy")


def table(folder: Path, kind: str = "classes", /, **columns: list[str]) -> Path:
    """Writes a table with the images and one kind of label, or other columns."""
    names = {name: [f"{name}/{number}{SUFFIXES[name]}" for number in range(files.COUNT)] for name in ("image", kind)}
    return files.write_table(folder / "table.csv", {**names, **columns, "split": SPLITS})


def whole(dataset: data.AnyDataset, split: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    ((images, labels),) = dataset.batches(split, dataset.size(split)).as_numpy_iterator()
    return images, labels


def read_all(file: Path, **options: object) -> dict[str, np.ndarray]:
    """Returns the labels of the training split."""
    return whole(data.from_csv(file, **options), "train")[1]  # type: ignore[arg-type]


def test_columns_of_files_become_dense_tasks(made: Path, drawn: files.Drawn) -> None:
    dataset = data.from_csv(made / "labels.csv")
    assert {name: (task.head, task.shape) for name, task in dataset.tasks.items()} == {
        "classes": ("segmentation", (12, 16, 3)),
        "mask": ("mask", (12, 16, 1)),
        "depth": ("depth", (12, 16, 1)),
        "normals": ("normals", (12, 16, 3)),
        "heat": ("dense_regression", (12, 16, 1)),
    }
    assert (dataset.name, dataset.image_shape) == ("labels", (12, 16, 3))
    assert dataset.example_names("test") == ["image/8.png", "image/9.png"]
    images, labels = whole(dataset, "train")
    train = {name: values[:6] for name, values in drawn.items()}
    np.testing.assert_allclose(images, train["image"] / 255, atol=1e-6)
    np.testing.assert_array_equal(
        labels["classes"], np.where(train["classes"] == 255, -1, train["classes"].astype(int))
    )
    np.testing.assert_array_equal(labels["mask"][..., 0], train["mask"] // 255)
    depth = np.where(train["depth"] == 0, np.nan, train["depth"])
    np.testing.assert_array_equal(labels["depth"][..., 0], depth)
    np.testing.assert_allclose(labels["normals"], train["normals"], atol=1e-6)
    np.testing.assert_array_equal(labels["heat"][..., 0], train["heat"])
    assert dataset.description()["images"] == "png"


def test_image_labels_may_stand_beside_labels_of_pixels(folder: Path) -> None:
    kinds = ["a", "b", "", "a", "b", "a", "b", "a", "b", "a"]
    ages = [str(number * 1.5) for number in range(files.COUNT)]
    dataset = data.from_csv(
        table(folder, kind=kinds, wet=list("0101010101"), age=ages), tasks=["wet", "classes", "kind"]
    )
    assert dataset.tasks.names == ("wet", "classes", "kind")
    _, labels = whole(dataset, "train")
    assert labels["kind"].tolist() == [0, 1, -1, 0, 1, 0]
    assert labels["wet"].tolist() == [0, 1, 0, 1, 0, 1]
    assert dataset.missing_labels("train") == {"wet": 0, "classes": 0, "kind": 1}


def test_an_empty_cell_is_an_image_without_labels(folder: Path) -> None:
    for kind, missing in {"classes": -1, "mask": np.nan, "depth": np.nan, "normals": 0, "heat": np.nan}.items():
        cells = [f"{kind}/{number}{SUFFIXES[kind]}" for number in range(files.COUNT)]
        cells[1] = ""
        dataset = data.from_csv(table(folder, kind, **{kind: cells}))
        np.testing.assert_array_equal(whole(dataset, "train")[1][kind][1], missing)
        assert dataset.missing_labels("train") == {kind: 1}
        assert dataset.label_counts() == {kind: 5}


def test_labels_are_resized_to_the_nearest_pixel(made: Path, drawn: files.Drawn) -> None:
    dataset = data.load(f"csv:{made / 'labels.csv'}", image_size=(6, 8), tasks=["depth", "classes"])
    images, labels = whole(dataset, "train")
    assert images.shape == (6, 6, 8, 3)
    expected = np.where(drawn["depth"] == 0, np.nan, drawn["depth"])[:6, 1::2, 1::2]
    np.testing.assert_array_equal(labels["depth"][..., 0], expected)
    encoded = tf.io.read_file(str(made / "image" / "0.png"))
    np.testing.assert_array_equal(dataset.decode(encoded), images[0])


@pytest.mark.parametrize("cache", ["none", "disk"])
def test_caches_give_the_same_batches(made: Path, tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_KERAS_CACHE", str(tmp_path))
    _, expected = whole(data.from_csv(made / "labels.csv"), "test")
    for _ in range(2):
        _, labels = whole(data.from_csv(made / "labels.csv", cache=cache), "test")
        for name, values in expected.items():
            np.testing.assert_array_equal(labels[name], values)


def test_types_have_arguments(folder: Path, drawn: files.Drawn) -> None:
    with pytest.warns(UserWarning, match=f"{MILLIMETRES} .*depth=depth\\(scale=0.001\\)"):
        read_all(table(folder, "depth"))
    metres = read_all(table(folder, "depth"), types={"depth": "depth(scale=0.001)"})["depth"]
    expected = np.where(drawn["depth"] == 0, np.nan, drawn["depth"] / 1000)[:6]
    np.testing.assert_allclose(metres[..., 0], expected, atol=1e-6)
    numbers = read_all(table(folder, "depth"), types={"depth": "dense_regression(scale=0.5)"})["depth"]
    np.testing.assert_array_equal(numbers[..., 0], drawn["depth"][:6] / 2)
    dataset = data.from_csv(table(folder), types={"classes": "segmentation(classes=[road, sky, car, cat], ignore=1)"})
    assert dataset.tasks["classes"].labels == ("road", "sky", "car", "cat")
    with pytest.raises(ValueError, match=r"must be classes from 0 to 3, or 1 where missing. Received: 255"):
        whole(dataset, "train")
    masks = np.array(drawn["mask"])
    masks[:, 0] = 7
    files.save_all(folder, {"mask": masks}, {"mask": ".png"})
    labels = read_all(table(folder, "mask"), types={"mask": "mask(ignore=7)"})["mask"]
    assert np.isnan(labels[:, 0]).all()
    assert set(np.unique(labels[:, 1:])) == {0, 1}


def test_commas_and_equals_signs_in_a_type_do_not_end_it() -> None:
    entries = "mask=segmentation(classes=5, ignore=0),age=regression".split(",")
    assert specifications(entries) == ("mask=segmentation(classes=5, ignore=0)", "age=regression")


def palette(path: Path, values: np.ndarray) -> None:
    image = Image.fromarray(values).convert("P")
    image.putdata(values.ravel().tolist())
    image.save(path)


def grey_as_colours(path: Path, values: np.ndarray) -> None:
    Image.fromarray(np.stack([values] * 3, axis=-1)).save(path)


@pytest.mark.parametrize("write", [palette, grey_as_colours])
def test_classes_in_other_images(folder: Path, drawn: files.Drawn, write: Callable[[Path, np.ndarray], None]) -> None:
    for number, values in enumerate(drawn["classes"]):
        write(folder / "classes" / f"{number}.png", values)
    expected = np.where(drawn["classes"] == 255, -1, drawn["classes"].astype(int))[:6]
    np.testing.assert_array_equal(read_all(table(folder))["classes"], expected)


def test_normals_as_colours(folder: Path, drawn: files.Drawn) -> None:
    colours = np.round((drawn["normals"] + 1) * 127.5).astype(np.uint8)
    files.save_all(folder, {"normals": colours}, {"normals": ".png"})
    cells = [f"normals/{number}.png" for number in range(files.COUNT)]
    labels = read_all(table(folder, "normals", normals=cells))["normals"]
    np.testing.assert_allclose(labels, drawn["normals"][:6], atol=0.02)
    np.testing.assert_array_equal(labels[:, 0, 0], 0)
    lengths = np.linalg.norm(labels, axis=-1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "name", "head"),
    [
        (np.eye(12, 16, dtype=bool), "x", "mask"),
        (np.eye(12, 16), "x", "mask"),
        (np.arange(192).reshape(12, 16) % 4 - 1, "x", "segmentation"),
        (np.linspace(1, 9, 192).reshape(12, 16), "my_depth", "depth"),
        (np.linspace(1, 9, 192).reshape(12, 16), "disparity", "depth"),
        (np.linspace(0, 9, 192).reshape(12, 16, 1), "x", "dense_regression"),
        (np.linspace(0, 9, 384).reshape(12, 16, 2), "x", "dense_regression"),
    ],
)
def test_kinds_of_npy_files(folder: Path, values: np.ndarray, name: str, head: str) -> None:
    cells = files.save_all(folder, {name: np.stack([values] * files.COUNT)}, {name: ".npy"})
    dataset = data.from_csv(table(folder, **cells), tasks=[name])
    assert dataset.tasks[name].head == head
    assert isinstance(dataset, data.DenseDataset)
    assert dataset.source.inverse_depth == (("disparity",) if name == "disparity" else ())
    found = whole(dataset, "test")[1][name][0]
    np.testing.assert_allclose(found, values.reshape(found.shape), atol=1e-6)


def test_folders_of_images_and_labels(made: Path, tmp_path: Path) -> None:
    for split, numbers in {"train": range(6), "val": range(6, 8), "test": range(8, 10)}.items():
        for source, target in {"image": "images", "classes": "Masks", "depth": "depth"}.items():
            (tmp_path / split / target).mkdir(parents=True)
            for number in numbers:
                if (number, target) != (0, "depth"):
                    name = f"{number}{SUFFIXES[source]}"
                    shutil.copy(made / source / name, tmp_path / split / target / name)
    dataset = data.load(f"folder:{tmp_path}")
    assert {name: task.head for name, task in dataset.tasks.items()} == {"Masks": "segmentation", "depth": "depth"}
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [6, 2, 2]
    assert dataset.example_names("test") == ["test/images/8.png", "test/images/9.png"]
    assert dataset.missing_labels("train") == {"Masks": 0, "depth": 1}
    expected = whole(data.from_csv(made / "labels.csv", tasks=["classes"]), "train")[1]["classes"]
    np.testing.assert_array_equal(whole(dataset, "train")[1]["Masks"], expected)


def test_folders_without_splits(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "image", tmp_path / "image")
    shutil.copytree(made / "mask", tmp_path / "label")
    dataset = data.from_folder(tmp_path)
    assert {name: task.head for name, task in dataset.tasks.items()} == {"label": "mask"}
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [8, 1, 1]


def test_a_label_without_an_image_is_refused(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "image", tmp_path / "images")
    shutil.copytree(made / "mask", tmp_path / "masks")
    (tmp_path / "images" / "3.png").unlink()
    with pytest.raises(ValueError, match=r"masks/3\.png has no image of this name in .*images"):
        data.from_folder(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_suffix(".npy"))
    with pytest.raises(ValueError, match=r"images should have images \(.*npy:"):
        data.from_folder(tmp_path)


def test_files_that_are_no_labels_are_left_out(folder: Path, drawn: files.Drawn) -> None:
    photos = [f"photo/{number}.jpg" for number in range(files.COUNT)]
    files.save_all(folder, {"photo": drawn["image"], "other": drawn["image"]}, {"photo": ".jpg", "other": ".png"})
    others, urls = ([f"{place}/{number}.png" for number in range(files.COUNT)] for place in ("other", "https://a.b"))
    file = table(folder, photo=photos, other=others, url=urls)
    with pytest.warns(UserWarning, match="It is left out") as warnings:
        dataset = data.from_csv(file)
    assert len(warnings) == 3
    assert dataset.tasks.names == ("classes",)
    left_out = dataset.description()["left_out"]
    assert "names JPEG files, which do not keep exact values" in left_out["photo"]
    assert "has colours" in left_out["other"]
    assert left_out["url"] == f"none of the files in column 'url' is in {folder}, such as 'https://a.b/0.png'"
    with pytest.raises(ValueError, match="Remove 'photo' from tasks"):
        data.from_csv(file, tasks=["photo"])


def test_bad_files_are_skipped_on_request(folder: Path, drawn: files.Drawn) -> None:
    (folder / "classes" / "0.png").unlink()
    (folder / "classes" / "2.png").write_bytes(b"no image")
    files.save(folder / "classes" / "4.png", drawn["classes"][4, :5])
    dataset = data.from_csv(table(folder), on_bad_example="skip")
    assert dataset.size("train") == 3
    assert dataset.skipped("train").names == ("image/0.png", "image/2.png", "image/4.png")


def spoil(folder: Path, name: str, values: np.ndarray | bytes | None) -> None:
    path = folder / name
    path.unlink()
    if isinstance(values, bytes):
        path.write_bytes(values)
    elif values is not None:
        files.save(path, values)


EYE = np.eye(12, 16, dtype=np.uint8)


@pytest.mark.parametrize(
    ("kind", "name", "values", "message"),
    [
        ("classes", "classes/3.png", None, r"table.csv, line 5: there is no classes 'classes/3.png' in .*copy\.$"),
        ("classes", "classes/3.png", b"x", "line 5: classes 'classes/3.png' cannot be read"),
        ("heat", "heat/3.npy", b"x", "line 5: heat 'heat/3.npy' cannot be read"),
        ("heat", "heat/3.npy", np.zeros(3), r"heat/3.npy' cannot be read \(not numbers .* but float64 \(3,\)\)"),
        ("heat", "heat/3.npy", np.full((12, 16), np.inf), "line 5: heat 'heat/3.npy' must be finite"),
        ("heat", "heat/3.npy", np.ones((12, 16, 2)) * [0.3, 2], "must have 1 channel. Received: 2 channels"),
        (
            "classes",
            "classes/3.png",
            EYE[:5],
            r"line 5: classes 'classes/3.png' must have the size of its image 'image/3.png', 12x16 \(height x width\). "
            "Received: 5x16",
        ),
        (
            "normals",
            "normals/3.npy",
            np.full((12, 16, 3), 3.0),
            "must be vectors of length 1, .* Received: length 5.19",
        ),
        ("image", "image/3.png", b"x", "line 5: image 'image/3.png' cannot be decoded"),
    ],
)
def test_bad_files_are_named(
    folder: Path, kind: str, name: str, values: np.ndarray | bytes | None, message: str
) -> None:
    spoil(folder, name, values)
    types = {"normals": "normals", "heat": "dense_regression(scale=1)"}
    types = {kind: types[kind]} if kind in types and isinstance(values, np.ndarray) and values.ndim > 2 else {}
    with pytest.raises(ValueError, match=message) as error:
        read_all(table(folder, "classes" if kind == "image" else kind), types=types)
    assert "\n" not in str(error.value)


def test_errors_of_files_read_in_each_epoch_are_explained(folder: Path) -> None:
    spoil(folder, "depth/3.png", EYE[:5])
    dataset = data.from_csv(table(folder, "depth"), cache="none")
    with pytest.raises(tf.errors.OpError) as error:
        whole(dataset, "train")
    assert re.fullmatch(
        r"Dataset table, split train: .*line 5: depth 'depth/3.png' must have the size of .* Received: 5x16",
        data.explain(error.value),
    )


def test_a_class_that_was_not_sampled_is_out_of_range(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.custom.pixel_columns._SAMPLED", 2)
    spoil(folder, "classes/3.png", EYE * 9)
    with pytest.raises(
        ValueError,
        match=r"line 5: classes 'classes/3.png' must be classes from 0 to 2, or 255 where missing. Received: 9",
    ):
        read_all(table(folder))


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"classes": "segmentaton"}, "Unknown type of column 'classes'. Did you mean 'segmentation'"),
        ({"classes": "segmentation(clases=3)"}, "Unknown argument of type 'segmentation' of 'classes'. Did you mean"),
        ({"classes": "segmentation(3, 255, 1)"}, "takes each of classes, ignore once"),
        ({"classes": "segmentation(classes=1)"}, "classes must be a finite number from 2"),
        ({"classes": "mask"}, "must be 0 or 1, or 255 where missing. Received: 2"),
        ({"classes": "normals(scale=2)"}, "Type 'normals' of 'classes' takes no arguments"),
        ({"classes": "binary(3)"}, "Type 'binary' of 'classes' takes no arguments"),
        ({"classes": "depth(scale=0)"}, "scale must be above 0"),
        ({"classes": "normals"}, "must be 8-bit colours or floats"),
        ({"clases": "mask"}, "Unknown column in types .*Did you mean 'classes'"),
    ],
)
def test_wrong_types_are_refused(made: Path, types: dict[str, str], message: str) -> None:
    file = made / "labels.csv"
    with pytest.raises(ValueError, match=message):
        read_all(file, types=types, tasks=["classes"])


def test_cells_that_name_no_file_are_refused(folder: Path) -> None:
    cells = [f"classes/{number}.png" for number in range(files.COUNT)]
    with pytest.raises(ValueError, match=r"line 4: classes must name a file \(\.png.*Received: 'sky'"):
        read_all(table(folder, classes=[*cells[:2], "sky", *cells[3:]]))
    with pytest.raises(ValueError, match=r"names no file in the 6 training rows. Remove 'classes' from tasks"):
        read_all(table(folder, classes=[""] * 6 + cells[6:]), tasks=["classes"])


def test_many_integers_are_no_classes(folder: Path) -> None:
    values = np.stack([np.arange(192, dtype=np.uint8).reshape(12, 16)] * files.COUNT)
    cells = files.save_all(folder, {"x": values}, {"x": ".png"})
    with pytest.raises(ValueError, match=r"up to 192 different integers .* --task_types x=segmentation"):
        read_all(table(folder, **cells), tasks=["x"])


def test_classes_with_gaps_are_warned_of(folder: Path, drawn: files.Drawn) -> None:
    files.save_all(
        folder, {"classes": np.where(drawn["classes"] == 255, 0, drawn["classes"] * 20)}, {"classes": ".png"}
    )
    with pytest.warns(UserWarning, match="has 41 classes, of which 3 occur"):
        data.from_csv(table(folder))
