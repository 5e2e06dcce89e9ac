"""Gates and mixtures of experts."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras.layers import DSelectKGate, ExpertMixture, SoftmaxGate
from mtl_keras.layers.gates import smooth_step

X = np.random.default_rng(0).normal(size=(6, 16)).astype("float32")


def values(layer: keras.Layer, *args: object, **kwargs: object) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(*args, **kwargs))


def test_the_weights_of_a_softmax_gate_are_the_softmax_of_the_logits() -> None:
    gate = SoftmaxGate(3, temperature=2.0, use_bias=True)
    gate.build((None, 16))
    gate.bias.assign([1.0, 0.0, -1.0])
    logits = (X @ keras.ops.convert_to_numpy(gate.kernel) + [1.0, 0.0, -1.0]) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(values(gate, X), expected, rtol=1e-5)
    assert gate.count_params() == 16 * 3 + 3


def test_gate_dropout_leaves_out_experts_in_training_only_and_never_all() -> None:
    gate = SoftmaxGate(3, dropout=0.8)
    many = np.repeat(X, 50, axis=0)
    plain, dropped = values(gate, many), values(gate, many, training=True)
    np.testing.assert_allclose(dropped.sum(axis=1), 1, rtol=1e-5)
    assert 0.2 < np.mean(dropped == 0) < 0.38  # 0.8, without the cases in which all would be left out: 0.8 - 0.8 ** 3
    # Where nothing is left of the three, all stay.
    assert np.isclose(dropped, plain).all(axis=1).any()
    assert (plain > 0).all()


@pytest.mark.parametrize(("per_example", "parameters"), [(False, 8), (True, 136)])
def test_parameters_of_dselect_k(per_example: bool, parameters: int) -> None:
    gate = DSelectKGate(8, k=2, per_example=per_example)
    found = values(gate, X)
    assert gate.count_params() == parameters
    assert found.shape == (6, 8)
    np.testing.assert_allclose(found, 1 / 8, atol=0.05)  # nearly uniform at the start
    assert len(np.unique(found, axis=0)) == (6 if per_example else 1)


@pytest.mark.parametrize("experts", [4, 5, 8])
def test_selectors_sum_to_one_over_all_codes(experts: int) -> None:
    gate = DSelectKGate(experts, k=2)
    gate.build((None, 16))
    gate.code_bias.assign(np.random.default_rng(1).normal(size=gate.code_bias.shape) / 3)
    whole = DSelectKGate(2**gate.bits, k=2)
    whole.build((None, 16))
    whole.set_weights(gate.get_weights())
    selectors = keras.ops.convert_to_numpy(gate.selectors(X))
    every = keras.ops.convert_to_numpy(whole.selectors(X))
    np.testing.assert_allclose(every.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(selectors, every[..., :experts])


def test_codes_at_the_limits_pick_one_expert() -> None:
    gate = DSelectKGate(8, k=1, gamma=0.5, per_example=False)
    gate.build((None, 16))
    for expert in range(8):
        bits = [(expert >> place) & 1 for place in (2, 1, 0)]
        gate.code_bias.assign([0.25 if bit else -0.25 for bit in bits])
        np.testing.assert_array_equal(values(gate, X[:1])[0], np.eye(8)[expert])


def test_the_smooth_step_and_its_slope_are_continuous() -> None:
    for gamma in (0.5, 1.0, 3.0):
        edges = tf.constant([-gamma / 2 - 1e-3, -gamma / 2 + 1e-3, 0.0, gamma / 2 - 1e-3, gamma / 2 + 1e-3])
        with tf.GradientTape() as tape:
            tape.watch(edges)
            found = smooth_step(edges, gamma)
        np.testing.assert_allclose(found, [0, 0, 0.5, 1, 1], atol=1e-4)
        slope = tape.gradient(found, edges)
        np.testing.assert_allclose(slope, [0, 0, 1.5 / gamma, 0, 0], atol=0.05)


def test_dselect_k_converges_to_at_most_k_experts() -> None:
    """Targets that one expert explains: in the end no selector is between two experts."""
    inputs = keras.Input((16,))
    experts = [keras.layers.Rescaling(scale)(inputs) for scale in (1.0, 2.0, 3.0, 4.0)]
    gate = DSelectKGate(4, k=2, per_example=False, entropy=0.05)
    model = keras.Model(inputs, ExpertMixture()([gate(inputs), *experts]))
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(X, 3 * X, epochs=60, verbose=0)
    weights = values(gate, X[:1])[0]
    assert (weights > 1e-6).sum() <= 2
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)


def test_losses_of_dselect_k() -> None:
    gate = DSelectKGate(5, k=2, entropy=0.1)
    gate(X)
    selectors = keras.ops.convert_to_numpy(gate.selectors(X))
    entropy = -(selectors * np.log(selectors + 1e-6)).sum(axis=(1, 2)).mean()
    reachable = (1 / selectors.sum(axis=-1)).sum(axis=-1).mean()
    np.testing.assert_allclose([float(loss) for loss in gate.losses], [0.1 * entropy, reachable], rtol=1e-5)
    full = DSelectKGate(4, k=2)
    full(X)
    assert full.losses == []


def test_a_mixture_is_the_weighted_sum() -> None:
    rng = np.random.default_rng(0)
    for shape in ((6, 5), (6, 3, 2, 5)):
        experts = [rng.normal(size=shape).astype("float32") for _ in range(3)]
        gate = rng.random((6, 3)).astype("float32")
        expected = np.einsum("be,eb...->b...", gate, np.stack(experts))
        np.testing.assert_allclose(values(ExpertMixture(), [gate, *experts]), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoftmaxGate(0), "experts must be a finite number from 1 on. Received: experts=0"),
        (lambda: SoftmaxGate(2, temperature=0), "temperature must be above 0"),
        (lambda: SoftmaxGate(2, dropout=1), "dropout must be below 1"),
        (lambda: SoftmaxGate(2, use_bias=1), "use_bias must be True or False. Received: use_bias=1"),
        (lambda: DSelectKGate(1), "experts must be a finite number from 2 on"),
        (lambda: DSelectKGate(2, k=3), "k must be at most experts=2. Received: k=3"),
        (lambda: SoftmaxGate(2)(np.ones((2, 4, 4, 3))), r"needs an input \(batch, features\): pool or flatten"),
        (lambda: ExpertMixture()([np.ones((2, 3)), X[:2], X[:2]]), r"weights \(batch, experts\) and as many experts"),
    ],
)
def test_wrong_arguments(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
