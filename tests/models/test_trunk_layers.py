"""Which layers are the trunk: of networks with several tasks, with one, and of one's own."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import layers

from models import network, trunk_layers
from mtl_keras.tasks import Task, TaskSet
from mtl_keras.testing import toy_graph

TASKS = TaskSet([Task.classification("item", 4), Task.binary("worn"), Task.binary("new"), Task.regression("price")])
MLP = ["trunk_dense1", "trunk_dense2"]


def named(graph: tuple[Any, dict[str, Any]]) -> list[str]:
    return sorted(trunk_layers(graph[1]))


@pytest.mark.parametrize("tasks", [TASKS.names, ("item",), ("worn",), ("worn", "new"), ("price",)])
def test_of_hard_sharing(tasks: tuple[str, ...]) -> None:
    assert named(network("mlp", TASKS.subset(tasks), (4, 4, 1))) == MLP


def test_what_some_tasks_share_is_no_trunk() -> None:
    graph = network("face_groups(trunk='mlp', frozen=False)", TASKS.subset(["worn", "new", "price"]), (4, 4, 1))
    assert named(graph) == MLP
    graph = network("face_groups(trunk='mlp', frozen=False)", TASKS.subset(["worn", "new"]), (4, 4, 1))
    assert named(graph) == MLP


def test_names_of_ones_own() -> None:
    assert named(toy_graph()) == ["trunk_conv", "trunk_dense", "trunk_norm"]
    inputs = keras.Input((4,))
    low = layers.Dense(2, name="low")(inputs)
    outputs = {"a": layers.Dense(1, name="first")(layers.Dense(2, name="neck")(low)), "b": layers.Dense(1)(low)}
    assert trunk_layers(outputs) == ["low"]
    assert sorted(trunk_layers({"a": outputs["a"]})) == ["low", "neck"]


def test_tasks_that_share_nothing() -> None:
    assert trunk_layers({name: layers.Dense(1)(keras.Input((4,))) for name in ("a", "b")}) == []
