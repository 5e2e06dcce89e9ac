"""Metrics: those of Keras, a user's functions and objects, metrics of layers, metrics built at the first update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, metrics, ops

from tests.drop_in import graphs
from tests.drop_in.graphs import (
    AMOUNT,
    FLAG,
    FLAGS,
    KIND,
    LOSSES,
    MAP,
    ONE_HOT,
    POSITIVE,
    THREE,
    THREE_LOSSES,
    TWO,
    TWO_AMOUNTS,
    Head,
    heads,
    weights,
)
from tests.drop_in.harness import Case, Run, check, epochs

BINARY, SPARSE, ONE_HOTS = "binary_crossentropy", "sparse_categorical_crossentropy", "categorical_crossentropy"
KERAS: list[tuple[str, Head, str, Any]] = [
    ("accuracy of a flag", FLAG, BINARY, lambda: ["accuracy"]),
    ("acc of a flag", FLAG, BINARY, lambda: ["acc"]),
    ("accuracy of a class", KIND, SPARSE, lambda: ["accuracy"]),
    ("accuracy of one-hot", ONE_HOT, ONE_HOTS, lambda: ["accuracy"]),
    ("accuracy of flags", FLAGS, BINARY, lambda: ["accuracy"]),
    ("accuracy of a map", MAP, SPARSE, lambda: ["accuracy"]),
    ("binary accuracy with a threshold", FLAG, BINARY, lambda: [metrics.BinaryAccuracy(threshold=0.4, name="at")]),
    ("top k", KIND, SPARSE, lambda: [metrics.SparseTopKCategoricalAccuracy(2)]),
    ("AUC", FLAG, BINARY, lambda: [metrics.AUC(num_thresholds=20)]),
    ("AUC, several labels", FLAGS, BINARY, lambda: [metrics.AUC(num_thresholds=20, multi_label=True, num_labels=4)]),
    ("precision and recall", FLAG, BINARY, lambda: [metrics.Precision(), metrics.Recall(thresholds=[0.4, 0.6])]),
    ("counts", FLAG, BINARY, lambda: [metrics.TruePositives(), metrics.FalseNegatives(thresholds=0.4)]),
    ("at a sensitivity", FLAG, BINARY, lambda: [metrics.SpecificityAtSensitivity(0.5, num_thresholds=20)]),
    ("F1", ONE_HOT, ONE_HOTS, lambda: [metrics.F1Score(average="macro")]),
    ("F1, a vector", ONE_HOT, ONE_HOTS, lambda: [metrics.F1Score(average=None)]),
    ("F-beta", FLAGS, BINARY, lambda: [metrics.FBetaScore(beta=2.0, threshold=0.4, average="micro")]),
    ("R2", POSITIVE, "mse", lambda: [metrics.R2Score()]),
    ("R2, a vector", POSITIVE, "mse", lambda: [metrics.R2Score(class_aggregation=None)]),
    ("concordance", AMOUNT, "mse", lambda: [metrics.ConcordanceCorrelation(), metrics.PearsonCorrelation()]),
    ("regression", AMOUNT, "mse", lambda: ["mae", "mse", metrics.RootMeanSquaredError(), "cosine_similarity"]),
    ("mean IoU of a map", MAP, SPARSE, lambda: [metrics.MeanIoU(3, sparse_y_pred=False)]),
    ("one-hot IoU", ONE_HOT, ONE_HOTS, lambda: [metrics.OneHotIoU(3, target_class_ids=[0, 2])]),
    ("losses as metrics", KIND, SPARSE, lambda: [SPARSE, metrics.SparseCategoricalCrossentropy(name="again")]),
    ("a loss object", FLAG, BINARY, lambda: [keras.losses.BinaryCrossentropy(name="own"), "binary_crossentropy"]),
    ("of dtype float64", AMOUNT, "mse", lambda: [metrics.MeanAbsoluteError(dtype="float64")]),
    ("twice the same", AMOUNT, "mse", lambda: ["mae", "mae", metrics.MeanAbsoluteError(name="mae")]),
    ("one name, not a list", AMOUNT, "mse", lambda: "mae"),
    ("a tuple", AMOUNT, "mse", lambda: ("mae", "mse")),
    ("empty", AMOUNT, "mse", list),
]


def absolute(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


def scalar(y_true: Any, y_pred: Any) -> Any:
    return ops.max(ops.abs(y_true - y_pred))


def rank(y_true: Any, y_pred: Any) -> Any:
    return ops.ones((ops.shape(y_true)[0],)) * (10 * len(y_true.shape) + len(y_pred.shape))


def share_of_minus_one(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.cast(ops.equal(y_true, -1), "float32"), axis=-1)


def share_of_nan(y_true: Any, y_pred: Any) -> Any:
    return ops.cast(ops.isnan(y_true), "float32")


class Errors(metrics.Metric):
    """Two results in a dict."""

    def __init__(self, name: str = "errors") -> None:
        super().__init__(name=name)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.largest = self.add_weight(name="largest", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        error = ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred)
        if sample_weight is not None:
            error = error * ops.reshape(ops.cast(sample_weight, error.dtype), (-1, 1))
        self.total.assign_add(ops.sum(error))
        self.largest.assign(ops.maximum(self.largest, ops.max(error)))

    def result(self) -> dict[str, Any]:
        return {f"{self.name}_sum": self.total, f"{self.name}_max": self.largest}


class LargestOfAll(metrics.Metric):
    """A result that no mean over batches gives, and a reset that is its own."""

    def __init__(self, name: str = "largest") -> None:
        super().__init__(name=name)
        self.largest = self.add_weight(name="value", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.largest.assign(ops.maximum(self.largest, ops.max(ops.abs(y_true - y_pred))))

    def result(self) -> Any:
        return self.largest

    def reset_state(self) -> None:
        self.largest.assign(0.5)


OWN: list[tuple[str, Head, str, Any]] = [
    ("a function", AMOUNT, "mse", lambda: [absolute]),
    ("a scalar", AMOUNT, "mse", lambda: [scalar]),
    ("a lambda", AMOUNT, "mse", lambda: [lambda y_true, y_pred: ops.mean(y_pred), "mae"]),
    ("two lambdas", AMOUNT, "mse", lambda: [lambda y_true, y_pred: ops.mean(y_pred), lambda a, b: ops.max(b)]),
    ("rank of flat labels", graphs.AMOUNT_FLAT, "mse", lambda: [rank]),
    ("rank of a column", graphs.KIND_LOGITS, "sparse_categorical_crossentropy", lambda: [rank]),
    ("a dict", AMOUNT, "mse", lambda: [Errors()]),
    ("a result of its own", AMOUNT, "mse", lambda: [LargestOfAll()]),
    ("mean metric wrapper", AMOUNT, "mse", lambda: [metrics.MeanMetricWrapper(absolute, name="wrapped")]),
    ("mean of predictions", AMOUNT, "mse", lambda: [metrics.MeanMetricWrapper(lambda t, p: p, name="mean_of")]),
    ("of -1", Head(AMOUNT.output, graphs.integers(2, 1, low=-2)), "mse", lambda: [share_of_minus_one, "mae"]),
    (
        "of NaN with an own loss",
        Head(AMOUNT.output, lambda r: np.where(np.arange(12) < 4, np.nan, 1.0)[:, None]),
        lambda t, p: ops.mean(ops.where(ops.isnan(t), 0.0, ops.square(t - p))),
        lambda: [share_of_nan],
    ),
]


def _case(name: str, head: Head, loss: Any, make: Any) -> Case:
    """Two tasks alike, which may be computed together; the second has more metrics than the first."""

    def arguments() -> dict[str, Any]:
        given = {"b": make(), "a": make()}
        return {"loss": {"b": loss, "a": loss}, "metrics": given}

    return Case(name, heads(b=head, a=head), arguments)


def _weighted(name: str, head: Head, loss: Any, make: Any) -> Case:
    weight = lambda: {"a": weights(seed=1), "b": weights(seed=2)}  # noqa: E731
    arguments = lambda: {"loss": {"b": loss, "a": loss}, "metrics": {"a": make()}, "weighted_metrics": {"a": make()}}  # noqa: E731
    return Case(f"weighted: {name}", heads(b=head, a=head), arguments, weight=weight)


WEIGHTED = (
    "accuracy of a flag",
    "accuracy of a class",
    "AUC",
    "F1",
    "R2",
    "regression",
    "a dict",
    "a function",
    "counts",
)


class Shown(layers.Layer):
    """A layer with a metric of its own."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.seen = metrics.Mean(name="activity")

    def call(self, x: Any) -> Any:
        self.seen.update_state(ops.mean(ops.abs(x)))
        return x


WITH_LAYER_METRIC = heads(kind=Head(lambda x: Shown(name="shown")(KIND.output(x)), KIND.labels), amount=AMOUNT)
IN_THE_TRUNK = heads(lambda x: Shown()(layers.Dense(6)(x)), kind=KIND, amount=AMOUNT)


def with_own_metric(base: type) -> type:
    class Model(base):  # type: ignore[misc]
        """A model with a metric as attribute, which `compute_metrics` updates."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.own = metrics.Mean(name="own")

        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            self.own.update_state(ops.mean(y_pred["amount"]))
            return super().compute_metrics(x, y, y_pred, sample_weight)

    return Model


def held(run: Run) -> None:
    """The metric objects that the user holds are those that are updated."""
    run.fit(2)
    run.record("held after fit", run.arguments["metrics"]["amount"][0].result())
    run.evaluate()
    run.record("held after evaluate", run.arguments["metrics"]["amount"][0].result())
    run.model.reset_metrics()
    run.record("held after reset", run.arguments["metrics"]["amount"][0].result())


def results_on_request(run: Run) -> None:
    """`get_metrics_result`, `reset_metrics` and `compute_metrics` called by a user."""
    run.model.train_on_batch(run.x, run.y)
    run.logs("results", run.model.get_metrics_result())
    run.model.reset_metrics()
    run.logs("computed", run.model.compute_metrics(run.x, run.y, run.model(run.x)))
    run.state()


def per_output(**by_output: Any) -> Any:
    return lambda: {"loss": THREE_LOSSES, "metrics": {name: make() for name, make in by_output.items()}}


CASES = [
    *(_case(*row) for row in KERAS),
    *(_case(f"own: {name}", *row) for name, *row in OWN),
    *(_weighted(*row) for row in [*KERAS, *OWN] if row[0] in WEIGHTED),
    Case(
        "one list for all outputs",
        TWO_AMOUNTS,
        lambda: {"loss": "mse", "metrics": ["mae"]},
        raises=ValueError,
        differs="More is accepted",
    ),
    Case("for one output of three", THREE, per_output(flag=lambda: ["accuracy"])),
    Case(
        "for each output",
        THREE,
        per_output(flag=lambda: ["accuracy", "mae"], amount=lambda: "mae", kind=lambda: ["acc"]),
    ),
    Case("a list in a list", THREE, lambda: {"loss": THREE_LOSSES, "metrics": [["mae"], ["accuracy"], ["acc"]]}),
    Case("a flat list, one each", THREE, lambda: {"loss": THREE_LOSSES, "metrics": ["mae", "mse", "accuracy"]}),
    Case("a list with None", THREE, lambda: {"loss": THREE_LOSSES, "metrics": [None, ["accuracy"], None]}),
    Case(
        "named like an added log entry",
        TWO,
        lambda: {"loss": LOSSES, "metrics": {"kind": [metrics.SparseCategoricalAccuracy(name="my_weight")]}},
    ),
    Case("an output unknown", TWO, lambda: {"loss": LOSSES, "metrics": {"nothing": ["mae"]}}, raises=ValueError),
    Case("neither list nor dict", TWO, lambda: {"loss": LOSSES, "metrics": "mae"}, raises=ValueError),
    Case("an unknown name", TWO, lambda: {"loss": LOSSES, "metrics": {"kind": ["nothing"]}}, raises=ValueError),
    Case("None in a list", TWO, lambda: {"loss": LOSSES, "metrics": {"kind": ["acc", None]}}, raises=ValueError),
    Case("of an output without a loss", TWO, lambda: {"loss": {"kind": SPARSE}, "metrics": {"amount": ["mae"]}}),
    Case(
        "weighted, of an output without a loss",
        TWO,
        lambda: {"loss": {"kind": SPARSE}, "weighted_metrics": {"amount": ["mae"], "kind": ["acc"]}},
        weight=lambda: {"kind": weights(seed=1), "amount": weights(seed=2)},
    ),
    Case(
        "weighted, without weights",
        TWO,
        lambda: {"loss": LOSSES, "weighted_metrics": {"kind": ["acc"], "amount": ["mae"]}},
    ),
    Case(
        "the same in both",
        TWO,
        lambda: {"loss": LOSSES, "metrics": {"kind": ["acc"]}, "weighted_metrics": {"kind": ["acc"]}},
        weight=lambda: weights(),
    ),
    Case("of a layer", WITH_LAYER_METRIC, lambda: {"loss": LOSSES}, fresh=True),
    Case("of a layer of an output without a loss", WITH_LAYER_METRIC, lambda: {"loss": {"amount": "mse"}}, fresh=True),
    Case(
        "of a layer of the trunk, with others",
        IN_THE_TRUNK,
        lambda: {"loss": LOSSES, "metrics": {"kind": ["acc"]}},
        epochs,
        fresh=True,
    ),
    Case("of the model", TWO, lambda: {"loss": LOSSES, "metrics": {"kind": ["acc"]}}, model=with_own_metric),
    Case("held by the user", TWO, lambda: {"loss": LOSSES, "metrics": {"amount": [metrics.MeanAbsoluteError()]}}, held),
    Case("held by the user, a dict", TWO, lambda: {"loss": LOSSES, "metrics": {"amount": [Errors()]}}, held),
    Case(
        "on request",
        TWO,
        lambda: {"loss": LOSSES, "metrics": {"amount": [Errors()], "kind": ["acc"]}},
        results_on_request,
    ),
    Case("over epochs", THREE, per_output(flag=lambda: ["accuracy", metrics.AUC()], amount=lambda: [Errors()]), epochs),
]


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of an output without a loss
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_metrics(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
