"""Tables without images: how columns become features, splits and labels, and what is an error."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import data
from data.custom.feature_columns import MOST_CATEGORIES
from data.features import Feature
from tests import people

SPLITS = ["train"] * 6 + ["validation", "test"]


def table(**columns: Any) -> dict[str, Any]:
    """Returns a table of eight rows, the last two for validation and test, with a binary task `y`."""
    return {**columns, "y": [0, 1] * 4, "split": SPLITS}


def everything(dataset: data.Dataset, split: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    ((vectors, labels),) = dataset.batches(split, dataset.size(split)).as_numpy_iterator()
    return vectors, labels


def test_numbers_are_standardised_by_the_training_rows_and_categories_are_one_hot() -> None:
    dataset = data.from_table(
        table(
            age=[10, 30, 10, 30, None, 20, 40, math.nan],
            job=["cook", "clerk", "cook", None, "cook", "clerk", "pilot", ""],
            hours=[1.5, 2.5, 1.5, 2.5, 1.5, 2.5, 2.0, None],
        ),
        tasks=["y"],
    )
    encoder = dataset.features
    assert encoder is not None
    assert encoder.names == ["age", "age=missing", "job=missing", "job=clerk", "job=cook", "hours"]
    assert (dataset.image_shape, dataset.features.columns["job"]) == ((6,), tf.string)
    mean, deviation = 20, math.sqrt(80)
    vectors, labels = everything(dataset, "train")
    assert (vectors.dtype, vectors.shape, labels["y"].tolist()) == (np.float32, (6, 6), [0, 1, 0, 1, 0, 1])
    np.testing.assert_allclose(vectors[:, 0], np.array([-10, 10, -10, 10, 0, 0]) / deviation, rtol=1e-6)
    np.testing.assert_array_equal(vectors[:, 1], [0, 0, 0, 0, 1, 0])
    np.testing.assert_array_equal(vectors[:, 2:5], np.eye(3)[[2, 1, 2, 0, 2, 1]])
    # What no training row has is all zeros: an unseen category, and a missing cell of `hours`.
    np.testing.assert_allclose(everything(dataset, "validation")[0], [[(40 - mean) / deviation, 0, 0, 0, 0, 0]], 1e-6)
    np.testing.assert_array_equal(everything(dataset, "test")[0], [[0, 1, 1, 0, 0, 0]])


def test_rare_categories_are_other() -> None:
    words = [f"city{number:03}" for number in range(MOST_CATEGORIES + 20) for _ in range(3)]
    words += [f"city{number:03}" for number in range(MOST_CATEGORIES)]
    cells = {"city": words, "y": [0, 1] * (len(words) // 2), "split": ["train"] * (len(words) - 2) + SPLITS[-2:]}
    (feature,) = data.from_table(cells, tasks=["y"]).features.features
    assert (len(feature.categories), feature.other, feature.names[0]) == (MOST_CATEGORIES, True, "city=other")
    encoder = data.FeatureEncoder([feature])
    encoded = encoder({"city": tf.constant(["city119", " city000 ", "NaN", ""])}).numpy()
    np.testing.assert_array_equal(encoded[:, :2], [[1, 0], [0, 1], [1, 0], [1, 0]])


def test_an_encoder_is_json_and_says_the_same_again() -> None:
    encoder = data.FeatureEncoder(
        [Feature("a", "numeric", True, 3.25, 0.1), Feature("b", "categorical", True, categories=("x", "ä"))]
    )
    again = data.FeatureEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again.features == encoder.features
    columns = {"a": tf.constant([1.0, np.nan, np.inf]), "b": tf.constant(["ä", "n/a", "X"])}
    np.testing.assert_array_equal(again(columns), encoder(columns))
    np.testing.assert_array_equal(again.encode({"a": np.ones(1), "b": np.array(["x"])})[:, 1:], [[0, 0, 1, 0]])
    with pytest.raises(ValueError, match=r"There is no column 'b'. Received: a"):
        encoder({"a": columns["a"]})
    with pytest.raises(ValueError, match=r"Unknown kind of column 'a'. Received: 'text'"):
        data.FeatureEncoder.from_json({"a": {"kind": "text", "categories": []}})


def test_a_csv_file_and_its_columns_are_the_same_dataset(tmp_path: Path) -> None:
    cells = people.columns(120)
    file = people.write(tmp_path / "people.csv", cells)
    with pytest.warns(UserWarning, match=r"column 'country' has only 'CH' in the 96 training rows. It is left out"):
        dataset = data.from_csv(file, tasks=people.TASKS)
    assert [dataset.size(split) for split in ("train", "validation", "test")] == [96, 12, 12]
    assert [task.head for task in dataset.tasks.values()] == ["binary", "binary", "regression"]
    rows = [int(name.removeprefix("line ")) - 2 for name in dataset.example_names("test") or []]
    _, labels = everything(dataset, "test")
    for row, label in zip(rows, labels["rich"], strict=True):
        np.testing.assert_equal(label, np.float32(cells["rich"][row] or "nan"))
    missing = dataset.missing_labels("train") or {}
    assert missing["rich"] == sum(not label for label in cells["rich"]) - sum(
        (dataset.missing_labels(split) or {})["rich"] for split in ("validation", "test")
    )
    assert dataset.label_counts()["spends"] == 96
    description = dataset.description()
    assert list(description["left_out"]) == ["country"]
    assert list(description["features"]) == list(people.FEATURES[:4])
    assert dataset.with_train_examples(0.25).size("train") == 24

    # Another column does not change the splits.
    memory = data.from_table(
        {**cells, "further": np.arange(120.0)}, tasks=["rich"], features=list(people.FEATURES[:4]), name="people"
    )
    np.testing.assert_array_equal(everything(memory, "test")[0], everything(dataset, "test")[0])
    assert data.from_table(file, tasks=["rich"], features=["age"]).name == "people"


def test_values_of_any_kind_in_memory() -> None:
    class Frame:
        """Like a pandas data frame."""

        columns = ("count", "flag", "when", "y", "split")

        def __getitem__(self, name: str) -> np.ndarray:
            values = {
                "count": np.array([1.0, 2.0, np.nan, 4, 5, 6, 7, 8]),
                "flag": np.array([True, False] * 4),
                "when": np.array(["2020-01-01", "NaT"] * 4, "datetime64[D]"),
                "y": np.array(["no", "yes", None, "no", "yes", "no", "yes", "no"], object),
                "split": np.array(SPLITS),
            }
            return values[name]

    dataset = data.from_table(Frame(), tasks=["y"], feature_types={"count": "categorical"})
    assert dataset.features is not None
    assert dataset.features.names == [
        *(f"count={number}" for number in ("missing", 1, 2, 4, 5, 6)),
        "flag=false", "flag=true",
        "when=missing", "when=2020-01-01",
    ]  # fmt: skip
    assert dataset.missing_labels("train") == {"y": 1}


def test_a_table_with_images_stays_one(tmp_path: Path) -> None:
    cells = {"photo": ["001", "002"] * 4, "y": ["0", "1"] * 4}
    file = people.write(tmp_path / "labels.csv", cells)
    with pytest.raises(ValueError, match=r"this is a table of features.*--tasks.*--image_column"):
        data.from_csv(file)
    for given in ({"image": "photo"}, {"extension": ".jpg"}, {"image_size": (4, 4)}, {"image_dir": tmp_path}):
        with pytest.raises(ValueError, match="there is no image '001"):
            data.from_csv(file, tasks=["y"], **given)
    (tmp_path / "001.png").touch()
    with pytest.raises(ValueError, match=r"There is '001.png' in .*: pass --image_extension .png"):
        data.from_csv(file)
    later = people.write(tmp_path / "later.csv", {"y": cells["y"], "photo": [f"{name}.jpg" for name in cells["photo"]]})
    with pytest.raises(ValueError, match=r"column 'photo' has names of images. Pass --image_column photo"):
        data.from_csv(later, tasks=["y"])
    named = people.write(tmp_path / "named.csv", {"visits": ["1", "2"] * 4, "path": ["a", "b"] * 4, "y": cells["y"]})
    with pytest.raises(ValueError, match="there is no image 'a'"):
        data.from_csv(named, tasks=["y"])
    assert data.from_csv(named, tasks=["y"], features=["visits", "path"]).image_shape == (3,)


CELLS = people.columns(60)
WRONG: dict[str, tuple[Callable[[dict[str, list[str]]], object], dict[str, Any], str]] = {
    "no tasks": (
        lambda cells: None,
        {"tasks": None},
        r"line 1: no column has names .*Columns: age, hours per week, job",
    ),
    "unknown task": (lambda cells: None, {"tasks": ["rch"]}, "Unknown column in tasks .*line 1.* Did you mean 'rich'"),
    "unknown feature": (
        lambda cells: None,
        {"features": ["age", "jobb"]},
        "Unknown column in features .*people.csv, line 1.. Did you mean 'job'.*Choices: age, country",
    ),
    "split is no feature": (lambda cells: None, {"features": ["split"]}, "Unknown column in features .*'split'"),
    "task and feature": (lambda cells: None, {"features": ["rich"]}, "Received: 'rich' in tasks and in features"),
    "twice": (lambda cells: None, {"features": ["age", "age"]}, "features must be distinct. Received: age, age"),
    "unknown column of a type": (
        lambda cells: None,
        {"feature_types": {"ages": "numeric"}},
        "Unknown column in feature_types .* Did you mean 'age'",
    ),
    "unknown type": (
        lambda cells: None,
        {"feature_types": {"age": "number"}},
        "Unknown feature type of column 'age'. Did you mean 'numeric'",
    ),
    "text in a column of numbers": (
        lambda cells: cells["age"].__setitem__(4, "old"),
        {},
        r"people.csv, line 6: 'old' in column 'age', a column of numbers, .*--feature_types age=categorical",
    ),
    "text, by type": (
        lambda cells: None,
        {"feature_types": {"member": "numeric"}},
        r"line 2: '(yes|no)' in column 'member', a column of numbers",
    ),
    "too large": (lambda cells: cells["age"].__setitem__(0, "1e40"), {}, "line 2: '1e40' in column 'age'"),
    "decimal commas": (
        lambda cells: cells.update(age=["1,5", "2,5"] * 30),
        {},
        "line 2: decimals are written with a point. Received: '1,5'",
    ),
    "only a constant": (lambda cells: None, {"features": ["country"]}, "no column can be a feature. Received: country"),
    "images": (
        lambda cells: None,
        {"features": ["age"], "image_size": (4, 4)},
        "features is for tables without images",
    ),
    "few rows": (
        lambda cells: cells.update({name: column[:2] for name, column in cells.items()}),
        {},
        "at least three rows are needed.*Received: 2",
    ),
}


@pytest.mark.filterwarnings("ignore:.*It is left out")
@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str, tmp_path: Path) -> None:
    change, arguments, says = WRONG[name]
    cells = {column: list(values) for column, values in CELLS.items()}
    change(cells)
    file = people.write(tmp_path / "people.csv", cells)
    with pytest.raises(ValueError, match=says) as error:
        data.from_csv(file, **{"tasks": ["rich"], **arguments})
    assert "\n" not in str(error.value)


def test_columns_without_information_are_left_out() -> None:
    names = [f"person {number}" for number in range(8)]
    with pytest.warns(UserWarning, match="It is left out") as warned:
        dataset = data.from_table(table(name=names, none=[None] * 8, age=list(range(8))), tasks=["y"])
    reasons = dataset.description()["left_out"]
    assert list(reasons) == ["name", "none"]
    assert [str(warning.message) for warning in warned] == [
        f"table: {reason}. It is left out." for reason in reasons.values()
    ]
    assert "nearly every cell of column 'name' has a different text, such as 'person 0'" in reasons["name"]
    assert "column 'none' has no value in the 6 training rows" in reasons["none"]
    kept = data.from_table(table(name=names), tasks=["y"], features=["name"])
    assert kept.image_shape == (6,)


def test_images_only(tmp_path: Path) -> None:
    dataset = data.from_table(table(age=range(8)), tasks=["y"])
    with pytest.raises(ValueError, match="augment flips images"):
        dataset.batches("train", 2, augment=True)
    with pytest.raises(ValueError, match=r"encode their columns with `features`"):
        dataset.decode(tf.constant(b""))
    with pytest.raises(ValueError, match=r"must be datasets of images. Received a table for: one"):
        data.mixed({"one": dataset, "two": dataset})
    with pytest.raises(ValueError, match="`features` is for csv:PATH"):
        data.load(f"folder:{tmp_path}", features=["age"])
    with pytest.raises(ValueError, match="`features` and `feature_types` are for csv:PATH"):
        data.load("cifar10", feature_types={"age": "numeric"})


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "must have columns of one length"),
        ({"a": [1, 2], "b": [1]}, "must have columns of one length, at least 1. Received: {'a': 2, 'b': 1}"),
        ({"a": np.ones((3, 2))}, r"columns of `table` must be \(rows,\). Received: 'a' \(3, 2\)"),
    ],
)
def test_what_is_no_table(columns: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        data.from_table(columns, tasks=["a"])


def test_an_error_in_memory_names_the_row() -> None:
    with pytest.raises(ValueError, match=r"^table, row 3: 'old' in column 'age'"):
        data.from_table(table(age=[1, 2, 3, "old", 5, 6, 7, 8]), tasks=["y"])


def test_new_rows_are_encoded_as_the_rows_of_the_table() -> None:
    people = {"age": [39, 50, 28, 44] * 5, "zip": [1000.0, np.nan, 2000.0, 1000.0] * 5, "rich": [0, 1, 0, 1] * 5}
    dataset = data.from_table(people, tasks=["rich"], feature_types={"zip": "categorical"})
    encoder = dataset.features
    assert encoder is not None
    assert repr(encoder) == "FeatureEncoder(2 columns: age, zip; 4 numbers)"
    found = encoder.encode({"age": [39, None], "zip": [1000.0, None], "other": [1, 2]})
    assert encoder.names == ["age", "zip=missing", "zip=1000", "zip=2000"]
    np.testing.assert_array_equal(found[:, 1:], [[0, 1, 0], [1, 0, 0]])
    assert found[1, 0] == 0
    for wrong, says in (
        ({"agee": [1], "zip": [1]}, r"There is no column 'age'\. Did you mean 'agee'\?"),
        ({"age": ["old"], "zip": [1]}, "Column 'age' is numeric: could not convert string to float: .*'old'"),
    ):
        with pytest.raises(ValueError, match=says):
            encoder.encode(wrong)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"tasks": "y"}, "tasks must be a list of columns. Received: tasks='y'"),
        ({"tasks": ["y"], "features": "a"}, "features must be a list of columns. Received: features='a'"),
        ({"tasks": ["y"], "feature_types": "a=numeric"}, "feature_types must be a dict from column to kind"),
        ({"tasks": ["y"], "feature_types": {"y": "numeric"}}, "this column is a task. Received: 'y'. Features: a, b"),
        ({"tasks": ["y"], "features": ["a"], "feature_types": {"b": "numeric"}}, "this column is not in features"),
    ],
)
def test_arguments_of_the_wrong_kind(arguments: dict[str, Any], says: str) -> None:
    table = {"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "y": [0, 1, 0, 1]}
    with pytest.raises(ValueError, match=re.escape(says)):
        data.from_table(table, **arguments)
    with pytest.raises(ValueError, match="must be a data frame, a dict of columns or a path"):
        data.from_table([1, 2], tasks=["y"])
