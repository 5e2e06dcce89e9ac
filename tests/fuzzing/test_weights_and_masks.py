"""Task weights, class weights and missing labels, compared with NumPy."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mtl_keras import MultiTaskModel
from mtl_keras.arguments import checked_class_weights, checked_rows, checked_weights
from tests.fuzzing.values import odd_values, refused

BATCH, CLASSES = 6, 3
NAMES = ("kind", "flag", "point", "count", "photo")
PHOTO = (2, 2, 3)
LARGEST = float(np.finfo("float32").max)


def acceptable(weight: Any) -> bool:
    """Whether something is a number that float32 can hold, and not negative."""
    try:
        value = float(weight)
    except (TypeError, ValueError, OverflowError):
        return False
    return 0 <= value <= LARGEST


@given(st.dictionaries(st.sampled_from([*NAMES, "other", ""]), odd_values, max_size=3))
def test_weights(weights: dict[str, Any]) -> None:
    found = refused(checked_weights, "loss_weights", weights, NAMES)
    good = all(name in NAMES and acceptable(weight) for name, weight in weights.items())
    assert (found is not None) == good
    if good:
        assert found == pytest.approx({name: float(weight) for name, weight in weights.items()}, abs=1e-45)
        assert all(np.float32(weight) or not weight for weight in found.values())


@given(
    st.lists(
        st.lists(
            st.floats(0, 4) | st.sampled_from([0, 1, -1, math.nan, math.inf, 1e39, 1e-60]), min_size=3, max_size=3
        ),
        min_size=2,
        max_size=2,
    )
    | arrays.arrays("float64", (2, 3), elements=st.floats(0, 9))
    | odd_values
)
def test_rows(rows: Any) -> None:
    found = refused(checked_rows, rows, (2, 3))
    if found is not None:
        assert (found.shape, found.dtype) == ((2, 3), "float32")
        np.testing.assert_array_equal(found, np.float32(rows))
        assert (np.isfinite(found) & (found >= 0)).all()
        assert found.any(axis=1).all()
    elif isinstance(rows, np.ndarray) and rows.shape == (2, 3):
        assert not (np.float32(rows) > 0).any(axis=1).all()


classes = st.integers(-1, 3) | st.sampled_from(["0", "1", 1.0, 1.5, math.inf, None])
tables = st.dictionaries(classes, st.floats(0, 2) | odd_values, min_size=1, max_size=2)


@given(
    st.dictionaries(st.sampled_from(["kind", "flag"]), tables, min_size=1, max_size=2)
    | st.dictionaries(st.sampled_from(["kind", "flag", "other"]), odd_values, max_size=2)
)
@example({"kind": {1.5: 1.0}})
def test_class_weights(value: dict[str, Any]) -> None:
    found = refused(checked_class_weights, value, {"kind": CLASSES, "flag": 2})
    if found is not None:
        for name, table in found.items():
            assert len(table) <= len(value[name])
            for index, weight in table.items():
                assert type(index) is int
                assert any(index == (int(key) if isinstance(key, str) else key) for key in value[name])
                assert 0 <= index < {"kind": CLASSES, "flag": 2}[name]
                assert acceptable(weight)


@pytest.fixture(scope="module")
def judge() -> MultiTaskModel:
    """A model that predicts its inputs, so that losses are those of the numbers given."""
    shapes = [(CLASSES,), (1,), (2,), (1,), PHOTO]
    inputs = {name: keras.Input(shape, name=name) for name, shape in zip(NAMES, shapes)}
    # Layers tell a dict of outputs from the inputs; a plain `inputs` would have no subgraph.
    outputs = {name: keras.layers.Identity(name=f"{name}_output")(value) for name, value in inputs.items()}
    model = MultiTaskModel(inputs, outputs)
    losses = dict(zip(NAMES, ["sparse_categorical_crossentropy", "binary_crossentropy", "mse", "mae", "mse"]))
    model.compile("sgd", loss=losses, metrics={"kind": ["accuracy"], "point": ["mae"]})
    return model


floats32 = {"width": 32, "allow_nan": False}
numbers = st.floats(-9, 9, **floats32)
shares = st.floats(np.float32(0.05), np.float32(0.95), **floats32)


@settings(max_examples=40)
@given(
    kind=arrays.arrays("int32", (BATCH,), elements=st.integers(-1, CLASSES - 1)),
    flag=arrays.arrays("int8", (BATCH, 1), elements=st.integers(-1, 1)),
    point=arrays.arrays("float32", (BATCH, 2), elements=numbers | st.just(math.nan)),
    count=arrays.arrays("float32", (BATCH,), elements=numbers | st.just(math.nan)),
    photo=arrays.arrays("float32", (BATCH, *PHOTO), elements=numbers, fill=st.sampled_from([0.5, math.nan])),
    predicted=st.tuples(
        arrays.arrays("float32", (BATCH, CLASSES), elements=shares),
        arrays.arrays("float32", (BATCH, 1), elements=shares),
        arrays.arrays("float32", (BATCH, 2), elements=numbers),
        arrays.arrays("float32", (BATCH, 1), elements=numbers),
        arrays.arrays("float32", (BATCH, *PHOTO), elements=numbers),
    ),
)
def test_losses_are_masked_means(
    judge: MultiTaskModel,
    kind: np.ndarray,
    flag: np.ndarray,
    point: np.ndarray,
    count: np.ndarray,
    photo: np.ndarray,
    predicted: tuple[np.ndarray, ...],
) -> None:
    probabilities = predicted[0] / predicted[0].sum(-1, keepdims=True)
    given_out = dict(zip(NAMES, (probabilities, *predicted[1:])))
    labels = {"kind": kind, "flag": flag, "point": point, "count": count, "photo": photo}
    logs = judge.test_on_batch(given_out, labels, return_dict=True)
    p, q = probabilities.astype("float64"), predicted[1].astype("float64")[:, 0]
    truth = flag[:, 0]
    each = {
        "kind": (-np.log(p[np.arange(BATCH), kind]), kind >= 0),
        "flag": (-np.where(truth == 1, np.log(q), np.log(1 - q)), truth >= 0),
        "point": (((point - predicted[2]).astype("float64") ** 2).mean(-1), ~np.isnan(point).any(-1)),
        "count": (abs(count.astype("float64") - predicted[3][:, 0]), ~np.isnan(count)),
        # A pixel is there or not, with all its channels.
        "photo": (((photo - predicted[4]).astype("float64") ** 2).mean(-1), ~np.isnan(photo).any(-1)),
    }
    for name, (losses, there) in each.items():
        expected = losses[there].mean() if there.any() else 0.0
        assert logs[f"{name}_loss"] == pytest.approx(expected, rel=1e-4, abs=1e-5), name
    assert logs["loss"] == pytest.approx(sum(logs[f"{name}_loss"] for name in NAMES), rel=1e-4, abs=1e-5)
    hits = (p.argmax(-1) == kind)[kind >= 0]
    if hits.size and (np.sort(p)[:, -1] > np.sort(p)[:, -2]).all():
        assert logs["kind_accuracy"] == pytest.approx(hits.mean(), abs=1e-6)
    assert math.isnan(logs["kind_accuracy"]) == (not hits.size)
