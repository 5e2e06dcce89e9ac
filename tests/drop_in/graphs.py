"""Small networks and data for the cases."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.drop_in.harness import Graph

SAMPLES, FEATURES = 12, 5
Array = np.ndarray


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def features(samples: int = SAMPLES) -> Array:
    return rng(1).normal(size=(samples, FEATURES)).astype("float32")


@dataclass(frozen=True)
class Head:
    """An output, given the last features, and labels for it."""

    output: Callable[[Any], Any]
    labels: Callable[[np.random.Generator], Array]


def dense(units: int, activation: str | None = None, **arguments: Any) -> Callable[[Any], Any]:
    return lambda x: layers.Dense(units, activation=activation, **arguments)(x)


def reals(*shape: int) -> Callable[[np.random.Generator], Array]:
    return lambda random: random.normal(size=(SAMPLES, *shape)).astype("float32")


def integers(high: int, *shape: int, low: int = 0, dtype: str = "int32") -> Callable[[np.random.Generator], Array]:
    return lambda random: random.integers(low, high, (SAMPLES, *shape)).astype(dtype)


def one_hot(classes: int, *shape: int) -> Callable[[np.random.Generator], Array]:
    return lambda random: np.eye(classes, dtype="float32")[random.integers(0, classes, (SAMPLES, *shape))]


KIND = Head(dense(3, "softmax"), integers(3))
KIND_LOGITS = Head(dense(3), integers(3, 1))
ONE_HOT = Head(dense(3, "softmax"), one_hot(3))
ONE_HOT_LOGITS = Head(dense(3), one_hot(3))
FLAG = Head(dense(1, "sigmoid"), integers(2, 1))
FLAG_LOGIT = Head(dense(1), integers(2, 1, dtype="float32"))
FLAGS = Head(dense(4, "sigmoid"), integers(2, 4))
AMOUNT = Head(dense(1), reals(1))
AMOUNT_FLAT = Head(dense(1), reals())
POSITIVE = Head(dense(2, "softplus"), lambda random: random.random((SAMPLES, 2)).astype("float32") + 0.1)
VECTOR = Head(dense(4), reals(4))
SHARES = Head(dense(3, "softmax"), lambda random: random.dirichlet(np.ones(3), SAMPLES).astype("float32"))
SIGN = Head(dense(1, "tanh"), lambda random: random.choice([-1, 1], (SAMPLES, 1)).astype("float32"))
SCALAR = Head(lambda x: layers.Reshape(())(layers.Dense(1)(x)), reals())
MATRIX = Head(lambda x: layers.Reshape((2, 3))(layers.Dense(6)(x)), reals(2, 3))
MAP = Head(lambda x: layers.Softmax()(layers.Reshape((2, 2, 3))(layers.Dense(12)(x))), integers(3, 2, 2))


@functools.cache
def heads(trunk: Callable[[Any], Any] | None = None, **outputs: Head) -> Graph:
    """A network of one hidden layer, or `trunk`, and heads."""

    def build() -> tuple[Any, dict[str, Any]]:
        inputs = keras.Input((FEATURES,), name="features")
        x = (trunk or layers.Dense(6, activation="tanh", name="trunk"))(inputs)
        return inputs, {name: head.output(x) for name, head in outputs.items()}

    def data() -> tuple[Array, dict[str, Array]]:
        return features(), {name: head.labels(rng(place)) for place, (name, head) in enumerate(outputs.items())}

    return Graph(build, data)


def normalised(x: Any) -> Any:
    """A trunk with BatchNorm, Dropout and a regularizer."""
    x = layers.Dense(6, activation="relu", kernel_regularizer="l2")(x)
    return layers.Dropout(0.3, seed=1)(layers.BatchNormalization()(x))


ONE = heads(only=AMOUNT)
TWO = heads(kind=KIND, amount=AMOUNT)
TWO_AMOUNTS = heads(second=AMOUNT, first=AMOUNT)
THREE = heads(kind=KIND, flag=FLAG, amount=AMOUNT)
ALIKE = heads(b=FLAG, a=FLAG, c=FLAG)
NORMALISED = heads(normalised, kind=KIND, amount=AMOUNT)
LOSSES = {"kind": "sparse_categorical_crossentropy", "amount": "mse"}
THREE_LOSSES = {**LOSSES, "flag": "binary_crossentropy"}


def _tokens() -> tuple[Any, dict[str, Any]]:
    inputs = keras.Input((4,), dtype="int32", name="tokens")
    x = layers.Embedding(7, 5, mask_zero=True)(inputs)
    return inputs, {"tag": layers.Dense(3, activation="softmax")(x), "score": layers.Dense(1)(x)}


def _token_data() -> tuple[Array, dict[str, Array]]:
    random = rng()
    tokens = random.integers(1, 7, (SAMPLES, 4)).astype("int32")
    for row, length in enumerate(random.integers(1, 5, SAMPLES)):
        tokens[row, length:] = 0
    return tokens, {
        "tag": random.integers(0, 3, (SAMPLES, 4)).astype("int32"),
        "score": random.normal(size=(SAMPLES, 4, 1)).astype("float32"),
    }


TOKENS = Graph(_tokens, _token_data)
TOKEN_LOSSES = {"tag": "sparse_categorical_crossentropy", "score": "mse"}


def weights(*shape: int, seed: int = 5, dtype: str = "float32") -> Array:
    """Sample weights between 0 and 2."""
    return (2 * rng(seed).random((SAMPLES, *shape))).astype(dtype)


def by_task_weights() -> dict[str, Array]:
    """Sample weights for each task of `TWO`."""
    return {"kind": weights(seed=1), "amount": weights(seed=2)}
