"""Masks, sample weights, temporal weights, class weights and loss weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, losses, metrics, ops

from tests.drop_in import graphs
from tests.drop_in.graphs import (
    FLAG,
    KIND,
    LOSSES,
    ONE,
    SAMPLES,
    THREE,
    THREE_LOSSES,
    TOKEN_LOSSES,
    TOKENS,
    TWO,
    heads,
    rng,
    weights,
)
from tests.drop_in.harness import Case, Graph, Run, check, epochs, two_steps

SPARSE = "sparse_categorical_crossentropy"


def sequences(build: Any) -> Graph:
    """A network of sequences (4, 3) whose ends are 0, for which `build` makes the outputs."""

    def graph() -> tuple[Any, Any]:
        inputs = keras.Input((4, 3), name="sequence")
        return inputs, build(layers.Masking()(inputs))

    def data() -> tuple[Any, Any]:
        tokens, labels = TOKENS.data()
        x = rng(3).normal(size=(SAMPLES, 4, 3)).astype("float32") * (tokens > 0)[..., None]
        return x, {
            **labels,
            "whole": labels["score"][:, 0],
            "again": labels["score"] + 1,
            "plain": labels["score"][:, 0],
        }

    return Graph(graph, lambda: (data()[0], {name: data()[1][name] for name in build(keras.Input((4, 3)))}))


class HalfMask(layers.Layer):
    """Masks the second half of a sequence."""

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.logical_and(ops.ones_like(inputs[..., 0], dtype="bool"), ops.arange(4) < 2)

    def call(self, inputs: Any) -> Any:
        return 2.0 * inputs


def squared(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


ALIKE = sequences(lambda x: {"score": layers.Dense(1)(x), "again": layers.Dense(1)(x)})
POOLED = sequences(
    lambda x: {"score": layers.Dense(1)(x), "whole": layers.Dense(1)(layers.GlobalAveragePooling1D()(x))}
)
RECURRENT = sequences(
    lambda x: {"score": layers.SimpleRNN(1, return_sequences=True)(x), "whole": layers.SimpleRNN(1)(x)}
)
FLATTENED = sequences(lambda x: {"score": layers.Dense(1)(x), "plain": layers.Dense(1)(layers.Flatten()(x))})
OWN_MASK = sequences(lambda x: {"score": HalfMask()(layers.Dense(1)(x)), "again": layers.Dense(1)(x)})
LONE = sequences(lambda x: {"score": layers.Dense(1)(x)})


def temporal() -> dict[str, Any]:
    return {"tag": weights(4, seed=1), "score": weights(4, seed=2)}


def tokens(**arguments: Any) -> Any:
    return lambda: {"loss": TOKEN_LOSSES, **{name: make() for name, make in arguments.items()}}


TOKEN_METRICS = {"tag": ["accuracy", SPARSE], "score": ["mae", "mse"]}
MASKS = [
    Case("mask", TOKENS, tokens(), two_steps),
    Case("mask, metrics", TOKENS, tokens(metrics=lambda: TOKEN_METRICS), two_steps),
    Case("mask, weighted metrics", TOKENS, tokens(weighted_metrics=lambda: TOKEN_METRICS), weight=temporal),
    Case("mask, temporal weights", TOKENS, tokens(), two_steps, weight=temporal),
    Case("mask, weights (n, 1)", TOKENS, tokens(), weight=lambda: {"tag": weights(1), "score": weights(1)}),
    Case("mask, weights of samples", TOKENS, tokens(), weight=lambda: weights(), raises=Exception),
    Case("mask, sum", TOKENS, lambda: {"loss": {**TOKEN_LOSSES, "score": losses.MeanSquaredError(reduction="sum")}}),
    Case(
        "mask, mean of weights",
        TOKENS,
        weight=temporal,
        arguments=lambda: {
            "loss": {**TOKEN_LOSSES, "score": losses.MeanSquaredError(reduction="mean_with_sample_weight")}
        },
    ),
    Case(
        "mask, ignored class",
        TOKENS,
        lambda: {"loss": {"tag": losses.SparseCategoricalCrossentropy(ignore_class=1), "score": "mae"}},
    ),
    Case("mask, own loss", TOKENS, lambda: {"loss": {**TOKEN_LOSSES, "score": squared}}),
    Case("mask, own metric", TOKENS, tokens(metrics=lambda: {"score": [squared, metrics.MeanAbsoluteError(name="m")]})),
    Case("mask, one output without a loss", TOKENS, lambda: {"loss": {"tag": SPARSE}, "metrics": {"score": ["mae"]}}),
    Case("mask, all is padding", TOKENS, tokens(), x=lambda: np.zeros((SAMPLES, 4), "int32")),
    Case("mask, loss weights", TOKENS, tokens(loss_weights=lambda: {"tag": 0.5, "score": 3.0})),
    Case("mask, epochs", TOKENS, tokens(metrics=lambda: TOKEN_METRICS), epochs),
    Case("mask, two tasks alike", ALIKE, lambda: {"loss": {"score": "mse", "again": "mse"}}, two_steps),
    Case(
        "mask, two tasks alike, metrics",
        ALIKE,
        lambda: {"loss": {"score": "mse", "again": "mse"}, "metrics": {"score": ["mae"], "again": ["mae"]}},
    ),
    Case("mask, pooled", POOLED, lambda: {"loss": {"score": "mse", "whole": "mse"}}),
    Case("mask, recurrent", RECURRENT, lambda: {"loss": {"score": "mse", "whole": "mse"}}),
    Case("mask, flattened", FLATTENED, lambda: {"loss": {"score": "mae", "plain": "mae"}}),
    Case("mask, of an own layer", OWN_MASK, lambda: {"loss": {"score": "mse", "again": "mse"}}),
    Case("mask, one output", LONE, lambda: {"loss": "mse", "metrics": ["mae"]}, two_steps),
]


def by_task(*shape: int, **more: Any) -> Any:
    return lambda: {"kind": weights(*shape, seed=1, **more), "amount": weights(*shape, seed=2, **more)}


def two(**arguments: Any) -> Any:
    return lambda: {"loss": LOSSES, **{name: make() for name, make in arguments.items()}}


SAMPLE_WEIGHTS = [
    Case("one array for all", TWO, two(), two_steps, weight=weights),
    Case("a dict", TWO, two(), two_steps, weight=by_task()),
    Case(
        "a list in output order",
        TWO,
        two(),
        weight=lambda: [weights(seed=1), weights(seed=2)],
        raises=TypeError,
        differs="More is accepted",
    ),
    Case(
        "of one task alone", TWO, two(), weight=lambda: {"kind": weights()}, raises=KeyError, differs="More is accepted"
    ),
    Case("integers", TWO, two(), weight=lambda: np.arange(SAMPLES)),
    Case("float64", TWO, two(), weight=by_task(dtype="float64")),
    Case("a column", TWO, two(), weight=by_task(1)),
    Case("zeros", TWO, two(), weight=lambda: np.zeros(SAMPLES, "float32")),
    Case("some negative", TWO, two(), weight=lambda: np.linspace(-1, 2, SAMPLES).astype("float32")),
    Case("of another length", TWO, two(), weight=lambda: np.ones(5, "float32"), raises=Exception),
    Case(
        "by element, of a vector",
        heads(v=graphs.VECTOR, w=graphs.VECTOR),
        lambda: {"loss": "mse"},
        weight=lambda: weights(4),
        raises=Exception,
    ),
    Case(
        "by pixel",
        heads(map=graphs.MAP, kind=KIND),
        lambda: {"loss": SPARSE, "weighted_metrics": {"map": ["acc"]}},
        weight=lambda: {"map": weights(2, 2), "kind": weights()},
    ),
    Case(
        "with epochs",
        TWO,
        two(weighted_metrics=lambda: {"kind": ["accuracy"], "amount": ["mae"]}),
        epochs,
        weight=by_task(),
    ),
    Case("one output", ONE, lambda: {"loss": "mse", "weighted_metrics": ["mae"]}, two_steps, weight=weights),
    Case("one output, a dict", ONE, lambda: {"loss": "mse"}, weight=lambda: {"only": weights()}),
    Case("metrics take none", TWO, two(metrics=lambda: {"amount": ["mae"]}), weight=by_task()),
    Case("of an output without a loss", TWO, lambda: {"loss": {"kind": SPARSE, "amount": None}}, weight=by_task()),
]

FLAG_ALONE = heads(flag=FLAG)


def class_weight(run: Run) -> None:
    run.fit(class_weight={0: 1.0, 1: 5.0}, validation_data=(run.x, run.y))
    run.evaluate()
    run.state()


CLASS_WEIGHTS = [
    Case("class_weight, two outputs", TWO, two(), class_weight, raises=ValueError),
    Case(
        "class_weight, one output",
        FLAG_ALONE,
        lambda: {"loss": "bce", "weighted_metrics": ["accuracy"]},
        class_weight,
        y=lambda: FLAG_ALONE.data()[1]["flag"],
    ),
    Case(
        "class_weight, one output, labels in a dict",
        FLAG_ALONE,
        lambda: {"loss": "bce"},
        class_weight,
        raises=ValueError,
    ),
    Case(
        "class_weight and sample_weight",
        FLAG_ALONE,
        lambda: {"loss": "bce"},
        class_weight,
        weight=weights,
        y=lambda: FLAG_ALONE.data()[1]["flag"],
        raises=ValueError,
    ),
]


def live(run: Run) -> None:
    """Changes a loss weight that is a variable between the steps."""
    for value in (1.0, 3.0, 0.25):
        run.arguments["loss_weights"]["amount"].assign(value)
        run.record(f"at {value}", run.model.train_on_batch(run.x, run.y))
    run.record("test", run.model.test_on_batch(run.x, run.y))
    run.state()


def with_weights(value: Any, loss: Any = None) -> Any:
    return lambda: {"loss": loss or THREE_LOSSES, "loss_weights": value() if callable(value) else value}


def variable(value: float = 2.0) -> Any:
    return keras.Variable(value, trainable=False, name="weight")


FULL = {"kind": 0.5, "flag": 1.5, "amount": 3.0}
LOSS_WEIGHTS = [
    Case("loss_weights, a dict", THREE, with_weights(FULL), two_steps),
    Case("loss_weights, another order", THREE, with_weights(dict(reversed(FULL.items())))),
    Case("loss_weights, a list", THREE, with_weights([0.5, 1.5, 3.0])),
    Case("loss_weights, a tuple", THREE, with_weights((0.5, 1.5, 3.0))),
    Case("loss_weights, a list, and losses in a list", THREE, with_weights([0.5, 1.5, 3.0], ["mse", "bce", SPARSE])),
    Case("loss_weights, a dict, and losses in a list", THREE, with_weights(FULL, ["mse", "bce", SPARSE])),
    Case("loss_weights, integers", THREE, with_weights({"kind": 1, "flag": 2, "amount": 3})),
    Case("loss_weights, numpy", THREE, with_weights({name: np.float64(value) for name, value in FULL.items()})),
    Case("loss_weights, a short list", THREE, with_weights([1.0, 2.0]), raises=ValueError),
    Case("loss_weights, partial", THREE, with_weights({"kind": 2.0}), raises=ValueError, differs="More is accepted"),
    Case("loss_weights, unknown", THREE, with_weights({**FULL, "nothing": 1.0}), raises=ValueError),
    Case("loss_weights, a string", THREE, with_weights("kind"), raises=ValueError),
    Case("loss_weights, one number for three", THREE, with_weights(2.0), raises=Exception),
    Case("loss_weights, one number for one", ONE, with_weights(2.0, "mse"), two_steps),
    Case("loss_weights, a list for one", ONE, with_weights([2.0], "mse"), two_steps),
    Case("loss_weights, a dict for one", ONE, with_weights({"only": 2.0}, "mse"), two_steps),
    Case("loss_weights, a dict for a dict of one", ONE, with_weights({"only": 2.0}, {"only": "mse"})),
    Case(
        "loss_weights, of a loss None",
        TWO,
        with_weights({"kind": 2.0, "amount": 3.0}, {"kind": SPARSE, "amount": None}),
    ),
    Case(
        "loss_weights, None of a loss None",
        TWO,
        with_weights({"kind": 2.0, "amount": None}, {"kind": SPARSE, "amount": None}),
    ),
    Case(
        "loss_weights, of an output without a loss",
        TWO,
        with_weights({"kind": 2.0, "amount": 3.0}, {"kind": SPARSE}),
        raises=ValueError,
        differs="More is accepted",
    ),
    Case("loss_weights, variables", TWO, with_weights(lambda: {"kind": 1.0, "amount": variable()}, LOSSES), live),
    Case(
        "loss_weights, variables alone",
        TWO,
        with_weights(lambda: {"kind": variable(), "amount": variable()}, LOSSES),
        live,
    ),
    Case(
        "loss_weights, variables, compiled",
        TWO,
        lambda: {"loss": LOSSES, "loss_weights": {"kind": 1.0, "amount": variable()}, "run_eagerly": False},
        live,
    ),
    Case(
        "loss_weights, zero",
        TWO,
        lambda: {
            "loss": LOSSES,
            "loss_weights": {"kind": 1.0, "amount": 0.0},
            "optimizer": keras.optimizers.AdamW(weight_decay=0.5),
        },
        differs="Weight 0",
    ),
    Case("loss_weights, negative", TWO, with_weights({"kind": 1.0, "amount": -1.0}, LOSSES), differs="Refused weights"),
    Case("loss_weights, all zero", TWO, with_weights({"kind": 0.0, "amount": 0.0}, LOSSES), differs="Refused weights"),
]

CASES = [*MASKS, *SAMPLE_WEIGHTS, *CLASS_WEIGHTS, *LOSS_WEIGHTS]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.filterwarnings("ignore:Layer .flatten. .* was passed an input with a mask")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_weights(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
