"""Overridden methods are called as in a subclass of `keras.Model`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import metrics, ops

import mtl_keras
from mtl_keras import MultiTaskModel
from tests.drop_in.graphs import LOSSES, NORMALISED, TWO, by_task_weights
from tests.drop_in.harness import Case, Run, check, epochs, two_steps


def overriding(**methods: Callable[..., Any]) -> Callable[[type], type]:
    """Returns a function that makes a subclass with these methods; each gets the class it inherits from as `base`."""

    def subclass(base: type) -> type:
        bound = {name: make(base) for name, make in methods.items()}
        return type("Own", (base,), bound)

    return subclass


def compute_loss(base: type) -> Any:
    def method(self: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        penalty = 0.1 * ops.mean(ops.square(y_pred["amount"])) + ops.mean(ops.abs(x))
        return base.compute_loss(self, x, y, y_pred, sample_weight, training) + (penalty if training else 2.0 * penalty)

    return method


def compute_loss_old(base: type) -> Any:
    def method(self: Any, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        return 3.0 * base.compute_loss(self, x, y, y_pred, sample_weight)

    return method


def compute_loss_alone(base: type) -> Any:
    """A loss that uses nothing of `compile`."""

    def method(self: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        return ops.mean(ops.square(y["amount"] - y_pred["amount"])) + ops.sum(self.losses or [0.0])

    return method


def compute_metrics(base: type) -> Any:
    def method(self: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        results = base.compute_metrics(self, x, y, y_pred, sample_weight)
        return {**results, "mean_of_inputs": ops.mean(x), "weighted": ops.convert_to_tensor(sample_weight is not None)}

    return method


def call(base: type) -> Any:
    def method(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        outputs = super(type(self), self).call(2.0 * inputs, training=training)
        return {**outputs, "amount": outputs["amount"] + 1.0}

    return method


def train_step(base: type) -> Any:
    """Trains with a gradient that is halved, as in Keras' guides."""

    def method(self: Any, data: Any) -> Any:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = 0.5 * self.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    return method


def train_step_logs(base: type) -> Any:
    """Calls the step of the base class and adds to its logs."""

    def method(self: Any, data: Any) -> Any:
        return {**base.train_step(self, data), "batch": ops.shape(data[0])[0]}

    return method


def train_step_changes_data(base: type) -> Any:
    def method(self: Any, data: Any) -> Any:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return base.train_step(self, (x * 0.5, {**y, "amount": -y["amount"]}, sample_weight))

    return method


def own_test_step(base: type) -> Any:
    def method(self: Any, data: Any) -> Any:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return {**base.test_step(self, (x + 1.0, y, sample_weight)), "tested": ops.ones(())}

    return method


def predict_step(base: type) -> Any:
    return lambda self, data: {**base.predict_step(self, data), "one": ops.ones((2,))}


def get_metrics_result(base: type) -> Any:
    return lambda self: {**base.get_metrics_result(self), "double": 2.0 * base.get_metrics_result(self)["loss"]}


def own_metrics(base: type) -> Any:
    """Adds a metric that `compute_metrics` below updates."""

    def get(self: Any) -> Any:
        if not hasattr(self, "seen"):
            self.seen = metrics.Mean(name="seen")
        return [*[metric for metric in base.metrics.fget(self) if metric is not self.seen], self.seen]

    return property(get)


def updates_seen(base: type) -> Any:
    def method(self: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        next(metric for metric in self.metrics if metric.name == "seen").update_state(y_pred["amount"])
        return base.compute_metrics(self, x, y, y_pred, sample_weight)

    return method


def few_metrics(base: type) -> Any:
    """Leaves all metrics out but the loss."""
    return property(lambda self: base.metrics.fget(self)[:1])


def reset_metrics(base: type) -> Any:
    def method(self: Any) -> None:
        self.resets = getattr(self, "resets", 0) + 1
        base.reset_metrics(self)

    return method


def aggregate(base: type) -> Any:
    return lambda self, loss: 10.0 * base._aggregate_additional_loss(self, loss)


def compile_more(base: type) -> Any:
    """A `compile` with an argument of its own."""

    def method(self: Any, *args: Any, factor: float = 1.0, **kwargs: Any) -> None:
        base.compile(self, *args, **kwargs)
        self.factor = factor

    return method


def uses_factor(base: type) -> Any:
    def method(self: Any, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        return self.factor * base.compute_loss(self, x, y, y_pred, sample_weight, training)

    return method


def resets(run: Run) -> None:
    epochs(run)
    run.record("resets", run.model.resets)


def predicted(run: Run) -> None:
    run.record("predict", run.model.predict(run.x, verbose=0))
    run.record("predict_on_batch", run.model.predict_on_batch(run.x))


def compiled(**arguments: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {"loss": LOSSES, "metrics": {"kind": ["accuracy"]}, **arguments}


GRAPH_MODE = {"run_eagerly": False}
CASES = [
    Case("compute_loss", TWO, compiled(), two_steps, model=overriding(compute_loss=compute_loss)),
    Case(
        "compute_loss, weights",
        TWO,
        compiled(),
        two_steps,
        model=overriding(compute_loss=compute_loss),
        weight=by_task_weights,
    ),
    Case("compute_loss, compiled", TWO, compiled(**GRAPH_MODE), two_steps, model=overriding(compute_loss=compute_loss)),
    Case("compute_loss without training", TWO, compiled(), two_steps, model=overriding(compute_loss=compute_loss_old)),
    Case("compute_loss of its own", TWO, compiled(), two_steps, model=overriding(compute_loss=compute_loss_alone)),
    Case(
        "compute_loss, compile without a loss",
        NORMALISED,
        dict,
        two_steps,
        model=overriding(compute_loss=compute_loss_alone),
    ),
    Case("compute_metrics", TWO, compiled(), two_steps, model=overriding(compute_metrics=compute_metrics)),
    Case(
        "compute_metrics, epochs",
        TWO,
        compiled(),
        epochs,
        model=overriding(compute_metrics=compute_metrics),
        weight=by_task_weights,
    ),
    Case("call", TWO, compiled(), two_steps, model=overriding(call=call)),
    Case("train_step", TWO, compiled(), two_steps, model=overriding(train_step=train_step)),
    Case("train_step, compiled", TWO, compiled(**GRAPH_MODE), two_steps, model=overriding(train_step=train_step)),
    Case("train_step with more logs", TWO, compiled(), two_steps, model=overriding(train_step=train_step_logs)),
    Case("train_step with other data", TWO, compiled(), epochs, model=overriding(train_step=train_step_changes_data)),
    Case("test_step", TWO, compiled(), two_steps, model=overriding(test_step=own_test_step)),
    Case("predict_step", TWO, compiled(), predicted, model=overriding(predict_step=predict_step)),
    Case("get_metrics_result", TWO, compiled(), two_steps, model=overriding(get_metrics_result=get_metrics_result)),
    Case("metrics", TWO, compiled(), epochs, model=overriding(metrics=own_metrics, compute_metrics=updates_seen)),
    Case("metrics, the loss alone", TWO, compiled(), two_steps, model=overriding(metrics=few_metrics)),
    Case("reset_metrics", TWO, compiled(), resets, model=overriding(reset_metrics=reset_metrics)),
    Case(
        "additional losses", NORMALISED, compiled(), two_steps, model=overriding(_aggregate_additional_loss=aggregate)
    ),
    Case(
        "compile",
        TWO,
        compiled(factor=3.0),
        two_steps,
        model=overriding(compile=compile_more, compute_loss=uses_factor),
    ),
    Case("nothing", TWO, compiled(), two_steps, model=overriding()),
]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_overriding(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_task_weights_that_own_methods_do_not_use_are_reported() -> None:
    (x, y), own = TWO.data(), overriding(compute_loss=compute_loss_alone)(MultiTaskModel)
    model = own(*TWO.build())
    model.compile("sgd", loss=LOSSES, run_eagerly=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Task weights")
        model.fit(x, y, verbose=0)
    model.set_task_weights({"amount": 0.5})
    with pytest.warns(UserWarning, match=r"Task weights have no effect on the loss of Own: it overrides compute_loss"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"GradientMonitor cannot be used by a class that overrides compute_loss"):
        model.fit(x, y, verbose=0, callbacks=[mtl_keras.callbacks.GradientMonitor()])
    with pytest.warns(UserWarning, match=r"The logs have no 'kind_loss'"):
        model.fit(x, y, verbose=0, callbacks=[mtl_keras.callbacks.TaskScheduler("dst")])


def test_an_own_test_step_does_not_warn_about_task_weights() -> None:
    def test_step(base: type) -> Any:
        return lambda self, data: {"size": ops.mean(self(data[0], training=False)["amount"])}

    (x, y), own = TWO.data(), overriding(test_step=test_step)(MultiTaskModel)
    model = own(*TWO.build())
    model.compile("sgd", loss=LOSSES, loss_weights={"amount": 0.5})
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Task weights")
        model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0)
