"""The network of two dense paths."""

from __future__ import annotations

import keras
import pytest

from models import network
from mtl_keras.tasks import Task, TaskSet

TASKS = TaskSet([Task.classification("item", 10), Task.classification("group", 3)])


def test_it_is_the_network_of_the_source() -> None:
    model = keras.Model(*network("two_paths", TASKS, (28, 28, 1)))
    sizes = {layer.name: layer.count_params() for layer in model.layers if layer.weights}
    assert sizes == {
        "trunk_conv1": 9 * 32 + 32,
        "trunk_conv2": 9 * 32 * 64 + 64,
        "trunk_conv3": 9 * 64 * 128 + 128,
        "trunk_dense": 3 * 3 * 128 * 1024 + 1024,
        "item_dense": 1024 * 100 + 100,
        "group_dense": 1024 * 100 + 100,
        "item": 100 * 10 + 10,
        "group": 100 * 3 + 3,
    }


def test_images_that_are_too_small() -> None:
    network("two_paths(shared=4, dense=2)", TASKS, (18, 18, 1))
    with pytest.raises(ValueError, match=r"'two_paths' takes images of 18x18 or more. Received: .*\(28, 17, 1\)"):
        network("two_paths", TASKS, (28, 17, 1))
