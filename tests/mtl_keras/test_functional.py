"""What a `MultiTaskModel` can be made of, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel

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
