"""A head for attributes and a head for landmarks."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from models import network, trunks
from mtl_keras import MultiTaskModel
from mtl_keras.tasks import Task, TaskSet
from tests.models.test_networks import images, labels

SHAPE = (16, 16, 3)
TRUNK = "cnn(filters=2, dense=4)"
TASKS = TaskSet([Task.binary("smile"), Task.landmarks("landmarks", ["a", "b", "c", "d", "e"]), Task.binary("open")])


def _weights(tmp_path: Path) -> str:
    """A file of the trunk's weights, its BatchNorm statistics included, all of them random."""
    model = trunks.get(TRUNK, SHAPE)
    generator = np.random.default_rng(3)
    model.set_weights([generator.random(weight.shape) + 0.5 for weight in model.weights])
    path = tmp_path / "trunk.weights.h5"
    model.save_weights(path)
    return str(path)


def _of_trunk(model: keras.Model) -> dict[str, np.ndarray]:
    trunk = [layer for layer in model.layers if layer.name.startswith("trunk_")]
    return {f"{layer.name}/{weight.name}": weight.numpy().copy() for layer in trunk for weight in layer.weights}


def test_it_is_the_network_of_the_source() -> None:
    model = keras.Model(*network("face_groups(frozen=False)", TASKS, (32, 32, 3)))
    sizes = {layer.name: layer.count_params() for layer in model.layers if not layer.name.startswith("trunk_")}
    assert {name: size for name, size in sizes.items() if size} == {
        "binary_tasks_hidden": 512 * 256 + 256,
        "binary_tasks": 256 * 2 + 2,
        "landmarks_hidden": 512 * 256 + 256,
        "landmarks": 256 * 10 + 10,
    }


def test_a_frozen_trunk_stays_bit_for_bit(tmp_path: Path) -> None:
    path = _weights(tmp_path)
    expected = trunks.get(TRUNK, SHAPE)
    expected.load_weights(path)
    model = MultiTaskModel(*network(f"face_groups(trunk='{TRUNK}', hidden=4)", TASKS, SHAPE, path))
    before = _of_trunk(model)
    assert len(before) == len(expected.weights)
    for mine, theirs in zip(before.values(), expected.weights):
        np.testing.assert_array_equal(mine, theirs)
    model.compile("adam", **TASKS.compile_args(), run_eagerly=True)
    model.fit(images(SHAPE), labels(TASKS, 4), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert not any(weight.path.startswith("trunk_") for weight in loaded.trainable_weights)
    hidden = loaded.get_layer("landmarks").kernel.numpy().copy()
    loaded.run_eagerly = True
    loaded.fit(images(SHAPE), labels(TASKS, 4), verbose=0)
    assert not np.array_equal(loaded.get_layer("landmarks").kernel, hidden)
    for name, value in _of_trunk(loaded).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_batchnorm_of_a_frozen_trunk_uses_its_statistics_in_training(tmp_path: Path) -> None:
    path = _weights(tmp_path)
    identifier = "face_groups(trunk='cnn(filters=2, dense=4, dropout=0.0)', hidden=4, frozen={})"
    x = images(SHAPE)
    for frozen in (True, False):
        model = keras.Model(*network(identifier.format(frozen), TASKS, SHAPE, path))
        features = keras.Model(model.input, model.get_layer("trunk_features").output)
        same = np.allclose(features(x, training=True), features(x, training=False), atol=1e-5)
        assert same == frozen


def test_frozen_at_random_weights_is_warned_about() -> None:
    with pytest.warns(UserWarning, match="frozen at random weights"):
        network(f"face_groups(trunk='{TRUNK}')", TASKS, SHAPE)
