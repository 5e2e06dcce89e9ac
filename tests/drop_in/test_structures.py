"""Lists, tuples and dicts of losses, metrics, labels, inputs and outputs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers, losses, ops

from tests.drop_in import graphs
from tests.drop_in.graphs import (
    AMOUNT,
    KIND,
    LOSSES,
    ONE,
    SAMPLES,
    THREE,
    THREE_LOSSES,
    TWO,
    TWO_AMOUNTS,
    features,
    heads,
    rng,
)
from tests.drop_in.harness import Case, Graph, check, epochs, two_steps

SPARSE, BINARY = "sparse_categorical_crossentropy", "binary_crossentropy"


def compiled(loss: Any, **arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": loss() if callable(loss) else loss, **arguments}


def labels(graph: Graph, change: Callable[[dict[str, Any]], Any]) -> Callable[[], Any]:
    return lambda: change(graph.data()[1])


LOSSES_GIVEN = [
    Case("loss, a list in output order", THREE, compiled(["mse", BINARY, SPARSE]), two_steps),
    Case("loss, a tuple in output order", THREE, compiled(("mse", BINARY, SPARSE))),
    Case("loss, a list of objects", TWO, compiled(lambda: [losses.Huber(), losses.SparseCategoricalCrossentropy()])),
    Case("loss, a list with None", TWO, compiled([None, SPARSE])),
    Case("loss, a list with None, metrics for it", TWO, compiled([None, SPARSE], metrics=["mae", "accuracy"])),
    Case("loss, a short list", THREE, compiled(["mse", BINARY]), raises=ValueError),
    Case("loss, a list too long", TWO, compiled(["mse", SPARSE, BINARY]), raises=ValueError),
    Case("loss, one for all", TWO_AMOUNTS, compiled("mse"), two_steps),
    Case("loss, one object for all", TWO_AMOUNTS, compiled(losses.LogCosh)),
    Case("loss, one for all, metrics for one", TWO_AMOUNTS, compiled("mse", metrics={"first": ["mae"]})),
    Case("loss, a dict in another order", THREE, compiled(dict(reversed(THREE_LOSSES.items()))), two_steps),
    Case("loss, a dict with None", TWO, compiled({"kind": SPARSE, "amount": None}), two_steps),
    Case("loss, a dict of one", TWO, compiled({"kind": SPARSE}), two_steps),
    Case(
        "loss, a dict of one, metrics of both",
        TWO,
        compiled({"kind": SPARSE}, metrics={"kind": ["acc"], "amount": ["mae"]}),
    ),
    Case("loss, a dict of two of three", THREE, compiled({"kind": SPARSE, "amount": "mse"}), epochs),
    Case("loss, unknown task", TWO, compiled({**LOSSES, "nothing": "mse"}), raises=KeyError),
    Case("loss, unknown name", TWO, compiled({**LOSSES, "amount": "nothing"}), raises=ValueError),
    Case("loss, none at all", TWO, compiled(None), raises=ValueError),
    Case("loss, all None", TWO, compiled({"kind": None, "amount": None}), raises=ValueError),
    Case("loss, an ordered dict", TWO, compiled(lambda: OrderedDict(amount="mse", kind=SPARSE))),
    Case("loss, a list of one for an output", TWO, compiled({"kind": [SPARSE], "amount": ["mse"]}), two_steps),
    Case("loss, a tuple of one for an output", TWO, compiled({"kind": (SPARSE,), "amount": "mse"})),
    Case(
        "loss, two for an output",
        TWO,
        compiled({"kind": SPARSE, "amount": ["mse", "mae"]}),
        differs="Several losses for one output",
    ),
    Case(
        "loss, two for an output, weights",
        TWO,
        compiled({"kind": SPARSE, "amount": ["mse", "mae"]}, loss_weights={"kind": 1.0, "amount": [2.0, 0.5]}),
        differs="Several losses for one output",
    ),
    Case(
        "loss, two for the one output", ONE, compiled({"only": ["mse", "mae"]}), differs="Several losses for one output"
    ),
    Case(
        "loss, an own function in a list",
        TWO,
        compiled({"kind": SPARSE, "amount": [lambda t, p: ops.mean(ops.abs(t - p))]}),
    ),
]

ONE_OUTPUT = [
    Case("one, all in dicts", ONE, compiled({"only": "mse"}, metrics={"only": ["mae"]}), two_steps),
    Case("one, nothing in dicts", ONE, compiled("mse", metrics=["mae"]), two_steps, y=labels(ONE, lambda y: y["only"])),
    Case("one, epochs", ONE, compiled("mse", metrics=["mae"]), epochs, y=labels(ONE, lambda y: y["only"])),
    Case("one, epochs, labels in a dict", ONE, compiled("mse", metrics=["mae"], weighted_metrics=["mse"]), epochs),
    Case("one, loss in a list", ONE, compiled(["mse"], metrics=["mae"]), y=labels(ONE, lambda y: y["only"])),
    Case("one, labels in a list", ONE, compiled("mse"), y=labels(ONE, lambda y: [y["only"]])),
    Case("one, loss in a dict, labels not", ONE, compiled({"only": "mse"}), y=labels(ONE, lambda y: y["only"])),
    Case("one, metrics of another name", ONE, compiled("mse", metrics={"nothing": ["mae"]})),
    Case("one, loss of another name", ONE, compiled({"nothing": "mse"}), raises=Exception),
    Case(
        "one, accuracy",
        heads(kind=KIND),
        compiled(SPARSE, metrics=["accuracy"], weighted_metrics=["accuracy"]),
        two_steps,
    ),
]

LABELS = [
    Case(
        "labels, a list in output order",
        TWO,
        compiled(LOSSES),
        two_steps,
        y=labels(TWO, lambda y: [y["amount"], y["kind"]]),
    ),
    Case("labels, a tuple in output order", TWO, compiled(LOSSES), y=labels(TWO, lambda y: (y["amount"], y["kind"]))),
    Case(
        "labels, a tuple in output order, epochs",
        TWO,
        compiled(LOSSES, metrics={"kind": ["accuracy"]}),
        epochs,
        y=labels(TWO, lambda y: (y["amount"], y["kind"])),
    ),
    Case(
        "labels, a list, metrics in a list",
        TWO,
        compiled(["mse", SPARSE], metrics=[["mae"], ["accuracy"]]),
        two_steps,
        y=labels(TWO, lambda y: [y["amount"], y["kind"]]),
    ),
    Case("labels, another order", TWO, compiled(LOSSES), y=labels(TWO, lambda y: dict(reversed(y.items())))),
    Case("labels, an ordered dict", TWO, compiled(LOSSES), y=labels(TWO, lambda y: OrderedDict(y))),
    Case("labels, one missing", TWO, compiled(LOSSES), y=labels(TWO, lambda y: {"kind": y["kind"]}), raises=Exception),
    Case(
        "labels, one too many",
        TWO,
        compiled(LOSSES),
        y=labels(TWO, lambda y: {**y, "more": y["kind"]}),
        raises=Exception,
        differs="More is accepted",
    ),
    Case("labels, none", TWO, compiled(LOSSES), y=lambda: None, raises=Exception),
    Case(
        "labels, one array for two",
        TWO_AMOUNTS,
        compiled("mse"),
        y=labels(TWO_AMOUNTS, lambda y: y["first"]),
        raises=Exception,
    ),
    Case(
        "labels, only where there is a loss",
        TWO,
        compiled({"kind": SPARSE}),
        two_steps,
        y=labels(TWO, lambda y: {"kind": y["kind"]}),
    ),
    Case(
        "labels, only where there is a loss, None given",
        TWO,
        compiled({"kind": SPARSE, "amount": None}),
        two_steps,
        y=labels(TWO, lambda y: {"kind": y["kind"]}),
    ),
    Case(
        "labels, a list where there is a loss",
        TWO,
        compiled({"kind": SPARSE, "amount": None}),
        y=labels(TWO, lambda y: [y["kind"]]),
    ),
    Case(
        "labels, of a loss None",
        TWO,
        compiled({"kind": SPARSE, "amount": None}, metrics={"amount": ["mae"]}),
        two_steps,
    ),
    Case(
        "labels, python lists",
        TWO,
        compiled(LOSSES),
        y=labels(TWO, lambda y: {n: v.tolist() for n, v in y.items()}),
        raises=Exception,
    ),
    Case("labels, tensors", TWO, compiled(LOSSES), y=labels(TWO, lambda y: {n: tf.constant(v) for n, v in y.items()})),
]


def layers_named_as_outputs() -> tuple[Any, Any]:
    inputs = keras.Input((graphs.FEATURES,))
    return inputs, {name: layers.Dense(1, name=name)(inputs) for name in ("zeta", "beta", "alpha")}


def layers_named_otherwise() -> tuple[Any, Any]:
    """The layers have the names of the outputs, but each that of another one."""
    inputs = keras.Input((graphs.FEATURES,))
    return inputs, {"a": layers.Dense(1, name="b")(inputs), "b": layers.Dense(1, name="a")(inputs)}


def one_tensor_twice() -> tuple[Any, Any]:
    inputs = keras.Input((graphs.FEATURES,))
    x = layers.Dense(1)(inputs)
    return inputs, {"a": x, "b": x}


def with_the_input() -> tuple[Any, Any]:
    inputs = keras.Input((graphs.FEATURES,))
    return inputs, {"a": layers.Dense(graphs.FEATURES)(inputs), "same": inputs}


def amounts(*names: str, width: int = 1) -> Any:
    return lambda: (
        features(),
        {name: rng(i).normal(size=(SAMPLES, width)).astype("float32") for i, name in enumerate(names)},
    )


NAMED = Graph(layers_named_as_outputs, amounts("zeta", "beta", "alpha"))
SWAPPED = Graph(layers_named_otherwise, amounts("a", "b"))
ORDERED = Graph(lambda: (lambda i, o: (i, OrderedDict(o)))(*layers_named_otherwise()), amounts("b", "a"))
MAE = {"metrics": {"a": ["mae"], "b": ["mse", "mae"]}}
OUTPUTS = [
    Case(
        "outputs, layers of the same names",
        NAMED,
        compiled("mse", metrics={"alpha": ["mae"], "zeta": ["mae"]}),
        two_steps,
    ),
    Case(
        "outputs, layers of the same names, lists",
        NAMED,
        compiled(["mse", "mae", "mape"], metrics=[["mae"], ["mse"], []]),
    ),
    Case(
        "outputs, layers of the same names, labels in a list",
        NAMED,
        compiled("mse"),
        y=labels(NAMED, lambda y: [y["alpha"], y["beta"], y["zeta"]]),
    ),
    Case("outputs, layers of each other's names", SWAPPED, compiled({"a": "mse", "b": "mae"}, **MAE), two_steps),
    Case("outputs, an ordered dict", ORDERED, compiled(lambda: OrderedDict(b="mae", a="mse"), **MAE), two_steps),
    Case("outputs, an ordered dict, losses in a list", ORDERED, compiled(["mae", "mse"], **MAE)),
    Case(
        "outputs, one tensor twice",
        Graph(one_tensor_twice, amounts("a", "b")),
        compiled({"a": "mse", "b": "mae"}, **MAE),
    ),
    Case(
        "outputs, one is the input", Graph(with_the_input, amounts("a", "same", width=graphs.FEATURES)), compiled("mse")
    ),
    Case(
        "outputs, names with spaces and points",
        heads(**{"a b": AMOUNT, "c.d": AMOUNT}),
        compiled("mse", metrics={"a b": ["mae"]}),
    ),
    Case("outputs, ten alike", heads(**{f"t{i}": AMOUNT for i in range(10)}), compiled("mse")),
]


CASES = [*LOSSES_GIVEN, *ONE_OUTPUT, *LABELS, *OUTPUTS]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_structures(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
