"""Inputs: structures, optional, sparse, images, other dtypes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.drop_in import graphs
from tests.drop_in.graphs import LOSSES, SAMPLES, TWO, features, rng
from tests.drop_in.harness import Case, Graph, Run, check, two_steps

SPARSE = "sparse_categorical_crossentropy"


def compiled(loss: Any, **arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": loss, **arguments}


def several_inputs(kind: str) -> Graph:
    def build() -> tuple[Any, Any]:
        left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
        x = layers.Concatenate()([left, right])
        inputs = {"list": [left, right], "tuple": (left, right), "dict": {"left": left, "right": right}}[kind]
        return inputs, {"kind": layers.Dense(3, activation="softmax")(x), "amount": layers.Dense(1)(left)}

    def data() -> tuple[Any, Any]:
        left, right = features()[:, :3], features()[:, 3:]
        inputs = {"list": [left, right], "tuple": (left, right), "dict": {"right": right, "left": left}}[kind]
        return inputs, TWO.data()[1]

    return Graph(build, data)


class OrElse(layers.Layer):
    """Adds an input that may be absent."""

    def call(self, x: Any, y: Any = None) -> Any:
        return x if y is None else x + y


def optional(name: str) -> Graph:
    def build() -> tuple[Any, Any]:
        given, absent = (
            keras.Input((graphs.FEATURES,), name="m"),
            keras.Input((graphs.FEATURES,), name=name, optional=True),
        )
        x = OrElse()(given, absent)
        return {"m": given, name: absent}, {
            "kind": layers.Dense(3, activation="softmax")(x),
            "amount": layers.Dense(1)(x),
        }

    return Graph(build, lambda: ({"m": features(), name: None}, TWO.data()[1]))


def sparse() -> tuple[Any, Any]:
    inputs = keras.Input((graphs.FEATURES,), sparse=True)
    x = layers.Dense(4, activation="tanh")(inputs)
    return inputs, {"kind": layers.Dense(3, activation="softmax")(x), "amount": layers.Dense(1)(x)}


def sparse_data() -> tuple[Any, Any]:
    return tf.sparse.from_dense(np.maximum(features(), 0)), TWO.data()[1]


def images() -> tuple[Any, Any]:
    inputs = keras.Input((4, 4, 1), dtype="uint8")
    x = layers.Conv2D(2, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    return inputs, {"map": layers.Conv2D(3, 1, activation="softmax")(x), "amount": layers.Dense(1)(layers.Flatten()(x))}


def image_data() -> tuple[Any, Any]:
    random = rng()
    maps = random.integers(0, 3, (SAMPLES, 4, 4, 1))
    return random.integers(0, 255, (SAMPLES, 4, 4, 1)).astype("uint8"), {"map": maps, "amount": TWO.data()[1]["amount"]}


def given_and_absent(run: Run) -> None:
    run.record("absent", run.model.train_on_batch(run.x, run.y))
    run.record(
        "given", run.model.train_on_batch({**run.x, **{n: run.x["m"] for n, v in run.x.items() if v is None}}, run.y)
    )
    run.record("absent again", run.model.test_on_batch(run.x, run.y))
    run.state()


def fitted(run: Run) -> None:
    run.fit(batch_size=6)
    run.state()


CASES = [
    *(Case(f"a {kind}", several_inputs(kind), compiled(LOSSES), two_steps) for kind in ("list", "tuple", "dict")),
    Case("optional, last", optional("z"), compiled(LOSSES), given_and_absent),
    Case("optional, first", optional("a"), compiled(LOSSES), given_and_absent),
    Case("optional, compiled", optional("z"), compiled(LOSSES, run_eagerly=False), fitted),
    Case("sparse", Graph(sparse, sparse_data), compiled(LOSSES), two_steps),
    Case("sparse, compiled", Graph(sparse, sparse_data), compiled(LOSSES, run_eagerly=False), fitted),
    Case(
        "images",
        Graph(images, image_data),
        compiled({"map": SPARSE, "amount": "mse"}, metrics={"map": ["accuracy"]}),
    ),
    Case("of another shape", TWO, compiled(LOSSES), x=lambda: features()[:, :3], raises=ValueError),
    Case("tensors", TWO, compiled(LOSSES), x=lambda: tf.constant(features())),
    Case("float64", TWO, compiled(LOSSES), x=lambda: features().astype("float64")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_inputs(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
