"""Datasets made of NumPy arrays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import data
from mtl_keras.tasks import Task, TaskSet

SIZE = 20


def pictures(size: int = SIZE, shape: tuple[int, ...] = (4, 4, 3)) -> np.ndarray:
    """Images whose pixels tell which one it is."""
    return np.broadcast_to(np.arange(size).reshape(-1, *[1] * len(shape)), (size, *shape)).astype(np.uint8)


def labels() -> dict[str, np.ndarray]:
    numbers = np.arange(SIZE)
    return {
        "kind": np.where(numbers % 5 == 4, -1, numbers % 3),
        "word": np.array(["cat", "dog", "bee", ""])[numbers % 4],
        "sure": numbers % 2 == 0,
        "age": np.where(numbers % 4 == 0, np.nan, 10.0 * numbers),
        "where": np.stack([numbers, -numbers], axis=1) / SIZE,
    }


def all_of(dataset: data.AnyDataset, split: str = "train") -> tuple[np.ndarray, dict[str, np.ndarray]]:
    images, values = zip(*dataset.batches(split, 7))
    return np.concatenate(images), {name: np.concatenate([batch[name] for batch in values]) for name in dataset.tasks}


def test_kinds_are_told_by_type_and_values() -> None:
    tasks = data.from_arrays(pictures(), labels()).tasks
    assert {name: (task.head, task.shape, task.labels) for name, task in tasks.items()} == {
        "kind": ("classification", (3,), ()),
        "word": ("classification", (3,), ("bee", "cat", "dog")),
        "sure": ("binary", (1,), ("no", "yes")),
        "age": ("regression", (1,), ()),
        "where": ("regression", (2,), ()),
    }


def test_every_example_keeps_its_labels_and_is_in_one_split() -> None:
    dataset = data.from_arrays(pictures(), labels())
    given = labels()
    words = np.array([{"": -1, "bee": 0, "cat": 1, "dog": 2}[word] for word in given["word"]])
    expected = {**given, "word": words, "age": given["age"][:, None]}
    seen = []
    for split in ("train", "validation", "test"):
        images, found = all_of(dataset, split)
        numbers = np.round(images[:, 0, 0, 0] * 255).astype(int)
        for name, values in found.items():
            np.testing.assert_allclose(values, expected[name][numbers], rtol=1e-6)
        seen += numbers.tolist()
    assert sorted(seen) == list(range(SIZE))
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [16, 2, 2]
    assert dataset.batches("train", 4).element_spec[1]["kind"] == tf.TensorSpec([None], tf.int32)
    again = data.from_arrays(pictures(), {"other": np.arange(SIZE) % 2}, splits={"validation": 0.1, "test": 0.1})
    np.testing.assert_array_equal(all_of(dataset, "test")[0], all_of(again, "test")[0])


def test_counts_and_description() -> None:
    dataset = data.from_arrays(pictures(), labels(), [*labels(), Task.reconstruction("picture", (4, 4, 3))])
    _, found = all_of(dataset)
    assert dataset.label_counts() == {
        "kind": (found["kind"] >= 0).sum(),
        "word": (found["word"] >= 0).sum(),
        "sure": found["sure"].sum(),
        "age": np.isfinite(found["age"]).sum(),
        "where": 16,
        "picture": 16,
    }
    about = dataset.description()
    assert (about["version"], about["images"], about["synthetic"]) == ("arrays", "uint8", False)
    assert about["sizes"] == {"train": 16, "validation": 2, "test": 2}
    missing = about["missing_labels"]
    assert set(missing) == {"kind", "word", "age"}
    assert missing["age"]["train"] == np.isnan(found["age"]).sum() > 0
    assert sum(missing["kind"].values()) == (labels()["kind"] < 0).sum()


def test_an_example_with_some_of_its_numbers_has_no_label() -> None:
    where = labels()["where"]
    where[3:6, 0] = np.nan
    dataset = data.from_arrays(pictures(), {"where": where})
    missing = dataset.description()["missing_labels"]["where"]
    assert sum(missing.values()) == 3
    assert dataset.label_counts() == {"where": 16 - missing["train"]}


def test_minus_one_is_missing_among_classes_and_a_number_in_a_regression() -> None:
    values = np.array([1, -1, 0, 1] * 5)
    dataset = data.from_arrays(pictures(), {"sure": values, "years": values}, ["sure", Task.regression("years")])
    images, found = all_of(dataset)
    expected = values[np.round(images[:, 0, 0, 0] * 255).astype(int)]
    mixed = [None if value < 0 else 2.5 * value for value in values]
    assert data.from_arrays(pictures(), {"mixed": mixed}).tasks["mixed"].head == "regression"
    np.testing.assert_array_equal(found["sure"], np.where(expected < 0, np.nan, expected))
    np.testing.assert_array_equal(found["years"][:, 0], expected)
    assert dataset.label_counts() == {"sure": (expected == 1).sum(), "years": len(expected)}
    below = data.from_arrays(pictures(), {"years": np.arange(SIZE) - 7}, [Task.regression("years")])
    assert min(all_of(below)[1]["years"]) < -1


def test_tasks_are_chosen_in_order_and_may_say_more() -> None:
    named = data.from_arrays(pictures(), labels(), ["age", "kind"])
    assert list(named.tasks) == ["age", "kind"]
    tasks = TaskSet([Task.classification("word", ["dog", "cat", "bee"]), Task.reconstruction("picture", (4, 4, 3))])
    dataset = data.from_arrays(pictures(), labels(), tasks)
    images, found = all_of(dataset)
    np.testing.assert_array_equal(found["picture"], images)
    numbers = np.round(images[:, 0, 0, 0] * 255).astype(int)
    np.testing.assert_array_equal(found["word"], np.array([1, 0, 2, -1])[numbers % 4])


def test_grey_floats_and_splits_of_their_own() -> None:
    images = pictures(shape=(4, 4)) / 255.0
    others = (images[:5], {"sure": np.ones(5, bool)})
    dataset = data.from_arrays(images, {"sure": labels()["sure"]}, splits={"validation": 0.25, "test": others})
    assert dataset.image_shape == (4, 4, 1)
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [15, 5, 5]
    np.testing.assert_allclose(all_of(dataset, "test")[0], images[:5, :, :, None], rtol=1e-6)


def test_a_flip_moves_points_and_exchanges_sides() -> None:
    points = np.random.default_rng(0).random((SIZE, 6)).astype(np.float32)
    tasks = [Task.landmarks("face", ["left_eye", "right_eye", "nose"])]
    dataset = data.from_arrays(pictures(), {"face": points}, tasks)
    plain = next(iter(dataset.batches("train", 16)))[1]["face"].numpy()
    flipped = next(iter(dataset.batches("train", 16, augment=True)))[1]["face"].numpy()
    mirrored = np.stack(
        [1 - plain[:, 2], plain[:, 3], 1 - plain[:, 0], plain[:, 1], 1 - plain[:, 4], plain[:, 5]], axis=1
    )
    moved = (flipped != plain).any(axis=1)
    assert 0 < moved.sum() < 16
    np.testing.assert_allclose(flipped, np.where(moved[:, None], mirrored, plain), rtol=1e-6)


def test_an_exported_model_can_decode_files() -> None:
    dataset = data.from_arrays(pictures(), labels())
    file = tf.io.encode_png(np.full((8, 8, 3), 51, np.uint8))
    np.testing.assert_allclose(dataset.decode(file), np.full((4, 4, 3), 0.2), rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.arange(SIZE) % 2 + 1, "labels are 1 and 2, is a classification with 3 classes. For a binary task recode"),
        (np.arange(SIZE) % 2 * 2.0 - 1, "labels are -1 and 1, is a regression. For a binary task recode them as 0"),
        (np.array(["a", "b", "-"])[np.arange(SIZE) % 3], "has a class '-'. If it means a missing label, pass an"),
    ],
)
def test_labels_of_a_probably_unintended_kind_give_a_warning(values: np.ndarray, message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        data.from_arrays(pictures(), {"x": values})


GOOD: dict[str, Any] = {"images": pictures(), "labels": labels()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"kind": np.arange(3)}}, "`labels` must have as many entries as there are images, 20. Rec.*kind"),
        ({"labels": {"kind": np.full(SIZE, -2)}}, "labels of task 'kind' must be from 0, or -1 .* Received: -2"),
        (
            {"tasks": [Task.binary("sign")], "labels": {"sign": np.arange(SIZE) % 2 * 2 - 1}},
            "'sign' must be 0 and 1; -1 is a missing label",
        ),
        ({"labels": {"sign": np.arange(SIZE) % 2 * 2 - 1}}, r"same: .* Received: 1 \(-1 is a missing label\)"),
        ({"tasks": [Task.classification("kind", 2)]}, "'kind' must be whole numbers from 0 to 1, .*: 2 at example 2"),
        (
            {"tasks": [Task.binary("sign")], "labels": {"sign": np.arange(SIZE) % 2 + 1}},
            "'sign' must be whole numbers from 0 to 1, .* Received: 2 at example 1",
        ),
        (
            {"labels": {"red": np.where(np.arange(SIZE) == 7, "?", np.array(["no", "Yes"])[np.arange(SIZE) % 2])}},
            r"'red' is neither 'no' nor 'yes', unlike .* pass an empty text; .* Received: '\?' at example 7",
        ),
        (
            {"labels": {"red": np.array(["?" if row == 7 else row % 2 for row in range(SIZE)], object)}},
            "'red' is neither '0' nor '1', .* at example 7",
        ),
        ({"tasks": [Task.classification("age", 500)], "labels": {"age": np.full(SIZE, 0.5)}}, "Received: 0.5"),
        ({"tasks": [Task.classification("word", ["cat", "dog"])]}, "Unknown label of task 'word'. .*'bee'.*cat, dog"),
        ({"tasks": [Task.regression("word")]}, "labels of task 'word' must be numbers"),
        ({"tasks": [Task.regression("where", 3)]}, r"'where' must be \(examples, 3\), .* Received: \(20, 2\)"),
        ({"tasks": ["kinds"]}, "Unknown task. Did you mean 'kind'"),
        ({"tasks": [Task.binary("kinds")]}, "Unknown task, which has no array in `labels`. Did you mean 'kind'"),
        ({"tasks": "kind"}, "`tasks` must be a TaskSet, or a list"),
        ({"tasks": [Task.reconstruction("r", (8, 8, 3))]}, r"shape of task 'r' must be \(4, 4, 3\). Rec.*\(8, 8, 3\)"),
        ({"tasks": [Task.reconstruction("kind", (4, 4, 3))]}, "Task 'kind' reconstructs the image"),
        ({"labels": {"c": np.zeros(SIZE, complex)}}, "labels of task 'c' must be .* Received: complex128"),
        ({"labels": {"c": np.full(SIZE, np.nan)}}, "All labels of task 'c' are missing"),
        ({"labels": {"c": np.ones(SIZE, int)}}, "All labels of task 'c' are the same"),
        ({"labels": {"c": np.full(SIZE, np.inf)}}, "labels of task 'c' must be finite"),
        ({"labels": {"a/b": np.arange(SIZE)}}, "A task name starts with"),
        ({"images": pictures().astype(np.int32)}, "`images` must be uint8, or floats .* Received: int32"),
        ({"images": pictures() * 1.0}, "Received: floats from 0 to 19"),
        ({"images": np.full((SIZE, 4, 4), np.nan)}, "Received: floats from nan to nan"),
        ({"images": np.zeros((0, 4, 4, 3), np.uint8)}, r"`images` must be .* none of them 0. Received: \(0, 4, 4, 3\)"),
        ({"images": pictures(shape=(4,))}, r"Received: \(20, 4\)"),
        ({"images": pictures(shape=(4, 4, 2))}, r"1, 3 or 4 channels. Received: image_shape=\(4, 4, 2\)"),
        ({"splits": {"validation": 0.1}}, "`splits` must have validation, test. Received: validation"),
        ({"splits": {"valid": 0.1, "test": 0.1}}, "Unknown split in `splits`. Did you mean 'validation'"),
        ({"splits": {"validation": 0.1, "test": 1.5}}, "a share between 0 and 1.* Received: test=1.5"),
        ({"splits": {"validation": 0.5, "test": 0.5}}, "leaves no example for train, of 20"),
        ({"splits": {"validation": 0.01, "test": 0.5}}, "leaves no example for validation, of 20"),
        ({"splits": {"validation": 0.1, "test": (pictures(),)}}, r"must map test to a share, or to a tuple"),
        (
            {"splits": {"validation": 0.1, "test": (pictures(shape=(2, 2, 3)), labels())}},
            r"Received: uint8 \(2, 2, 3\)",
        ),
        ({"splits": {"validation": 0.1, "test": (pictures(), {})}}, "no array in `splits.'test'.`. Received: 'kind'"),
        ({"name": "a b"}, "`name` must be a letter, .* Received: name='a b'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        data.from_arrays(**{**GOOD, **changes})
    assert re.search(message, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)
