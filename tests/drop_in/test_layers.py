"""Layers with losses, regularizers, statistics, states and constraints, in the trunk and in heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers, ops, regularizers

from mtl_keras import TaskSplit
from tests.drop_in import graphs
from tests.drop_in.graphs import AMOUNT, KIND, LOSSES, TWO, Head, features, heads
from tests.drop_in.harness import Case, Graph, Run, check, epochs, two_steps

SPARSE = "sparse_categorical_crossentropy"


class AddsLoss(layers.Layer):
    """Adds a loss of its inputs; `value` makes it from them."""

    def __init__(self, value: Callable[[Any], Any] = lambda x: ops.mean(ops.square(x)), **arguments: Any) -> None:
        super().__init__(**arguments)
        self.value = value

    def call(self, x: Any) -> Any:
        self.add_loss(self.value(x))
        return x


class Counts(layers.Layer):
    """Counts its calls in training, in a state that is not trained."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(name="count", initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        if training:
            self.count.assign_add(1.0)
        return x


def head(*then: Callable[[], Any], units: int = 1, **arguments: Any) -> Head:
    """A head of a dense layer, through layers made by `then`."""

    def output(x: Any) -> Any:
        x = layers.Dense(units, **arguments)(x)
        for make in then:
            x = make()(x)
        return x

    return Head(output, graphs.reals(units))


def through(*then: Callable[[], Any]) -> Callable[[Any], Any]:
    return head(*then, units=6).output


def both(trunk: Any = None, amount: Head = AMOUNT, other: Head = KIND) -> Graph:
    return heads(trunk, kind=other, amount=amount)


def compiled(loss: Any = None, **arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": LOSSES if loss is None else loss, **arguments}


ONLY_KIND = {"kind": SPARSE}
PLACES: list[tuple[str, Graph]] = [
    ("add_loss in a head", both(amount=head(AddsLoss))),
    ("add_loss in the trunk", both(through(AddsLoss))),
    ("add_loss twice", both(through(AddsLoss), head(AddsLoss))),
    ("add_loss of a vector", both(amount=head(lambda: AddsLoss(lambda x: ops.sum(ops.abs(x), axis=-1))))),
    (
        "add_loss of integers",
        both(amount=head(lambda: AddsLoss(lambda x: ops.cast(ops.sum(ops.abs(x)) * 10, "int32")))),
    ),
    ("activity regularizer in a head", both(amount=head(activity_regularizer="l2"))),
    ("activity regularizer in the trunk", both(through(lambda: layers.ActivityRegularization(l1=0.1)))),
    ("kernel regularizer in a head", both(amount=head(kernel_regularizer=regularizers.L1L2(0.01, 0.02)))),
    (
        "bias regularizer in both heads",
        both(
            amount=head(bias_regularizer="l1"),
            other=Head(
                lambda x: layers.Dense(3, activation="softmax", bias_regularizer="l2", kernel_regularizer="l1")(x),
                KIND.labels,
            ),
        ),
    ),
    (
        "orthogonal regularizer",
        both(through(lambda: layers.Dense(4, kernel_regularizer=regularizers.OrthogonalRegularizer()))),
    ),
    ("BatchNorm in a head", both(amount=head(layers.BatchNormalization))),
    ("a counter in a head", both(amount=head(Counts))),
]
TRUNKS: list[tuple[str, Callable[[Any], Any]]] = [
    ("BatchNorm in the trunk", through(layers.BatchNormalization)),
    ("Dropout", through(lambda: layers.Dropout(0.4, seed=3))),
    ("Dropout without a seed", through(lambda: layers.Dropout(0.4))),
    ("GaussianNoise", through(lambda: layers.GaussianNoise(0.5, seed=3))),
    ("a counter in the trunk", through(Counts)),
    ("a constraint", through(lambda: layers.Dense(4, kernel_constraint=keras.constraints.UnitNorm()))),
    ("SpectralNormalization", through(lambda: layers.SpectralNormalization(layers.Dense(4)))),
    ("LayerNormalization", through(layers.LayerNormalization)),
    ("GroupNormalization", through(lambda: layers.GroupNormalization(2))),
    ("a frozen layer", through(lambda: layers.Dense(4, trainable=False))),
    ("frozen BatchNorm", through(lambda: layers.BatchNormalization(trainable=False))),
    ("a Lambda layer", through(lambda: layers.Lambda(lambda x: 2 * x))),
    ("operations without layers", lambda x: ops.tanh(layers.Dense(6)(x)) * 2.0 + 1.0),
    ("a model as a layer", lambda x: nested()(x)),
    (
        "a Sequential model as a layer",
        through(lambda: keras.Sequential([layers.Dense(4), layers.Dropout(0.2, seed=1)])),
    ),
]


def nested() -> keras.Model:
    inputs = keras.Input((graphs.FEATURES,))
    x = layers.BatchNormalization()(layers.Dense(5, kernel_regularizer="l2")(inputs))
    return keras.Model(inputs, AddsLoss()(x), name="nested")


def shared_head() -> tuple[Any, Any]:
    """One layer makes both outputs."""
    inputs = keras.Input((graphs.FEATURES,))
    shared = layers.Dense(1, kernel_regularizer="l2")
    return inputs, {"a": shared(layers.Dense(4)(inputs)), "b": shared(layers.Dense(4, activation="relu")(inputs))}


def one_on_the_other() -> tuple[Any, Any]:
    """One output is computed from the other."""
    inputs = keras.Input((graphs.FEATURES,))
    a = layers.Dense(3)(inputs)
    return inputs, {"a": a, "b": AddsLoss()(layers.Dense(1)(layers.BatchNormalization()(a)))}


def chain_data() -> tuple[Any, Any]:
    return features(), {"a": graphs.reals(3)(graphs.rng(1)), "b": AMOUNT.labels(graphs.rng(2))}


def pair_data() -> tuple[Any, Any]:
    return features(), {"a": AMOUNT.labels(graphs.rng(1)), "b": AMOUNT.labels(graphs.rng(2))}


def split_layer() -> tuple[Any, Any]:
    """One layer computes both outputs, which are columns of one matrix."""
    inputs = keras.Input((graphs.FEATURES,))
    b, a = TaskSplit(2)(layers.Dense(2, kernel_regularizer="l2")(layers.Dense(4)(inputs)))
    return inputs, {"a": a, "b": b}


SPLIT, SHARED, CHAIN = Graph(split_layer, pair_data), Graph(shared_head, pair_data), Graph(one_on_the_other, chain_data)
LOSS_ALONE = both(through(AddsLoss), head(AddsLoss))


def without_labels(run: Run) -> None:
    run.fit(y=None)
    run.record("train_on_batch", run.model.train_on_batch(run.x))
    run.record("test_on_batch", run.model.test_on_batch(run.x))
    run.record("evaluate", run.model.evaluate(run.x, verbose=0))
    run.state()


def losses_of_the_model(run: Run) -> None:
    run.model(run.x, training=True)
    run.record("losses", list(run.model.losses))
    two_steps(run)


def frozen_then_not(run: Run) -> None:
    """Freezes a layer and compiles again."""
    two_steps(run)
    run.model.get_layer("trunk").trainable = False
    run.model.compile("sgd", loss=LOSSES, run_eagerly=True)
    two_steps(run)
    run.record("trainable", [variable.path for variable in run.model.trainable_variables])


CASES = [
    *(Case(name, graph, compiled()) for name, graph in PLACES),
    *(Case(f"{name}, of an output without a loss", graph, compiled(ONLY_KIND), two_steps) for name, graph in PLACES),
    *(
        Case(name, both(trunk), compiled(), two_steps, fresh="model" in name or "without a seed" in name)
        for name, trunk in TRUNKS
    ),
    Case("add_loss, epochs", LOSS_ALONE, compiled(), epochs),
    Case("add_loss alone", LOSS_ALONE, lambda: {"loss": None}, without_labels),
    Case("add_loss alone, of one head", both(amount=head(AddsLoss)), dict, without_labels),
    Case("add_loss alone, one output", heads(amount=head(AddsLoss)), dict, without_labels),
    Case("no loss at all", TWO, dict, without_labels, raises=ValueError),
    Case(
        "losses of the model", both(through(AddsLoss), head(kernel_regularizer="l2")), compiled(), losses_of_the_model
    ),
    Case(
        "regularizers, loss weights",
        LOSS_ALONE,
        compiled(loss_weights={"kind": 2.0, "amount": 3.0}),
    ),
    Case("one layer with a column for each output", SPLIT, compiled({"a": "mse", "b": "mse"}), two_steps),
    Case("one layer for two outputs", SHARED, compiled({"a": "mse", "b": "mae"}), two_steps),
    Case("one output on another", CHAIN, compiled({"a": "mse", "b": "mae"}), two_steps),
    Case("one output on another without a loss", CHAIN, compiled({"b": "mae"}), two_steps),
    Case("one output on another, which has none", CHAIN, compiled({"a": "mse"}), two_steps),
    Case("frozen, and compiled again", TWO, compiled(), frozen_then_not, fresh=True),
]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_layers(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
