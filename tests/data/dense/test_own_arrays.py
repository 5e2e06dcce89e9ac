"""Arrays with labels for every pixel: `data.from_arrays`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import data
from mtl_keras.tasks import Task
from tests.data.dense import pixel_files as files

SIZE = (12, 16)


@pytest.fixture(scope="module")
def drawn() -> files.Drawn:
    return files.draw()


def everything(dataset: data.AnyDataset) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns the training split, then the validation split and the test split, as arrays."""
    parts = [next(iter(dataset.batches(split, 32).as_numpy_iterator())) for split in ("train", "validation", "test")]
    images, labels = zip(*parts)
    return np.concatenate(images), {name: np.concatenate([part[name] for part in labels]) for name in labels[0]}


def test_kinds_are_inferred_as_those_of_files(drawn: files.Drawn) -> None:
    images = drawn["image"]
    found = {name: values for name, values in drawn.items() if name != "image"}
    dataset = data.from_arrays(images, {**found, "kind": np.arange(10) % 3, "wet": np.arange(10) % 2 == 0})
    assert {name: (task.head, task.shape) for name, task in dataset.tasks.items()} == {
        "classes": ("segmentation", (*SIZE, 3)),
        "mask": ("mask", (*SIZE, 1)),
        "depth": ("depth", (*SIZE, 1)),
        "normals": ("normals", (*SIZE, 3)),
        "heat": ("dense_regression", (*SIZE, 1)),
        "kind": ("classification", (3,)),
        "wet": ("binary", (1,)),
    }
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [8, 1, 1]
    pixels, values = everything(dataset)
    order = [int(np.argmin(np.abs(images / 255 - one).sum(axis=(1, 2, 3)))) for one in pixels]
    assert sorted(order) == list(range(10))
    np.testing.assert_array_equal(values["heat"][..., 0], drawn["heat"][order])
    np.testing.assert_array_equal(values["mask"][..., 0], drawn["mask"][order] // 255)
    np.testing.assert_array_equal(values["kind"], np.array(order) % 3)
    np.testing.assert_array_equal(values["classes"] == -1, drawn["classes"][order] == 255)


def test_given_tasks_keep_their_invalid_value(drawn: files.Drawn) -> None:
    tasks = [
        Task.segmentation("classes", ["road", "sky", "car"], ignore=255),
        Task.depth("depth", invalid=None),
        Task.reconstruction("picture", (*SIZE, 3)),
        "mask",
    ]
    wanted = {name: drawn[name] for name in ("classes", "depth", "mask")}
    others = drawn["image"][:2], {name: values[:2] for name, values in wanted.items()}
    dataset = data.from_arrays(drawn["image"], wanted, tasks, splits={"validation": 0.2, "test": others})
    assert dataset.tasks.names == ("classes", "depth", "picture", "mask")
    images, labels = next(iter(dataset.batches("test", 2)))
    np.testing.assert_array_equal(labels["classes"], drawn["classes"][:2])
    np.testing.assert_array_equal(labels["depth"][..., 0], drawn["depth"][:2])
    np.testing.assert_array_equal(labels["picture"], images)
    assert dataset.tasks["classes"].labels == ("road", "sky", "car")


@pytest.mark.parametrize(
    ("values", "head", "missing"),
    [
        (lambda mask: mask > 0, "mask", None),
        (lambda mask: np.where(mask > 0, 1, -1 + (mask == 0)), "mask", None),
        (lambda mask: np.where(np.arange(16) == 3, np.nan, mask // 255), "mask", np.nan),
        (lambda mask: np.where(np.arange(16) == 3, -1, mask // 255), "mask", np.nan),
        (lambda mask: np.where(np.arange(16) == 3, -1, mask // 255 + 1), "segmentation", -1),
    ],
)
def test_missing_pixels(drawn: files.Drawn, values: Callable[[np.ndarray], Any], head: str, missing: float) -> None:
    dataset = data.from_arrays(drawn["image"], {"x": values(drawn["mask"].astype(int))})
    assert dataset.tasks["x"].head == head
    _, labels = everything(dataset)
    if missing is not None:
        np.testing.assert_array_equal(labels["x"][:, :, 3], missing)
        assert set(np.unique(np.delete(labels["x"], 3, axis=2))) <= {0, 1, 2}


def test_grey_float_images_may_have_labels_of_pixels(drawn: files.Drawn) -> None:
    dataset = data.from_arrays(drawn["heat"], {"heat": drawn["heat"][..., np.newaxis]})
    images, labels = next(iter(dataset.batches("train", 4)))
    np.testing.assert_array_equal(images, labels["heat"])
    assert dataset.description()["images"] == "float"


@pytest.mark.parametrize(
    ("name", "values", "task", "message"),
    [
        (
            "classes",
            lambda x: x[:, :5],
            None,
            r"`labels` of task 'x' must be \(10, 12, 16\) or .*Received: \(10, 5, 16\)",
        ),
        ("classes", lambda x: x[:4], None, r"as many entries as there are images, 10. Received: x \(4, 12, 16\)"),
        ("classes", lambda x: x, Task.segmentation("x", 2, ignore=255), r"from 0 to 1, .* Received: 2 at example 0"),
        ("classes", lambda x: x, Task.mask("x"), "must be 0 or 1.*Received: 2 at example 0"),
        ("image", lambda x: x, None, r"task 'x' has colours.*Pass a Task.*Received: uint8 \(10, 12, 16, 3\)"),
        ("mask", lambda x: x * 0, None, "task 'x' has one value in all images"),
        ("mask", lambda x: x.astype(str), Task.mask("x"), "must be numbers"),
        ("mask", lambda x: x[:, 0, 0], Task.depth("x"), r"must be \(10, 12, 16\) or .*Received: \(10,\)"),
        ("heat", lambda x: x - 2, Task.depth("x"), "must be depths from 0.*at example 0"),
        ("heat", lambda x: np.stack([x] * 2, axis=-1) * [1, 2], Task.depth("x"), "must have 1 channel.*: 2 channels"),
        ("normals", lambda x: x * 3, Task.normals("x"), "must be vectors of length 1.*: length 3 at example 0"),
        ("depth", lambda x: x, Task.binary("x"), r"labels of task 'x' must be .*\(10, 12, 16\)"),
    ],
)
def test_wrong_labels_are_refused(
    drawn: files.Drawn, name: str, values: Callable[[np.ndarray], Any], task: Task | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        data.from_arrays(drawn["image"], {"x": values(drawn[name])}, ["x" if task is None else task])
    assert "\n" not in str(error.value)
