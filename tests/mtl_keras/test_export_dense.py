"""Exports of dense tasks give the maps of the model, and a SavedModel knows the kinds of their heads."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from experiments.predictor import of_saved_model
from mtl_keras import MultiTaskModel
from mtl_keras.export import export, heads, load_export, parity
from tests.pixels import IMAGES, TASKS, Rooms, network

DENSE = TASKS.subset(["segments", "depth", "normals"])
HEADS = {name: task.head for name, task in DENSE.items()}
NAMES = {"segments": TASKS["segments"].labels}


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    return MultiTaskModel(**network(DENSE))


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
def test_maps_are_those_of_the_model(model: MultiTaskModel, tmp_path: Path, format: str) -> None:
    path = tmp_path / ("model.onnx" if format == "onnx" else "saved_model")
    export(model, path, format)
    assert parity(model, path, IMAGES, tolerance=1e-5) <= 1e-5
    maps = load_export(path)(IMAGES)
    expected = model.predict(IMAGES, verbose=0)
    assert set(maps) == set(DENSE)
    for name, values in expected.items():
        assert maps[name].shape == (6, *DENSE[name].shape)
        np.testing.assert_allclose(maps[name], values, atol=1e-5)


def test_a_saved_model_knows_the_kinds_of_heads(model: MultiTaskModel, tmp_path: Path) -> None:
    path = tmp_path / "saved_model"
    export(model, path, decode=Rooms().decode, class_names=NAMES, heads=HEADS)
    assert heads(path) == HEADS
    predictor = of_saved_model(path)
    assert {name: output.head for name, output in predictor.outputs.items()} == HEADS
    assert predictor.outputs["segments"].classes == TASKS["segments"].labels
    encoded = tf.io.encode_png(tf.zeros((20, 30, 3), tf.uint8))
    assert predictor.decode(encoded).shape == (8, 12, 3)


def test_a_saved_model_without_kinds_still_loads(model: MultiTaskModel, tmp_path: Path) -> None:
    path = tmp_path / "saved_model"
    export(model, path, decode=Rooms().decode)
    assert heads(path) == {}
    assert {output.head for output in of_saved_model(path).outputs.values()} == {"reconstruction"}


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"depht": "depth"}, r"Unknown task in `heads`. Did you mean 'depth'"),
        ({"depth": "distance"}, r"[Uu]nknown head of task 'depth'"),
    ],
)
def test_errors(model: MultiTaskModel, tmp_path: Path, kinds: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path / "saved_model", heads=kinds)
    with pytest.raises(ValueError, match="`heads` are for format='saved_model'"):
        export(model, tmp_path / "model.onnx", "onnx", heads=HEADS)
