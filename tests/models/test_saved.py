"""A network from a `.keras` file: its weights are kept, and what does not fit is said."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from models import network, saved
from mtl_keras import MultiTaskModel
from mtl_keras.tasks import Task, TaskSet

TASKS = TaskSet([Task.classification("item", 3), Task.binary("worn")])
SHAPE = (4, 4, 1)


def graph(**changes: Any) -> tuple[Any, Any]:
    images = keras.Input(changes.get("shape", SHAPE), dtype=changes.get("dtype", "float32"))
    x = layers.Dense(4, activation="relu", name="mine")(layers.Flatten()(images))
    return images, {
        "worn": layers.Dense(1, activation="sigmoid")(x),
        "extra": layers.Dense(5)(x),
        "item": layers.Dense(changes.get("classes", 3), activation=changes.get("activation", "softmax"))(x),
    }


def written(model: Any, folder: Path) -> str:
    path = folder / "net.keras"
    model.save(path)
    return str(path)


@pytest.mark.parametrize("kind", [keras.Model, MultiTaskModel])
def test_the_graph_and_the_weights_of_the_file(kind: Any, tmp_path: Path) -> None:
    model = kind(*graph())
    model.compile("adam", loss={"item": "sparse_categorical_crossentropy", "worn": "mse", "extra": "mse"})
    inputs, outputs = network(written(model, tmp_path), TASKS, SHAPE, None)
    assert list(outputs) == ["item", "worn"]
    ours = MultiTaskModel(inputs, outputs)
    x = np.random.default_rng(0).random((3, *SHAPE), "float32")
    for name in TASKS:
        np.testing.assert_allclose(ours(x)[name], model(x)[name], rtol=1e-6)
    (alone,) = network(str(tmp_path / "net.keras"), TASKS.subset(["worn"]), SHAPE)[1]
    assert alone == "worn"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": 4}, r"Output 'item' of .*net.keras must have the shape \(3,\). Received: \(4,\)"),
        ({"activation": None}, r"Output 'item' of .* must be probabilities. .*activation='softmax'"),
        ({"shape": (8, 8, 1)}, r"images of shape \(4, 4, 1\), .* Received: inputs \(8, 8, 1\) float32"),
        ({"dtype": "uint8"}, r"floats in \[0, 1\]. Received: inputs \(4, 4, 1\) uint8"),
    ],
)
def test_what_does_not_fit_the_data(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = written(keras.Model(*graph(**changes)), tmp_path)
    with pytest.raises(ValueError, match=said):
        network(path, TASKS, SHAPE)


@pytest.mark.parametrize("scaled", [False, True])
def test_an_output_that_begins_far_from_its_labels_is_warned_about(scaled: bool, tmp_path: Path) -> None:
    images = keras.Input(SHAPE)
    price = layers.Dense(1)(layers.Flatten()(images))
    path = written(keras.Model(images, {"price": layers.Rescaling(2e4, 5e4)(price) if scaled else price}), tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network(path, TaskSet([Task.regression("price", mean=5e4, deviation=2e4)]), SHAPE)
        network(path, TaskSet([Task.regression("price", mean=0.5, deviation=0.2)]), SHAPE)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == (0 if scaled else 1)
    assert all("End it with keras.layers.Rescaling(2e+04, 5e+04)" in message for message in messages)


class Subclassed(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


def _list(images: Any, outputs: dict[str, Any]) -> keras.Model:
    return keras.Model(images, list(outputs.values()))


def _missing(images: Any, outputs: dict[str, Any]) -> keras.Model:
    return keras.Model(images, {"item": outputs["item"], "warm": outputs["worn"]})


def _lambda(images: Any, outputs: dict[str, Any]) -> keras.Model:
    return keras.Model(images, {"item": layers.Lambda(lambda x: x)(outputs["item"])})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_list, r"net.keras: `outputs` must be a dict .*Received: a list of 3 outputs"),
        (_missing, r"net.keras has no output for task 'worn'. It has outputs for: item, warm"),
        (_lambda, r"net.keras is refused: it contains code"),
        (lambda images, outputs: keras.Sequential([images, layers.Flatten()]), r"net.keras: .*Received: a Sequential"),
    ],
    ids=["list", "missing", "lambda", "sequential"],
)
def test_other_kinds_of_models(make: Any, said: str, tmp_path: Path) -> None:
    path = written(make(*graph()), tmp_path)
    with pytest.raises(ValueError, match=said):
        network(path, TASKS, SHAPE)


def test_no_file_and_other_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"There is no model at .*none.keras"):
        network(str(tmp_path / "none.keras"), TASKS, SHAPE)
    with pytest.raises(ValueError, match=r"begins with the weights in it. Received: weights='imagenet'"):
        saved.saved_network("net.keras", TASKS, SHAPE, "imagenet")
