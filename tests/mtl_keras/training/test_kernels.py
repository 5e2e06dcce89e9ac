"""Fused kernels give the same as the operations of Keras."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel
from mtl_keras.training import kernels
from mtl_keras.training.kernels import fused_kernels

BatchNormalization = keras.layers.BatchNormalization


@keras.saving.register_keras_serializable("tests")
class Shifted(BatchNormalization):
    """A subclass, which may do anything."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return super().call(inputs, training=training, mask=mask) + 1.0


def compiled(layer: keras.Layer, shape: tuple[int, ...], optimizer: Any = "adam") -> MultiTaskModel:
    inputs = keras.Input(shape)
    features = keras.layers.Flatten()(layer(inputs))
    model = MultiTaskModel(inputs, {"a": keras.layers.Dense(1, name="a")(features)})
    model.compile(optimizer, loss="mse")
    return model


def ran(model: MultiTaskModel, layer: Any, x: np.ndarray, *, fused: bool, **arguments: Any) -> dict[str, Any]:
    """Everything that one call of a layer leads to, and which operations it took."""

    @tf.function(autograph=False)
    def run(inputs: Any) -> Any:
        with fused_kernels(model) if fused else nullcontext(), tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, **arguments)
            total = tf.reduce_sum(tf.cast(outputs, "float32") * tf.cos(tf.cast(inputs, "float32")))
        sources = [inputs, *(variable.value for variable in layer.trainable_variables)]
        return outputs, tape.gradient(total, sources)

    before = [np.array(variable) for variable in layer.variables]
    tensors = tf.constant(x)
    outputs, gradients = run(tensors)
    found = {
        "outputs": outputs.numpy(),
        "gradients": [gradient.numpy() for gradient in gradients],
        "state": [np.array(variable) for variable in layer.non_trainable_variables],
        "operations": {operation.type for operation in run.get_concrete_function(tensors).graph.get_operations()},
    }
    for variable, value in zip(layer.variables, before):
        variable.assign(value)
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for key in ("outputs", "gradients", "state"):
        for one, other in zip(found[key], expected[key], strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({}, (8, 4, 5, 3)),
        ({"scale": False}, (8, 4, 5, 3)),
        ({"center": False, "momentum": 0.5}, (8, 4, 5, 3)),
        ({"axis": 3, "epsilon": 0.1}, (8, 4, 5, 3)),
        ({"dtype": "mixed_bfloat16"}, (8, 4, 5, 3)),
        ({}, (8, 3)),
        ({}, (1, 3)),
        ({}, (8, 6, 3)),
    ],
)
def test_batch_normalisation(arguments: dict[str, Any], shape: tuple[int, ...], rng: np.random.Generator) -> None:
    layer = BatchNormalization(**arguments)
    model = compiled(layer, shape[1:])
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    x = tf.cast(rng.normal(2.0, 3.0, shape), layer.compute_dtype).numpy()
    expected, found = (ran(model, layer, x, fused=fused, training=True) for fused in (False, True))
    assert_same(found, expected)
    assert "FusedBatchNormV3" in found["operations"] - expected["operations"]


@pytest.mark.parametrize(
    ("layer", "call"),
    [
        (BatchNormalization(renorm=True), {"training": True}),
        (BatchNormalization(axis=1), {"training": True}),
        (BatchNormalization(epsilon=1e-6), {"training": True}),
        (BatchNormalization(dtype="float64"), {"training": True}),
        (BatchNormalization(trainable=False), {"training": True}),
        (BatchNormalization(), {"training": False}),
        (BatchNormalization(), {"training": True, "mask": tf.constant([[True, False]] * 4)}),
        (Shifted(), {"training": True}),
    ],
)
def test_layers_that_the_kernel_does_not_support_are_left_to_keras(
    layer: keras.Layer, call: dict[str, Any], rng: np.random.Generator
) -> None:
    model = compiled(layer, (2, 3))
    x = rng.normal(size=(4, 2, 3)).astype(layer.compute_dtype)
    expected, found = (ran(model, layer, x, fused=fused, **call) for fused in (False, True))
    assert_same(found, expected)
    assert "FusedBatchNormV3" not in found["operations"]


def trained(optimizer: keras.optimizers.Optimizer, *, fused: bool, embedded: bool = False) -> list[np.ndarray]:
    """The variables of a model and its optimizer after a few steps with given gradients."""
    inputs = keras.Input((2,), dtype="int32" if embedded else "float32")
    first = keras.layers.Embedding(5, 3) if embedded else keras.layers.Dense(4)
    outputs = keras.layers.Dense(1, name="a")(keras.layers.Flatten()(first(inputs)))
    model = MultiTaskModel(inputs, {"a": outputs})
    rng = np.random.default_rng(1)
    model.compile(optimizer, loss="mse")
    for variable in model.weights:
        variable.assign(rng.normal(size=variable.shape))
    optimizer.build(model.trainable_variables)
    for _ in range(5):
        x = rng.integers(0, 5, (6, 2))
        with fused_kernels(model) if fused else nullcontext(), tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(tf.constant(x, inputs.dtype))["a"] ** 2)
        variables = [variable.value for variable in model.trainable_variables]
        with fused_kernels(model) if fused else nullcontext():
            optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
    return [np.array(variable) for variable in (*model.weights, *optimizer.variables)]


@pytest.mark.parametrize(
    ("make", "embedded"),
    [
        (lambda: keras.optimizers.Adam(0.1), True),
        (lambda: keras.optimizers.Adam(0.1, beta_1=0.5, beta_2=0.9, epsilon=1e-3, clipnorm=1.0, use_ema=True), False),
        (lambda: keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), False),
        (lambda: keras.optimizers.AdamW(0.1, weight_decay=0.3), False),
        (lambda: keras.optimizers.Adam(0.1, amsgrad=True), False),
        (lambda: keras.optimizers.SGD(0.001, momentum=0.9), True),
    ],
    ids=["adam, sparse", "options", "schedule", "adamw", "amsgrad", "sgd, sparse"],
)
def test_optimizers(make: Any, embedded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained(make(), fused=False, embedded=embedded)
    for one, other in zip(trained(make(), fused=True, embedded=embedded), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(kernels, "_LEAST_SIZE", 0)
    for one, other in zip(trained(make(), fused=True, embedded=embedded), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def replaced(model: MultiTaskModel, layer: keras.Layer) -> set[str]:
    """The methods that are not those of the class."""
    return {"call"} & vars(layer).keys() | {"update_step", "_backend_update_step"} & vars(model.optimizer).keys()


def test_fit_uses_the_kernels_and_leaves_layers_as_they_were(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_LEAST_SIZE", 0)
    layer = BatchNormalization()
    model = compiled(layer, (3,))
    x, y = rng.normal(size=(8, 3)).astype("float32"), {"a": rng.normal(size=(8, 1)).astype("float32")}
    model.fit(x, y, verbose=0)
    (functions,) = model._steps._functions.values()
    (function,) = functions.values()
    (traced,) = function._several._list_all_concrete_functions()
    used = set(re.findall(r'op: "(\w+)"', str(traced.graph.as_graph_def())))
    assert {"FusedBatchNormV3", "FusedBatchNormGradV3", "ResourceApplyAdam"} <= used
    assert not replaced(model, layer)


def test_nan_is_not_hidden_by_a_relu(rng: np.random.Generator) -> None:
    inputs = x = keras.Input((16, 16, 3))
    for _ in range(2):
        x = keras.layers.Conv2D(8, 3, use_bias=False)(x)
        x = keras.layers.ReLU()(BatchNormalization()(x))
    model = MultiTaskModel(inputs, {"a": keras.layers.Dense(1, name="a")(keras.layers.GlobalAveragePooling2D()(x))})
    model.compile("adam", loss="mse")
    images, labels = rng.random((64, 16, 16, 3), "float32"), {"a": np.ones((64, 1), "float32")}
    images[40] = np.nan
    logs = model.fit(images, labels, shuffle=False, verbose=0).history
    assert np.isnan(logs["a_loss"]).all()
    assert model.nonfinite_losses == {"a": 1}


def test_layers_are_as_they_were_after_an_error() -> None:
    layer = BatchNormalization()
    model = compiled(layer, (3,))
    context = fused_kernels(model)
    context.__enter__()
    assert replaced(model, layer) == {"call", "update_step", "_backend_update_step"}
    assert not context.__exit__(RuntimeError, RuntimeError("in the step"), None)
    assert not replaced(model, layer)
