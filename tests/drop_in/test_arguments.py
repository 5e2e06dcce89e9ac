"""Arguments and errors that `keras.Model` does not have: `missing_labels`, names of tasks, labels out of range."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from mtl_keras import MultiTaskModel
from tests.drop_in import graphs
from tests.drop_in.graphs import AMOUNT, FLAG, KIND, SAMPLES, TWO, Head, features, heads
from tests.drop_in.harness import seed

SPARSE = "sparse_categorical_crossentropy"
KNOWN = np.arange(SAMPLES) % 3 != 0


def squared(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def compiled(graph: Any, loss: Any, **arguments: Any) -> MultiTaskModel:
    seed(0)
    model = MultiTaskModel(*graph.build())
    model.compile(keras.optimizers.SGD(0.1), **{"loss": loss, "run_eagerly": True, **arguments})
    return model


def losses_of(model: MultiTaskModel, y: Any, x: Any = None) -> dict[str, float]:
    return model.test_on_batch(features() if x is None else x, y, return_dict=True)


def holes(labels: np.ndarray, missing: float) -> np.ndarray:
    changed = labels.copy()
    changed[~KNOWN] = missing
    return changed


@pytest.mark.parametrize("count", [1, 2], ids=["alone", "fused"])
@pytest.mark.parametrize(
    ("head", "loss", "missing"),
    [
        (AMOUNT, "mse", np.nan),
        (FLAG, "binary_crossentropy", -1),
        (KIND, SPARSE, -1),
        (graphs.ONE_HOT, "categorical_crossentropy", np.nan),
    ],
    ids=["regression", "binary", "classes", "one_hot"],
)
def test_a_loss_is_the_mean_over_labelled_samples(head: Head, loss: str, missing: float, count: int) -> None:
    graph = heads(**{f"t{place}": head for place in range(count)}, other=AMOUNT)
    y = graph.data()[1]
    model = compiled(graph, {name: "mse" if name == "other" else loss for name in y})
    some = {**y, "t0": holes(y["t0"], missing)}
    expected = losses_of(model, {name: values[KNOWN] for name, values in y.items()}, features()[KNOWN])["t0_loss"]
    assert losses_of(model, some)["t0_loss"] == pytest.approx(expected, rel=1e-5)
    all_missing = {**y, "t0": np.full_like(y["t0"], missing)}
    assert losses_of(model, all_missing)["t0_loss"] == 0
    before = [layer.get_weights() for layer in model.layers]
    assert np.isfinite(model.train_on_batch(features(), all_missing)[0])
    head_layer = model.outputs_by_task["t0"]._keras_history.operation
    for old, new in zip(before[model.layers.index(head_layer)], head_layer.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_labels_of_an_own_loss_are_left_out_on_request() -> None:
    y = TWO.data()[1]
    some = {**y, "amount": holes(y["amount"], np.nan)}
    loss = {"kind": SPARSE, "amount": squared}
    assert np.isnan(losses_of(compiled(TWO, loss), some)["amount_loss"])
    model = compiled(TWO, loss, missing_labels={"amount": True})
    expected = losses_of(model, {name: values[KNOWN] for name, values in y.items()}, features()[KNOWN])["amount_loss"]
    assert losses_of(model, some)["amount_loss"] == pytest.approx(expected, rel=1e-5)


def test_labels_of_a_regression_of_integers_are_left_out_on_request() -> None:
    numbers = {"amount": np.arange(SAMPLES)[:, None] - 1, "kind": TWO.data()[1]["kind"]}
    loss = {"kind": SPARSE, "amount": "mse"}
    with_it = losses_of(compiled(TWO, loss), numbers)["amount_loss"]
    without = losses_of(compiled(TWO, loss, missing_labels={"amount": True}), numbers)["amount_loss"]
    later = losses_of(compiled(TWO, loss), {n: v[1:] for n, v in numbers.items()}, features()[1:])["amount_loss"]
    assert without == pytest.approx(later, rel=1e-5)
    assert without != pytest.approx(with_it, rel=1e-3)


def test_labels_are_used_as_they_are_on_request() -> None:
    y = TWO.data()[1]
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"}, missing_labels={"amount": False})
    assert np.isnan(losses_of(model, {**y, "amount": holes(y["amount"], np.nan)})["amount_loss"])


def test_missing_labels_of_an_unknown_task_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        compiled(TWO, {"kind": SPARSE, "amount": "mse"}, missing_labels={"nothing": True})


def test_missing_labels_are_saved(tmp_path: Any) -> None:
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"}, missing_labels={"amount": False})
    model.save(tmp_path / "model.keras")
    y = TWO.data()[1]
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.isnan(losses_of(loaded, {**y, "amount": holes(y["amount"], np.nan)})["amount_loss"])


@pytest.mark.parametrize("shape", [(SAMPLES,), (SAMPLES, 1)])
def test_a_binary_task_of_minus_one_and_one_is_refused(shape: tuple[int, ...]) -> None:
    graph = heads(flag=FLAG, amount=AMOUNT)
    y = {**graph.data()[1], "flag": np.where(KNOWN, 1, -1).reshape(shape)}
    model = compiled(graph, {"flag": "binary_crossentropy", "amount": "mse"})
    with pytest.raises(ValueError, match="flag"):
        model.fit(features(), y, verbose=0)
    model.fit(features(), {**y, "flag": np.full(shape, -1)}, verbose=0)  # no label at all


@pytest.mark.parametrize("name", ["loss", "val", "mtl", "val_kind"])
def test_names_of_log_entries_are_no_names_of_tasks(name: str) -> None:
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        compiled(heads(**{name: AMOUNT, "other": AMOUNT}), "mse")


def test_tasks_whose_log_entries_collide_are_refused() -> None:
    graph = heads(a=AMOUNT, a_b=AMOUNT)
    metrics = {
        "a": [keras.metrics.MeanAbsoluteError(name="b_mae")],
        "a_b": [keras.metrics.MeanAbsoluteError(name="mae")],
    }
    with pytest.raises(ValueError, match="a_b_mae"):
        compiled(graph, "mse", metrics=metrics)
    with pytest.raises(ValueError, match="a_loss"):
        compiled(
            heads(a=AMOUNT, a_loss=AMOUNT), "mse", metrics={"a": [keras.metrics.MeanAbsoluteError(name="loss_loss")]}
        )


@pytest.mark.parametrize("given", [{"kind": {0: 2.0}}, {0: 2.0}])
def test_class_weight_by_task_belongs_to_compile(given: Any) -> None:
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    with pytest.raises(ValueError, match=re.escape("compile(..., class_weight={'task': {0: 2.0}})")):
        model.fit(*TWO.data(), verbose=0, class_weight=given)


@pytest.mark.parametrize("count", [1, 2], ids=["alone", "fused"])
@pytest.mark.parametrize(
    ("loss", "labels", "table"),
    [
        ("hinge", [-1.0, 1.0], {1: 5.0}),
        ("hinge", [-1.0, 1.0], {-1: 5.0, 1: 0.5}),
        ("mse", [0.4, 1.6, 3.0], {2: 5.0}),
        ("binary_crossentropy", [0.05, 0.95], {1: 5.0}),
        (lambda y_true, y_pred: ops.abs(y_true - y_pred)[:, 0], [0.4, 1.6], {2: 5.0}),
    ],
    ids=["hinge", "hinge -1", "regression", "smoothed", "own"],
)
def test_class_weights_are_those_of_stock_keras(loss: Any, labels: list[float], table: Any, count: int) -> None:
    graph = heads(**{f"t{place}": FLAG for place in range(count)})
    y = np.resize(np.array(labels, "float32"), (SAMPLES, 1))
    ours = compiled(graph, loss, class_weight={"t0": table})
    seed(0)
    inputs, outputs = graph.build()
    stock = keras.Model(inputs, outputs["t0"])
    stock.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
    expected = stock.train_on_batch(features(), y, class_weight=table)
    found = ours.train_on_batch(features(), {f"t{place}": y for place in range(count)}, return_dict=True)
    assert found["t0_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"loss": {"kind": "sparse_categorical_crossentropi"}},
            "Unknown loss of task 'kind'. Did you mean 'sparse_",
        ),
        (
            {"loss": "mse", "metrics": {"kind": ["acuracy"]}},
            "Unknown metric of output 'kind'. Did you mean 'binary_",
        ),
        ({"loss": "mse", "weighting": "PC-Grad"}, "Cannot read the weighting. Expected: name"),
        ({"loss": "mse", "class_weight": {"amount": "balanced"}}, "must map classes to weights, e.g. {0: 1.0, 1: 5.0}"),
        ({"schedule": "dst"}, "callbacks=[mtl_keras.callbacks.TaskScheduler('dst')]). Received: schedule='dst'"),
        ({"wieghting": "dwa"}, "Unknown argument of `compile`. Did you mean 'weighting'? Received: 'wieghting'. Cho"),
    ],
)
def test_mistyped_arguments_are_named_at_compile(arguments: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        MultiTaskModel(*TWO.build()).compile("sgd", **arguments)


def test_mistyped_names_in_data_are_named() -> None:
    (x, y), model = TWO.data(), compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    with pytest.raises(
        ValueError, match=r"No labels for task 'amount'\. Did you mean 'amuont'\? Received labels for: kind, amuont"
    ):
        model.fit(x, {"kind": y["kind"], "amuont": y["amount"]}, verbose=0)
    with pytest.raises(ValueError, match=r"Unknown task in `sample_weight`\. Did you mean 'amount'\?"):
        model.train_on_batch(x, y, {"amuont": np.ones(SAMPLES)})
    with pytest.raises(TypeError, match="does not support item assignment"):
        model.task_weights["kind"] = 0.0  # type: ignore[index]
    model = compiled(TWO, {"kind": SPARSE}, metrics={"amount": ["mae"]})
    with pytest.raises(ValueError, match=r"The metrics of output 'amount' need its labels\."):
        model.fit(x, {"kind": y["kind"]}, verbose=0)


def test_a_metric_of_unknown_direction_is_not_in_the_score() -> None:
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"}, metrics={"amount": [squared], "kind": ["accuracy"]})
    logs = model.test_on_batch(*TWO.data(), return_dict=True)
    assert logs["mtl_score"] == pytest.approx((logs["kind_accuracy"] - logs["amount_loss"]) / 2)


def test_class_weights_weigh_training_alone() -> None:
    x, y = TWO.data()
    plain = compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    weighed = compiled(TWO, {"kind": SPARSE, "amount": "mse"}, class_weight={"kind": {0: 5.0, 1: 0.1}})
    assert weighed.test_on_batch(x, y) == pytest.approx(plain.test_on_batch(x, y))
    stock = keras.Model(*TWO.build())
    stock.set_weights(weighed.get_weights())
    stock.compile(keras.optimizers.SGD(0.1), loss={"kind": SPARSE, "amount": "mse"}, run_eagerly=True)
    weights = {"kind": np.array([5.0, 0.1, 1.0])[y["kind"]], "amount": np.ones(SAMPLES)}
    expected = stock.train_on_batch(x, y, weights, return_dict=True)
    found = weighed.train_on_batch(x, y, return_dict=True)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    for one, other in zip(stock.get_weights(), weighed.get_weights()):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def out_of_range(value: int, count: int = 2, **arguments: Any) -> tuple[MultiTaskModel, dict[str, np.ndarray]]:
    """A model and labels of which number 7 of task `t0` is `value`."""
    graph = heads(**{f"t{place}": KIND for place in range(count)}, other=AMOUNT)
    y = graph.data()[1]
    y["t0"][7] = value
    return compiled(graph, {name: "mse" if name == "other" else SPARSE for name in y}, **arguments), y


@pytest.mark.parametrize(("value", "count"), [(3, 1), (-2, 2)])
def test_a_class_out_of_range_is_refused_before_training(value: int, count: int) -> None:
    model, y = out_of_range(value, count)
    with pytest.raises(ValueError, match=rf"'t0' is not one of its 3 classes, 0 to 2.* {value} at example 7$"):
        model.fit(features(), y, verbose=0)
    right = {**y, "t0": np.clip(y["t0"], 0, 2)}
    with pytest.raises(ValueError, match=rf"'t0' is not .*{value} at example 7 of `validation_data`"):
        model.fit(features(), right, validation_data=(features(), y), verbose=0)
    with pytest.raises(ValueError, match=rf"'t0' is not .*{value} at example 7$"):
        model.evaluate(features(), y, verbose=0)


def test_binary_labels_out_of_range_are_refused_before_training() -> None:
    graph = heads(flag=FLAG, amount=AMOUNT)
    x, y = graph.data()
    model = compiled(graph, {"flag": "binary_crossentropy", "amount": "mse"})
    first = int(np.flatnonzero(y["flag"])[0])
    for labels, received in (
        (y["flag"] + 1, f"2 at example {first}. Recode 1 as 0 and 2 as 1"),
        (np.where(KNOWN[:, None], np.where(y["flag"], 1.0, -1.0), np.nan), "-1.0 at example"),
        (np.where(np.arange(SAMPLES) == 5, 1.5, 0.5), "1.5 at example 5"),
    ):
        with pytest.raises(ValueError, match=rf"'flag' is not from 0 to 1, .*binary_cross.*Received: {received}"):
            model.fit(x, {**y, "flag": labels}, verbose=0)
        with pytest.raises(ValueError, match=r"'flag' is not from 0 to 1.* of `validation_data`"):
            model.fit(x, y, validation_data=(x, {**y, "flag": labels}), verbose=0)
        with pytest.raises(ValueError, match=received):
            model.evaluate(x, {**y, "flag": labels}, verbose=0)
    model.evaluate(x, {**y, "flag": np.where(y["flag"], 1, -1)}, verbose=0)  # missing labels, and no 0
    model.fit(x, {**y, "flag": np.full(SAMPLES, 0.25)}, verbose=0)  # soft labels


@pytest.mark.parametrize("dtype", [str, object])
def test_strings_as_labels_are_refused(dtype: type) -> None:
    x, y = TWO.data()
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    words = {**y, "kind": np.array(["cat", "dog"] * (SAMPLES // 2), dtype)}
    message = r"labels of task 'kind' must be numbers. Received: strings \((<U3|object)\).*StringLookup"
    for _ in range(2):  # before and after a `fit` with numbers
        for call in (
            lambda: model.fit(x, words, verbose=0),
            lambda: model.evaluate(x, words, verbose=0),
            lambda: model.fit(x, y, validation_data=(x, words), verbose=0),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"'kind' must be .*-1 where .*dtype=object, with None for missing"):
        model.fit(x, {**y, "kind": np.array([None, *y["kind"][1:]], dtype=object)}, verbose=0)


@pytest.mark.parametrize("eager", [True, False])
def test_a_class_out_of_range_is_named_within_a_step(eager: bool) -> None:
    model, y = out_of_range(3, run_eagerly=eager)
    expected = r"(?s)task.*t0.*not one of its 3 classes.*7.*3"
    with pytest.raises(tf.errors.InvalidArgumentError, match=expected) as caught:
        model.train_on_batch(features(), y)
    assert "Summarized data" not in str(caught.value)


def test_weights_set_before_compile_are_not_forgotten() -> None:
    model = MultiTaskModel(*TWO.build())
    model.set_task_weights({"amount": 0.25})
    model.compile("sgd", loss={"kind": SPARSE, "amount": "mse"})
    assert model.task_weights == {"kind": 1.0, "amount": 0.25}


def test_an_array_in_place_of_labels_by_task_is_described_by_its_shape() -> None:
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    with pytest.raises(ValueError, match=re.escape(f"({SAMPLES},)")) as caught:
        model.fit(features(), np.zeros(SAMPLES), verbose=0)
    assert "TensorSpec" not in str(caught.value)


def test_labels_of_unknown_rank_are_named() -> None:
    x, y = TWO.data()
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    batches = tf.data.Dataset.from_generator(
        lambda: [(x, y)],
        output_signature=(
            tf.TensorSpec((None, graphs.FEATURES)),
            {"kind": tf.TensorSpec(None, "int32"), "amount": tf.TensorSpec((None, 1))},
        ),
    )
    model.compile("sgd", loss={"kind": SPARSE, "amount": "mse"})
    with pytest.raises(ValueError, match="kind"):
        model.fit(batches, shuffle=False, verbose=0)


@pytest.mark.parametrize("method", ["mgda", "imtl_g", "upgrad"])
def test_weightings_of_representations_work_with_one_task_left(method: str) -> None:
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"}, weighting=f"{method}(representation=True)")
    x, y = TWO.data()
    model.train_on_batch(x, y)
    model.set_task_weights({"amount": 0.0})
    dropped = model.outputs_by_task["amount"]._keras_history.operation
    before = dropped.get_weights()
    assert np.isfinite(model.train_on_batch(x, y)[0])
    for old, new in zip(before, dropped.get_weights()):
        np.testing.assert_array_equal(new, old)


def test_missing_labels_that_an_own_loss_gets_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    x, y = TWO.data()
    model = compiled(TWO, {"kind": SPARSE, "amount": lambda t, p: ops.where(ops.isnan(t), 0.0, ops.abs(t - p))})
    model.fit(x, {**y, "amount": holes(y["amount"].astype("float32"), np.nan)}, verbose=0)
    assert f"task 'amount': {(~KNOWN).sum()} of {SAMPLES} labels are NaN or -1" in caplog.text
    assert "compile(missing_labels={'amount': True})" in caplog.text


def test_the_number_of_missing_labels_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    x, y = TWO.data()
    model = compiled(TWO, {"kind": SPARSE, "amount": "mse"})
    missing = y["amount"].astype("float32")
    missing[:2] = np.nan
    for _ in range(2):
        model.fit(x, {**y, "amount": missing}, verbose=0)
    assert caplog.messages == [f"task 'amount': 2 of {SAMPLES} labels are missing"]
    missing[2] = np.nan
    model.fit(x, {**y, "amount": missing}, verbose=0)
    assert caplog.messages[1:] == [f"task 'amount': 3 of {SAMPLES} labels are missing"]
