"""Heads: shapes, types and names."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from models import heads
from mtl_keras.tasks import HEADS, Task


@pytest.fixture(params=["float32", "mixed_float16"])
def policy(request: pytest.FixtureRequest) -> str:
    keras.config.set_dtype_policy(request.param)
    return request.param


@pytest.fixture
def features() -> keras.KerasTensor:
    return keras.Input((6,), name="features")


def _predict(inputs: keras.KerasTensor, output: keras.KerasTensor) -> np.ndarray:
    model = keras.Model(inputs, output)
    return np.asarray(model(np.random.default_rng(0).normal(size=(5, 6)).astype("float32")))


def test_every_kind_of_head_is_here() -> None:
    assert {"binary", *heads.SINGLE} == set(HEADS)


def test_classification(policy: str, features: keras.KerasTensor) -> None:
    output = heads.classification(Task.classification("item", 4), features)
    values = _predict(features, output)
    assert (values.shape, values.dtype.name) == ((5, 4), "float32")
    np.testing.assert_allclose(values.sum(-1), 1, rtol=1e-5)
    assert [layer.name for layer in keras.Model(features, output).layers[1:]] == ["item_dropout", "item"]


def test_one_binary_task_has_its_own_layer(policy: str, features: keras.KerasTensor) -> None:
    outputs = heads.binary([Task.binary("hat")], features)
    assert list(outputs) == ["hat"]
    values = _predict(features, outputs["hat"])
    assert (values.shape, values.dtype.name) == ((5, 1), "float32")
    assert keras.Model(features, outputs).layers[-1].name == "hat"


def test_binary_tasks_are_one_layer(policy: str, features: keras.KerasTensor) -> None:
    outputs = heads.binary([Task.binary(name) for name in ("hat", "smile", "beard")], features)
    model = keras.Model(features, outputs)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense", "TaskSplit"]
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    values = {name: np.asarray(value) for name, value in model(x).items()}
    assert list(values) == ["hat", "smile", "beard"]
    assert {(value.shape, value.dtype.name) for value in values.values()} == {((5, 1), "float32")}
    scores = keras.Model(features, model.get_layer("binary_tasks").output)(x)
    np.testing.assert_array_equal(np.concatenate(list(values.values()), axis=-1), scores)
    assert np.all((np.asarray(scores) > 0) & (np.asarray(scores) < 1))


def test_regression(policy: str, features: keras.KerasTensor) -> None:
    output = heads.regression(Task.regression("age", 3), features)
    model = keras.Model(features, output)
    assert [layer.name for layer in model.layers[1:]] == ["age_hidden", "age"]
    values = _predict(features, output)
    assert (values.shape, values.dtype.name) == ((5, 3), "float32")
    np.testing.assert_array_equal(values, 0.5)


def test_regression_learns_beyond_the_unit_interval(features: keras.KerasTensor) -> None:
    model = keras.Model(features, heads.regression(Task.regression("age", 2), features, hidden=32))
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    y = 3 * x[:, :2]
    model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
    model.fit(x, y, epochs=20, batch_size=64, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 0.1 * np.mean(np.square(y))


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (20, 37, 2), (5, 3, 1)])
def test_reconstruction(shape: tuple[int, int, int], features: keras.KerasTensor) -> None:
    output = heads.reconstruction(Task.reconstruction("image", shape), features, filters=4)
    values = _predict(features, output)
    assert (values.shape, values.dtype.name) == ((5, *shape), "float32")
    assert values.min() > 0
    assert values.max() < 1
    names = [layer.name for layer in keras.Model(features, output).layers[1:]]
    assert names[-1] == "image"
    assert all(name.startswith("image_") for name in names[:-1])


def test_reconstruction_starts_at_eight_positions(features: keras.KerasTensor) -> None:
    output = heads.reconstruction(Task.reconstruction("image", (32, 32, 3)), features)
    model = keras.Model(features, output)
    assert model.get_layer("image_grid").output.shape == (None, 8, 8, 64)
    assert [model.get_layer(f"image_up{step}").filters for step in (1, 2)] == [32, 16]
