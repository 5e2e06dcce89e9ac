"""Losses: those of Keras with their arguments, and a user's functions and objects."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import losses, ops

from tests.drop_in import graphs
from tests.drop_in.graphs import (
    AMOUNT,
    FLAG,
    FLAG_LOGIT,
    FLAGS,
    KIND,
    KIND_LOGITS,
    MAP,
    MATRIX,
    ONE_HOT,
    ONE_HOT_LOGITS,
    POSITIVE,
    SCALAR,
    SHARES,
    SIGN,
    VECTOR,
    Head,
    heads,
    weights,
)
from tests.drop_in.harness import Case, check

MATRIX_SHARES = Head(lambda x: keras.layers.Softmax(axis=1)(MATRIX.output(x)), lambda random: random.random((12, 2, 3)))
CTC = Head(lambda x: keras.layers.Reshape((6, 4))(graphs.dense(24)(x)), graphs.integers(4, 3, low=1))
KERAS: list[tuple[str, Head, Any]] = [
    ("mse", VECTOR, lambda: "mse"),
    ("mae_class", VECTOR, losses.MeanAbsoluteError),
    ("mape", POSITIVE, lambda: "mape"),
    ("msle", POSITIVE, lambda: "msle"),
    ("huber", VECTOR, lambda: losses.Huber(delta=0.3)),
    ("log_cosh", AMOUNT, lambda: "log_cosh"),
    ("poisson", POSITIVE, lambda: "poisson"),
    ("kl_divergence", SHARES, lambda: "kl_divergence"),
    ("cosine_similarity", VECTOR, losses.CosineSimilarity),
    ("cosine_over_axis_1", MATRIX, lambda: losses.CosineSimilarity(axis=1)),
    ("hinge", SIGN, lambda: "hinge"),
    ("hinge_of_zeros_and_ones", Head(graphs.dense(1), FLAG.labels), lambda: "hinge"),
    ("squared_hinge", SIGN, lambda: "squared_hinge"),
    ("categorical_hinge", ONE_HOT, lambda: "categorical_hinge"),
    ("binary_crossentropy", FLAG, lambda: "binary_crossentropy"),
    ("binary_of_vectors", FLAGS, losses.BinaryCrossentropy),
    ("binary_over_axis_0", FLAGS, lambda: losses.BinaryCrossentropy(axis=0)),
    ("binary_from_logits_smoothed", FLAG_LOGIT, lambda: losses.BinaryCrossentropy(True, label_smoothing=0.2)),
    ("binary_focal", FLAG, lambda: losses.BinaryFocalCrossentropy(apply_class_balancing=True, gamma=1.0)),
    ("crossentropy_of_flags", FLAG, lambda: "crossentropy"),
    ("crossentropy_of_classes", KIND, lambda: "ce"),
    ("crossentropy_of_one_hot", ONE_HOT, lambda: "crossentropy"),
    ("categorical", ONE_HOT, lambda: losses.CategoricalCrossentropy(label_smoothing=0.1)),
    ("categorical_logits", ONE_HOT_LOGITS, lambda: losses.CategoricalCrossentropy(from_logits=True)),
    ("categorical_over_axis_1", MATRIX_SHARES, lambda: losses.CategoricalCrossentropy(axis=1)),
    ("categorical_map", Head(MAP.output, graphs.one_hot(3, 2, 2)), losses.CategoricalCrossentropy),
    ("categorical_focal", ONE_HOT, lambda: losses.CategoricalFocalCrossentropy(gamma=1.0)),
    ("categorical_generalized", KIND, losses.CategoricalGeneralizedCrossEntropy),
    ("sparse_logits_column", KIND_LOGITS, lambda: losses.SparseCategoricalCrossentropy(from_logits=True)),
    ("sparse_map", MAP, lambda: "sparse_categorical_crossentropy"),
    ("sparse_ignoring_class_2", KIND, lambda: losses.SparseCategoricalCrossentropy(ignore_class=2)),
    ("sparse_map_ignoring_class_0", MAP, lambda: losses.SparseCategoricalCrossentropy(ignore_class=0)),
    ("sparse_uint8", Head(KIND.output, graphs.integers(3, dtype="uint8")), lambda: "sparse_categorical_crossentropy"),
    ("sparse_float", Head(KIND.output, graphs.integers(3, dtype="float32")), lambda: "sparse_categorical_crossentropy"),
    ("dice", MATRIX, losses.Dice),
    ("dice_over_axis", MATRIX, lambda: losses.Dice(axis=(1, 2))),
    ("tversky", FLAGS, lambda: losses.Tversky(alpha=0.3, beta=0.7)),
    ("circle", Head(lambda x: keras.layers.UnitNormalization()(graphs.dense(4)(x)), graphs.integers(3)), losses.Circle),
    ("ctc", CTC, losses.CTC),
    ("none", VECTOR, lambda: losses.MeanSquaredError(reduction="none")),
    ("sum", VECTOR, lambda: losses.MeanSquaredError(reduction="sum")),
    ("mean", VECTOR, lambda: losses.MeanSquaredError(reduction="mean")),
    ("mean_with_sample_weight", VECTOR, lambda: losses.MeanSquaredError(reduction="mean_with_sample_weight")),
    ("sum_sparse", KIND, lambda: losses.SparseCategoricalCrossentropy(reduction="sum")),
    ("scalar_output", SCALAR, lambda: "mse"),
    ("output_of_rank_3", MATRIX, lambda: "mae"),
    ("labels_flat", graphs.AMOUNT_FLAT, lambda: "mse"),
    ("labels_broadcast", Head(graphs.dense(4), graphs.reals(1)), lambda: "mse"),
    ("labels_broadcast_1_of_3", Head(MATRIX.output, graphs.reals(1, 3)), lambda: "mae"),
    ("labels_bool", Head(FLAG.output, lambda random: random.random((graphs.SAMPLES, 1)) > 0.5), lambda: "bce"),
    ("labels_float64", Head(AMOUNT.output, lambda random: random.normal(size=(graphs.SAMPLES, 1))), lambda: "mse"),
    ("labels_int64", Head(AMOUNT.output, graphs.integers(9, 1, dtype="int64")), lambda: "mse"),
    ("loss_of_dtype_float64", AMOUNT, lambda: losses.MeanSquaredError(dtype="float64")),
    ("loss_of_dtype_float16", AMOUNT, lambda: losses.MeanSquaredError(dtype="float16")),
]


def _case(name: str, head: Head, make: Any, weighted: bool = True) -> Case:
    """Two tasks alike, which may be computed together; with sample weights where a loss has values to weigh."""
    weight = (lambda: {"b": weights(seed=1), "a": weights(seed=2)}) if weighted else None
    return Case(name, heads(b=head, a=head), lambda: {"loss": {"b": make(), "a": make()}}, weight=weight)


def squared(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.square(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


def scalar(y_true: Any, y_pred: Any) -> Any:
    return ops.sum(ops.abs(y_true - y_pred))


def by_element(y_true: Any, y_pred: Any) -> Any:
    return ops.abs(y_true - y_pred)


def skips_nan(y_true: Any, y_pred: Any) -> Any:
    known = ~ops.isnan(y_true)
    error = ops.square(ops.where(known, y_true, 0.0) - y_pred)
    return ops.sum(ops.where(known, error, 0.0)) / ops.sum(ops.cast(known, "float32"))


def skips_minus_one(y_true: Any, y_pred: Any) -> Any:
    known = ops.cast(ops.not_equal(y_true, -1), "float32")
    error = losses.binary_crossentropy(ops.maximum(y_true, 0.0), y_pred)
    return ops.sum(known[..., 0] * error) / ops.sum(known)


def indexed(y_true: Any, y_pred: Any) -> Any:
    return ops.mean(ops.square(y_true[:, 0] - y_pred[:, 0]) + 2.0 * ops.abs(y_true[:, 3] - y_pred[:, 3]))


def pinball(y_true: Any, y_pred: Any, quantile: float) -> Any:
    error = y_true - y_pred
    return ops.mean(ops.maximum(quantile * error, (quantile - 1) * error), axis=-1)


def looks_at_rank(y_true: Any, y_pred: Any) -> Any:
    return ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred[:, 0]) * len(y_true.shape)


def looks_at_dtype(y_true: Any, y_pred: Any) -> Any:
    factor = 1.0 if keras.backend.standardize_dtype(y_true.dtype) == "float32" else 3.0
    return ops.mean(factor * ops.abs(ops.cast(y_true, y_pred.dtype) - y_pred), axis=-1)


def over_the_batch(y_true: Any, y_pred: Any) -> Any:
    return ops.square(ops.mean(y_true, axis=0) - ops.mean(y_pred, axis=0))


class Callable3:
    """A callable object without a name."""

    def __call__(self, y_true: Any, y_pred: Any) -> Any:
        return 3.0 * squared(y_true, y_pred)


class OwnLoss(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.mean(ops.square(y_pred - y_true), axis=-1)


class OwnCall(losses.Loss):
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        factor = 1.0 if sample_weight is None else ops.max(sample_weight)
        return factor * ops.mean(ops.abs(y_pred - y_true))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        raise NotImplementedError


class NoConfig(OwnLoss):
    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("no config")


class WithoutReduction(losses.Loss):
    def __init__(self) -> None:
        super().__init__(reduction=None)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ops.sum(ops.square(y_true - y_pred))


class DoubledBinary(losses.BinaryCrossentropy):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return 2.0 * super().call(y_true, y_pred)


def _with_nan(random: np.random.Generator) -> np.ndarray:
    labels = random.normal(size=(graphs.SAMPLES, 1)).astype("float32")
    labels[::3] = np.nan
    return labels


OWN: list[tuple[str, Head, Any]] = [
    ("function", AMOUNT, lambda: squared),
    ("function_of_flat_labels", graphs.AMOUNT_FLAT, lambda: looks_at_rank),
    ("function_of_integers", Head(AMOUNT.output, graphs.integers(5, 1)), lambda: looks_at_dtype),
    ("function_scalar", VECTOR, lambda: scalar),
    ("function_by_element", VECTOR, lambda: by_element),
    ("function_skipping_nan", Head(AMOUNT.output, _with_nan), lambda: skips_nan),
    ("function_skipping_minus_one", Head(FLAG.output, graphs.integers(2, 1, low=-1)), lambda: skips_minus_one),
    ("function_indexing", VECTOR, lambda: indexed),
    ("function_over_the_batch", VECTOR, lambda: over_the_batch),
    ("lambda", AMOUNT, lambda: lambda y_true, y_pred: ops.mean(ops.abs(y_true - y_pred), axis=-1)),
    ("partial", AMOUNT, lambda: functools.partial(pinball, quantile=0.9)),
    ("callable_object", AMOUNT, lambda: Callable3()),
    ("own_class", AMOUNT, OwnLoss),
    ("own_class_sum", AMOUNT, lambda: OwnLoss(reduction="sum")),
    ("own_class_named", AMOUNT, lambda: OwnLoss(name="own")),
    ("own___call__", VECTOR, OwnCall),
    ("no_config", AMOUNT, NoConfig),
    ("own_without_reduction", VECTOR, WithoutReduction),
    ("subclass_of_keras", FLAG, DoubledBinary),
    ("keras_function", VECTOR, lambda: losses.mean_squared_error),
    ("loss_function_wrapper", AMOUNT, lambda: losses.deserialize({"class_name": "LogCosh", "config": {}})),
]


# Those whose values do not have the shape (batch,).
UNWEIGHTED = """cosine_over_axis_1 binary_over_axis_0 categorical_over_axis_1 categorical_map sparse_map
sparse_map_ignoring_class_0 tversky dice dice_over_axis output_of_rank_3 labels_broadcast_1_of_3""".split()
CASES = [
    *(_case(*row, weighted=row[0] not in UNWEIGHTED) for row in KERAS),
    *(_case(f"own: {name}", head, make, weighted=False) for name, head, make in OWN),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_losses(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
