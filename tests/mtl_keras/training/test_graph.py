"""Which tasks use which variables of a graph, and the models that `MultiTaskModel` accepts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mtl_keras import MultiTaskModel, TaskSplit
from mtl_keras.testing import toy_graph
from mtl_keras.training import graph


def owners(outputs: dict[str, Any]) -> dict[str, list[str]]:
    """`layer/variable` -> the tasks that reach each block of it, e.g. `["a", "b"]` for two private columns."""
    names = list(outputs)
    return {
        "/".join(entry.variable.path.split("/")[-2:]): [
            " ".join(name for name, reached in zip(names, row) if reached) for row in entry.reached
        ]
        for entry in graph.ownership(outputs)
    }


def test_toy_graph() -> None:
    found = owners(toy_graph()[1])
    everyone = ["kind bright round copy"]
    assert found["trunk_conv/kernel"] == found["trunk_norm/moving_mean"] == found["trunk_dense/bias"] == everyone
    assert found["kind/kernel"] == ["kind"]
    assert found["attributes/kernel"] == found["attributes/bias"] == ["bright", "round"]
    assert found["copy_norm/moving_variance"] == ["copy"]
    assert any(name.endswith("seed_generator_state") and reached == ["kind"] for name, reached in found.items())


def test_each_variable_is_listed_once_and_a_layer_called_twice_belongs_to_both() -> None:
    inputs = keras.Input((4,))
    twice, own = layers.Dense(4, name="twice"), layers.Dense(4, name="own")
    outputs = {"a": twice(inputs), "b": twice(own(inputs))}
    entries = graph.ownership(outputs)
    assert len({id(entry.variable) for entry in entries}) == len(entries) == 4
    assert owners(outputs) == {
        "twice/kernel": ["a b"], "twice/bias": ["a b"], "own/kernel": ["b"], "own/bias": ["b"],
    }  # fmt: skip


def nested(units: int, size: int, name: str) -> keras.Model:
    inputs = keras.Input((size,))
    x = layers.Dense(3, name=f"{name}_first")(inputs)
    return keras.Model(inputs, layers.Dense(units, name=f"{name}_second")(x), name=name)


def test_nested_models() -> None:
    inputs = keras.Input((4,))
    trunk = keras.Sequential([layers.Dense(5, name="trunk_dense"), layers.Activation("relu")], name="trunk")
    x = trunk(inputs)
    outputs = {"a": nested(2, 5, "decoder")(x), "b": layers.Dense(1, name="b")(x)}
    found = owners(outputs)
    assert found["trunk_dense/kernel"] == ["a b"]
    assert found["decoder_first/kernel"] == found["decoder_second/bias"] == ["a"]
    assert found["b/kernel"] == ["b"]
    assert graph.depths(outputs) == {"a": 3, "b": 2}


def test_inputs_of_their_own() -> None:
    left, right = keras.Input((2,), name="left"), keras.Input((3,), name="right")
    x, y = layers.Dense(4, name="x")(left), layers.Dense(4, name="y")(right)
    outputs = {"l": layers.Dense(1, name="l")(x), "both": layers.Dense(1, name="both")(layers.Add()([x, y]))}
    found = owners(outputs)
    assert (found["x/kernel"], found["y/kernel"]) == (["l both"], ["both"])
    model = graph.sub_model([left, right], [unit for unit in graph.units(outputs) if "l" in unit.tasks])
    assert list(model([np.ones((1, 2)), np.full((1, 3), np.nan)])) == ["l"]
    assert not np.isnan(model([np.ones((1, 2)), np.full((1, 3), np.nan)])["l"]).any()
    assert "y" not in [layer.name for layer in model.layers]


def test_two_splits_with_several_units_a_task() -> None:
    inputs = keras.Input((4,))
    first = TaskSplit(2)(layers.Dense(4, name="first")(inputs))
    second = TaskSplit(3)(layers.Dense(3, name="second")(inputs))
    outputs = {"s1": second[1], "f0": first[0], "s0": second[0], "f1": first[1]}
    found = owners(outputs)
    assert found["first/kernel"] == ["f0", "f1"]
    assert found["second/bias"] == ["s0", "s1", ""]
    units = {unit.tasks: (unit.columns, unit.shares) for unit in graph.units(outputs)}
    assert units == {("s1", "s0"): ((1, 0), 3), ("f0", "f1"): ((0, 1), 2)}


def readers() -> dict[str, dict[str, Any]]:
    """Graphs in which more than the tasks of a split depend on the matrix in front of it."""
    inputs = keras.Input((4,))

    def head() -> tuple[Any, Any]:
        dense = layers.Dense(2, name="matrix")
        return dense, dense(inputs)

    graphs = {}
    _, matrix = head()
    a, b = TaskSplit(2)(matrix)
    graphs["a_layer_reads_the_matrix"] = {"a": a, "b": b, "c": layers.Dense(1, name="c")(matrix)}
    _, matrix = head()
    a, b = TaskSplit(2)(matrix)
    graphs["a_layer_reads_a_share"] = {"a": a, "b": b, "c": layers.Dense(1, name="c")(a)}
    _, matrix = head()
    a, b = TaskSplit(2)(matrix)
    graphs["a_layer_reads_a_share_that_is_no_task"] = {"a": a, "c": layers.Dense(1, name="c")(b)}
    _, matrix = head()
    a, b = TaskSplit(2)(matrix)
    graphs["the_matrix_is_an_output"] = {"a": a, "b": b, "c": matrix}
    _, matrix = head()
    graphs["two_splits_read_it"] = {"a": TaskSplit(2)(matrix)[0], "c": TaskSplit(2)(matrix)[1]}
    dense, matrix = head()
    a, b = TaskSplit(2)(matrix)
    graphs["the_layer_is_called_twice"] = {"a": a, "b": b, "c": dense(layers.Dense(4)(inputs))}
    return graphs


@pytest.mark.parametrize("case", readers())
def test_columns_that_others_read_are_shared(case: str) -> None:
    outputs = readers()[case]
    assert owners(outputs)["matrix/kernel"] == [" ".join(outputs)]


def test_columns_are_private_whatever_other_models_do_with_the_layer() -> None:
    inputs = keras.Input((4,))
    dense = layers.Dense(2, name="matrix")
    a, b = TaskSplit(2)(dense(inputs))
    dense(keras.Input((4,)))
    assert owners({"a": a, "b": b})["matrix/kernel"] == ["a", "b"]


def test_depth_is_that_of_the_longest_branch() -> None:
    inputs = keras.Input((4,))
    short, long = layers.Dense(3)(inputs), inputs
    for _ in range(3):
        long = layers.Activation("relu")(layers.Dense(3)(long))
    joined = layers.Add()([short, long])
    outputs = {"none": layers.Flatten()(inputs), "short": short, "joined": joined, "more": layers.Dense(1)(joined)}
    assert graph.depths(outputs) == {"none": 0, "short": 1, "joined": 3, "more": 4}


def test_depth_of_many_joined_branches_is_found_quickly() -> None:
    x = keras.Input((2,))
    for _ in range(60):
        x = layers.Add()([x, layers.Dense(2)(x)])
    assert graph.depths({"a": x}) == {"a": 60}


INPUTS = keras.Input((4,))
FEATURES = keras.layers.Dense(3)(INPUTS)
A, B = (keras.layers.Dense(2)(FEATURES) for _ in range(2))


class Subclassed(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


def test_from_a_functional_model() -> None:
    model = keras.Model(INPUTS, {"a": A, "b": B}, name="mine")
    ours = MultiTaskModel.from_model(model)
    assert (ours.name, list(ours.outputs_by_task)) == ("mine", ["a", "b"])
    assert [one is other for one, other in zip(ours.weights, model.weights, strict=True)] == [True] * 6
    x = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(ours(x)["b"], model(x)["b"])


def test_inputs_keep_their_structure() -> None:
    named = {"low": keras.Input((2,), name="low"), "high": keras.Input((2,), name="high")}
    sum_ = keras.layers.Add()(list(named.values()))
    model = keras.Model(named, {"a": keras.layers.Dense(1)(sum_)})
    assert set(MultiTaskModel.from_model(model).inputs_struct) == {"low", "high"}


@pytest.mark.parametrize(
    ("outputs", "received"),
    [
        ([A, B], "a list of 2 outputs"),
        (A, r"one output \(None, 2\)"),
        ({"a": A, "more": {"b": B}}, "a dict with the keys 'b' under 'more'"),
        ({"a": [A], "b": B}, "a list of 1 outputs under 'a'"),
        ({0: A}, "one output .* under 0"),
        ({}, "{}"),
    ],
)
def test_outputs_are_a_flat_dict(outputs: Any, received: str) -> None:
    with pytest.raises(ValueError, match=rf"^`outputs` must be a .*dict from task name to .*Received: {received}$"):
        MultiTaskModel(INPUTS, outputs)


def test_a_list_of_outputs_of_a_model() -> None:
    with pytest.raises(ValueError, match=r"must be a dict .*Received: a list of 2 outputs"):
        MultiTaskModel.from_model(keras.Model(INPUTS, [A, B]))


@pytest.mark.parametrize(
    ("model", "received"),
    [
        (keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "a Sequential"),
        (Subclassed(), "a Subclassed"),
        (keras.layers.Dense(2), "a Dense"),
    ],
)
def test_models_without_a_graph(model: Any, received: str) -> None:
    with pytest.raises(ValueError, match=rf"must be a Functional model.*Received: {received}$"):
        MultiTaskModel.from_model(model)
