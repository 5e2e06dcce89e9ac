"""Optimizers, precision, and repeated calls of `compile`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers, losses, metrics, optimizers

from tests.drop_in import graphs
from tests.drop_in.graphs import (
    AMOUNT,
    KIND,
    LOSSES,
    NORMALISED,
    ONE,
    TOKEN_LOSSES,
    TOKENS,
    TWO,
    heads,
    weights,
)
from tests.drop_in.harness import Case, Run, check, epochs, two_steps

SPARSE = "sparse_categorical_crossentropy"


class OwnApplyGradients(optimizers.SGD):
    """Takes the gradients apart before they are applied."""

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        return super().apply_gradients([(2.0 * gradient, variable) for gradient, variable in grads_and_vars])


class OwnApply(optimizers.SGD):
    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        return super().apply([-gradient for gradient in grads], trainable_variables)


class OwnUpdateStep(optimizers.SGD):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        variable.assign_sub(0.5 * gradient)


class OwnScaleLoss(optimizers.SGD):
    def scale_loss(self, loss: Any) -> Any:
        return 3.0 * loss


def without_decay_of_biases() -> Any:
    optimizer = optimizers.AdamW(0.01, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


OPTIMIZERS: list[tuple[str, Callable[[], Any]]] = [
    ("SGD with momentum", lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True)),
    ("a name", lambda: "adam"),
    ("a config", lambda: {"class_name": "RMSprop", "config": {"momentum": 0.5}}),
    ("AdamW", lambda: optimizers.AdamW(0.01, weight_decay=0.1)),
    ("AdamW without decay of biases", without_decay_of_biases),
    ("AMSGrad", lambda: optimizers.Adam(0.01, amsgrad=True)),
    ("Adagrad", optimizers.Adagrad),
    ("Adadelta", optimizers.Adadelta),
    ("Adamax", optimizers.Adamax),
    ("Nadam", optimizers.Nadam),
    ("Ftrl", optimizers.Ftrl),
    ("Lion", optimizers.Lion),
    ("Lamb", optimizers.Lamb),
    ("Adafactor", optimizers.Adafactor),
    ("clipvalue", lambda: optimizers.SGD(0.1, clipvalue=0.01)),
    ("clipnorm", lambda: optimizers.SGD(0.1, clipnorm=0.1)),
    ("global_clipnorm", lambda: optimizers.Adam(0.1, global_clipnorm=0.1)),
    ("moving averages", lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)),
    ("accumulated gradients", lambda: optimizers.SGD(0.1, gradient_accumulation_steps=2)),
    ("a schedule", lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5))),
    ("its own schedule", lambda: optimizers.Adam(lambda: 0.05)),
    ("a loss scale", lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=64.0)),
    ("a factor of the loss", lambda: optimizers.SGD(0.1, loss_scale_factor=8.0)),
    ("own apply_gradients", lambda: OwnApplyGradients(0.1)),
    ("own apply", lambda: OwnApply(0.1)),
    ("own update_step", lambda: OwnUpdateStep(0.1)),
    ("own scale_loss", lambda: OwnScaleLoss(0.1)),
]


def some_steps(run: Run) -> None:
    for step in range(2):
        run.record(f"step {step}", run.model.train_on_batch(run.x, run.y))
    run.state()
    run.record("iterations", run.model.optimizer.iterations)


def _optimizer(name: str, make: Callable[[], Any]) -> Case:
    return Case(name, TWO, lambda: {"loss": LOSSES, "optimizer": make()}, some_steps)


def evaluated(run: Run) -> None:
    """What works without an optimizer."""
    run.record("test_on_batch", run.model.test_on_batch(run.x, run.y))
    run.evaluate()
    run.predict()
    run.record("metrics_names", list(run.model.metrics_names))


def no_epochs(run: Run) -> None:
    run.logs("history", run.model.fit(run.x, run.y, epochs=0, verbose=0).history)
    run.record("built", run.model.optimizer.built)
    run.state()


def nothing_trainable(run: Run) -> None:
    run.model.trainable = False
    run.model.compile(optimizers.Adam(), loss=LOSSES, run_eagerly=True)
    some_steps(run)
    run.record("built", run.model.optimizer.built)


def averages(run: Run) -> None:
    """At the end of `fit` the averages take the place of the weights."""
    run.fit(2)
    run.state()


OTHERS = [
    Case("none, evaluated", TWO, lambda: {"loss": LOSSES, "optimizer": None, "metrics": {"kind": ["acc"]}}, evaluated),
    Case("none, trained", TWO, lambda: {"loss": LOSSES, "optimizer": None}, raises=AttributeError),
    Case("unknown", TWO, lambda: {"loss": LOSSES, "optimizer": "nothing"}, raises=ValueError),
    Case("zero epochs", TWO, lambda: {"loss": LOSSES, "optimizer": "adam"}, no_epochs),
    Case("nothing trainable", TWO, lambda: {"loss": LOSSES}, nothing_trainable, fresh=True),
    Case(
        "averages at the end", TWO, lambda: {"loss": LOSSES, "optimizer": optimizers.SGD(0.1, use_ema=True)}, averages
    ),
    Case("Adam, epochs", NORMALISED, lambda: {"loss": LOSSES, "optimizer": optimizers.Adam(0.01)}, epochs),
    Case(
        "Adam, without gradients of a head",
        TWO,
        lambda: {"loss": {"kind": SPARSE}, "optimizer": optimizers.Adam(0.01)},
        some_steps,
    ),
]


def policy(name: str) -> Callable[[], None]:
    return lambda: keras.config.set_dtype_policy(name)


def doubles() -> None:
    keras.config.set_floatx("float64")


def double_head() -> Any:
    return graphs.Head(lambda x: layers.Dense(1, dtype="float64")(x), AMOUNT.labels)


DETAILS = {"metrics": {"kind": ["accuracy"], "amount": ["mae"]}, "weighted_metrics": {"amount": ["mse"]}}
PRECISION = [
    Case(
        "mixed_float16",
        NORMALISED,
        lambda: {"loss": LOSSES, **DETAILS},
        two_steps,
        prepare=policy("mixed_float16"),
        tolerance=1e-3,
    ),
    Case(
        "mixed_float16, not scaled",
        TWO,
        lambda: {"loss": LOSSES, "auto_scale_loss": False},
        two_steps,
        prepare=policy("mixed_float16"),
        tolerance=1e-3,
    ),
    Case(
        "mixed_float16, masks",
        TOKENS,
        lambda: {"loss": TOKEN_LOSSES},
        two_steps,
        prepare=policy("mixed_float16"),
        tolerance=1e-3,
    ),
    Case(
        "mixed_float16, alike",
        heads(a=graphs.FLAG, b=graphs.FLAG),
        lambda: {"loss": "bce"},
        two_steps,
        prepare=policy("mixed_float16"),
        tolerance=1e-3,
    ),
    Case(
        "mixed_bfloat16",
        TWO,
        lambda: {"loss": LOSSES, **DETAILS},
        two_steps,
        prepare=policy("mixed_bfloat16"),
        tolerance=5e-3,
    ),
    Case("float16", TWO, lambda: {"loss": LOSSES}, two_steps, prepare=policy("float16"), tolerance=5e-3),
    Case("float64 by policy", TWO, lambda: {"loss": LOSSES, **DETAILS}, two_steps, prepare=policy("float64")),
    Case("floatx float64", TWO, lambda: {"loss": LOSSES, **DETAILS}, two_steps, prepare=doubles, tolerance=1e-9),
    Case(
        "floatx float64, float32 labels",
        TWO,
        lambda: {"loss": LOSSES},
        two_steps,
        prepare=doubles,
        weight=weights,
        tolerance=1e-9,
    ),
    Case(
        "floatx float64, alike",
        heads(a=graphs.FLAG, b=graphs.FLAG),
        lambda: {"loss": "bce", "metrics": {"a": ["acc"]}},
        two_steps,
        prepare=doubles,
        tolerance=1e-9,
    ),
    Case(
        "floatx float64, Adam, compiled",
        TWO,
        lambda: {"loss": LOSSES, "optimizer": "adam", "run_eagerly": False},
        two_steps,
        prepare=doubles,
        tolerance=1e-9,
    ),
    Case("a head in float64", heads(kind=KIND, amount=double_head()), lambda: {"loss": LOSSES}, two_steps),
    Case(
        "a loss in float64",
        TWO,
        lambda: {"loss": {**LOSSES, "amount": losses.MeanSquaredError(dtype="float64")}},
        two_steps,
    ),
]


def again(*later: dict[str, Any]) -> Callable[[Run], None]:
    """A script that compiles again with other arguments, without those of the first time."""

    def script(run: Run) -> None:
        run.record("first", run.model.train_on_batch(run.x, run.y))
        for place, arguments in enumerate(later):
            run.model.compile(**{"optimizer": "sgd", "run_eagerly": True, **arguments})
            run.record(f"train {place}", run.model.train_on_batch(run.x, run.y))
            run.record(f"test {place}", run.model.test_on_batch(run.x, run.y))
            run.record(f"names {place}", list(run.model.metrics_names))
        run.state()

    return script


def same_optimizer(run: Run) -> None:
    """An optimizer goes on in the next `compile`."""
    some_steps(run)
    run.model.compile(run.model.optimizer, loss=LOSSES, loss_weights={"kind": 2.0, "amount": 1.0}, run_eagerly=True)
    some_steps(run)


FULL = {"loss": LOSSES, "metrics": {"kind": ["accuracy"]}, "loss_weights": {"kind": 2.0, "amount": 0.5}}
ADAM = {"optimizer": "adam"}
COMPILED_AGAIN = [
    Case("again, less", TWO, lambda: FULL, again({"loss": LOSSES})),
    Case("again, no loss given", TWO, lambda: FULL, again({})),
    Case("again, no loss given, other metrics", TWO, lambda: FULL, again({"metrics": {"amount": ["mae"]}})),
    Case("again, fewer losses", TWO, lambda: FULL, again({"loss": {"kind": SPARSE}}, {"loss": LOSSES})),
    Case(
        "again, other losses",
        TWO,
        lambda: FULL,
        again({"loss": {**LOSSES, "amount": "mae"}, "metrics": {"amount": ["mse"]}}),
    ),
    Case(
        "again, the same metric objects",
        TWO,
        lambda: {**FULL, "metrics": {"kind": [metrics.SparseCategoricalAccuracy()]}},
        lambda run: again({"loss": LOSSES, "metrics": run.arguments["metrics"]})(run),
    ),
    Case("again, the same optimizer", TWO, lambda: {**FULL, **ADAM}, same_optimizer),
    Case("again, another optimizer", TWO, lambda: {**FULL, **ADAM}, again({"loss": LOSSES, "optimizer": "rmsprop"})),
    Case(
        "again, one output",
        ONE,
        lambda: {"loss": "mse", "metrics": ["mae"]},
        again({"loss": "mae"}, {"metrics": ["mse"]}),
    ),
]

CASES = [*(_optimizer(*row) for row in OPTIMIZERS), *OTHERS, *PRECISION, *COMPILED_AGAIN]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_optimizers(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
