"""Which tasks are computed together, and labels that fit the loss."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from keras import losses, metrics, ops

from mtl_keras.metrics import BalancedAccuracy
from mtl_keras.training.spec import CompileSpec, TaskSpec, function_name


def spec(name: str = "a", loss: Any = "binary_crossentropy", *judges: Any, **changes: Any) -> TaskSpec:
    given = {"label_shape": (), "label_dtype": "float32", "output_shape": (1,), "weighted": (), **changes}
    tables = {name: given["class_weight"]} if "class_weight" in given else {}
    outputs = {name: keras.KerasTensor((None, *given["output_shape"]))}
    labels = {name: keras.KerasTensor((None, *given["label_shape"]), given["label_dtype"])}
    metrics, weighted = {name: [*judges]}, {name: [*given["weighted"]]}
    compiled = CompileSpec({name: [loss]}, {}, metrics, weighted, {name: 1.0}, {}, tables)
    return compiled.task_specs(labels, outputs, compiled.compile_metrics(outputs))[0]


def hinge(y_true: Any, y_pred: Any) -> Any:
    return ops.sum(y_true * y_pred, axis=-1)


class Precise(metrics.BinaryAccuracy):
    """A summed metric that counts otherwise."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(1 - y_true, y_pred, sample_weight)


class Masked(losses.BinaryCrossentropy):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return super().call(y_true, y_pred) * 0.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (spec(), spec("b")),
        (spec(), spec("b", class_weight={1: 2.0})),
        (spec("a", losses.Huber(name="x")), spec("b", losses.Huber(name="y"))),
        (spec("a", "mse", metrics.AUC()), spec("b", "mse")),
        (spec("a", "mse", "binary_accuracy"), spec("b", "mse", "binary_accuracy")),
        (spec("a", "mse", metrics.BinaryAccuracy()), spec("b", "mse")),  # held by the user
    ],
)
def test_alike(one: TaskSpec, other: TaskSpec) -> None:
    assert one.key == other.key


@pytest.mark.parametrize(
    "other",
    [
        spec("b", "mse"),
        spec("b", losses.BinaryCrossentropy(label_smoothing=0.1)),
        spec("b", label_dtype="int32"),
        spec("b", label_shape=(1,)),
        spec("b", output_shape=(2,), label_shape=(2,)),
        spec("b", "binary_crossentropy", "binary_accuracy"),
        spec("b", "binary_crossentropy", BalancedAccuracy()),
    ],
)
def test_not_alike(other: TaskSpec) -> None:
    assert spec().key != other.key


@pytest.mark.parametrize("loss", [hinge, Masked(), lambda y_true, y_pred: y_pred])
def test_custom_losses_are_computed_alone(loss: Any) -> None:
    found = spec("a", loss)
    assert not found.is_fast
    assert [function_name(each) for each, _ in found.losses] == [""]


def test_a_summed_metric_with_an_update_of_its_own_is_left_to_itself() -> None:
    summed, others = spec("a", "mse", Precise(), "binary_accuracy", BalancedAccuracy(), metrics.AUC()).split_metrics()
    assert [type(metric) for _, metric, _ in others] == [Precise, metrics.AUC]
    assert [type(metric) for _, metric, _ in summed] == [metrics.BinaryAccuracy, BalancedAccuracy]


SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("loss", "label_shape", "output_shape"),
    [
        (SPARSE, (), (3,)),
        (SPARSE, (1,), (3,)),
        (SPARSE, (8, 8), (8, 8, 3)),
        (SPARSE, (None, 8, 1), (8, 8, 3)),
        ("binary_crossentropy", (), (1,)),
        ("binary_crossentropy", (1,), (1,)),
        ("mse", (4,), (4,)),
        ("mae", (8, 8), (8, 8, 1)),
        ("mae", (8, 8, 1), (None, None, 1)),
        (hinge, (5, 5), (2,)),
    ],
)
def test_labels_that_fit(loss: Any, label_shape: tuple[Any, ...], output_shape: tuple[Any, ...]) -> None:
    assert spec("a", loss, label_shape=label_shape, output_shape=output_shape).is_fast is (loss is not hinge)


@pytest.mark.parametrize(("label_shape", "output_shape"), [((1,), (4,)), ((3,), (1,)), ((4, 1), (4, 3))])
def test_labels_that_broadcast_are_left_to_keras(label_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> None:
    assert not spec("a", "mse", label_shape=label_shape, output_shape=output_shape).is_fast


@pytest.mark.parametrize(
    ("loss", "label_shape", "output_shape", "needed"),
    [
        (SPARSE, (3,), (3,), r"\(batch\). Received: \(batch, 3\)"),
        (SPARSE, (8, 8, 3), (8, 8, 3), r"\(batch, 8, 8\). Received: \(batch, 8, 8, 3\)"),
        ("categorical_crossentropy", (), (3,), r"\(batch, 3\). Received: \(batch\)"),
        ("mse", (3,), (4,), r"\(batch, 4\). Received: \(batch, 3\)"),
        ("mse", (), (4,), r"\(batch, 4\). Received: \(batch\)"),
        ("mse", (28, 28), (32, 32, 1), r"\(batch, 32, 32, 1\). Received: \(batch, 28, 28\)"),
    ],
)
def test_labels_that_do_not_fit(loss: str, label_shape: Any, output_shape: Any, needed: str) -> None:
    with pytest.raises(ValueError, match=rf"of task 'a', whose output .* needs labels of the shape {needed}"):
        assert not spec("a", loss, label_shape=label_shape, output_shape=output_shape).is_fast


def test_metric_names_are_those_of_keras() -> None:
    judges = ("accuracy", "accuracy", hinge, metrics.AUC(name="auc"))
    found = spec("a", "mse", *judges, weighted=("accuracy", "mae", "accuracy"))
    assert [(name, weighted) for name, _, weighted in found.metrics] == [
        ("accuracy", False),
        ("accuracy_1", False),
        ("hinge", False),
        ("auc", False),
        ("weighted_accuracy", True),
        ("mae", True),
        ("weighted_accuracy_1", True),
    ]


@pytest.mark.parametrize("reduction", ["sum", None])
def test_losses_that_are_no_mean_are_left_to_keras(reduction: Any) -> None:
    assert not spec("a", losses.MeanSquaredError(reduction=reduction)).is_fast
