"""Training steps that compute the gradients of each task."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from mtl_keras import MultiTaskModel
from mtl_keras.testing import toy_data, toy_model
from mtl_keras.weightings import Direction, State, StepInputs, Weighting
from mtl_keras.weightings.gramian import GramianWeighting

TASKS = ("kind", "bright", "round", "copy")


@dataclass(frozen=True)
class Fixed(GramianWeighting):
    """The same weights in every step; remembers the last Gramian."""

    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"gramian": np.zeros((tasks, tasks), "float32"), "steps": np.zeros(tasks, "float32")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        return ops.cast(self.weights, "float64"), {"gramian": inputs.gramian, "steps": state["steps"] + 1}


@dataclass(frozen=True)
class FixedHalves(Fixed):
    needs = frozenset({"gramian", "two_halves"})


@dataclass(frozen=True)
class FixedSum(Weighting):
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    needs = frozenset({"jacobian"})

    def initial_state(self, tasks: int, coordinates: int = 0) -> State:
        return {"last": np.zeros((tasks, coordinates), "float32")}

    def update(self, inputs: StepInputs, state: State) -> tuple[Any, State]:
        weights = ops.convert_to_tensor(self.weights, "float32")
        combined = ops.sum(weights[:, None] * inputs.jacobian, axis=0)
        return Direction(combined, weights), {"last": inputs.jacobian}


def trained(weighting: Any = "static", *, weights: Any = None, steps: int = 2, **arguments: Any) -> MultiTaskModel:
    """The toy model after some steps; eager, which is quicker than tracing, unless `run_eagerly` is false."""
    arguments = {"optimizer": "adam", "run_eagerly": True, **arguments}
    model = toy_model(weighting=weighting, **arguments)
    if weights is not None:
        model.set_task_weights(weights)
    x, y = toy_data(16 * steps)
    model.fit(x, y, batch_size=16, shuffle=False, verbose=0)
    return model


def assert_same(one: MultiTaskModel, other: MultiTaskModel, atol: float = 2e-6) -> None:
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=0, atol=atol)


def by_hand(model: MultiTaskModel, x: Any, y: Any, names: list[str], training: bool = True) -> dict[str, np.ndarray]:
    """The gradient of each task's loss with respect to the variables with these names, in one row."""
    variables = [variable for variable in model.trainable_variables if variable.path in names]
    losses = {"kind": "sparse_categorical_crossentropy", "copy": "mean_squared_error"}
    found = {}
    for task in TASKS:
        loss = keras.losses.get(losses.get(task, "binary_crossentropy"))
        with tf.GradientTape() as tape:
            out = model(x, training=training)[task]
            label = y[task][:, None] if task in ("bright", "round") else y[task]
            value = tf.reduce_mean(loss(label, out))
        rows = tape.gradient(value, [variable.value for variable in variables])
        found[task] = np.concatenate([np.ravel(row) for row in rows])
    return found


SGD = {"optimizer": "sgd"}
TRUNK = ["trunk_conv/kernel", "trunk_conv/bias", "trunk_norm/gamma", "trunk_norm/beta"]
TRUNK += ["trunk_dense/kernel", "trunk_dense/bias"]


ALL, DROPPED = (("kind", 0.5), ("copy", 2.0)), (("bright", 0.0), ("copy", 0.0), ("kind", 0.5))


@pytest.mark.parametrize(
    ("weighting", "weights"),
    [
        (Fixed(), DROPPED),
        (Fixed(representation=True), DROPPED),
        (Fixed(update_every=2), ALL),
        (FixedSum(), DROPPED),
    ],
)
def test_weights_of_one_give_the_plain_step(weighting: Any, weights: Any) -> None:
    assert_same(trained(weighting, weights=dict(weights), **SGD), plainly_trained(weights))


@functools.cache
def plainly_trained(weights: tuple[tuple[str, float], ...]) -> MultiTaskModel:
    return trained(weights=dict(weights), **SGD)


def state(model: MultiTaskModel) -> dict[str, np.ndarray]:
    store: dict[str, Any] = {}
    model.training_setup.save_own_variables(store)
    return {name.removeprefix("weighting_"): value for name, value in store.items() if name.startswith("weighting_")}


def test_gramian_and_combination_are_those_of_the_task_gradients() -> None:
    """Compared with one tape a task; the head of `kind` has dropout, which is 0 in a copy without it."""
    weights = (0.5, 2.0, -1.0, 3.0)
    model = toy_model("sgd", weighting=Fixed(weights=weights))
    model.get_layer("kind_dropout").rate = 0.0
    x, y = toy_data(16)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    gradients = by_hand(model, x, y, TRUNK)
    model.get_layer("trunk_norm").moving_mean.assign(np.zeros(4))
    model.train_on_batch(x, y)
    expected = np.array([[gradients[a] @ gradients[b] for b in sorted(TASKS)] for a in sorted(TASKS)])
    order = np.argsort(TASKS)
    found = state(model)["gramian"][:, order]  # its rows are saved in the order of the names
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)
    moved = np.concatenate([np.ravel(before[v.path] - v.numpy()) for v in model.trainable_variables if v.path in TRUNK])
    combined = sum(weight * gradients[task] for weight, task in zip(weights, TASKS))
    np.testing.assert_allclose(moved, 0.01 * combined, rtol=1e-3, atol=1e-7)


def test_heads_take_the_gradient_of_their_own_loss_and_task_weight() -> None:
    weights = {"kind": 0.1, "bright": 0.3, "round": 2.0, "copy": 0.5}
    odd = Fixed(weights=(5.0, 7.0, 0.0, 0.1))
    weighted, plain = (trained(one, steps=1, weights=weights, **SGD) for one in (odd, "static"))
    trunk = [v for v in weighted.weights if v.path.startswith("trunk") and v.trainable]
    assert any(not np.allclose(v, w) for v, w in zip(weighted.weights, plain.weights) if v in trunk)
    for one, other in zip(weighted.weights, plain.weights, strict=True):
        if not one.path.startswith("trunk"):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6, err_msg=one.path)


def test_one_task_left_is_the_plain_step() -> None:
    weights = {"kind": 0.0, "bright": 0.0, "round": 0.0, "copy": 0.7}
    odd = Fixed(weights=(5.0, 7.0, 3.0, 0.1))
    assert_same(trained(odd, weights=weights, **SGD), trained(weights=weights, **SGD))


def branched() -> tuple[Any, dict[str, Any]]:
    """`a` and `b` share a branch that `c` does not have; all share the trunk; `b` sees the trunk directly too."""
    inputs = keras.Input((3,))
    trunk = layers.Dense(4, activation="tanh", name="trunk")(inputs)
    branch = layers.Dense(3, activation="tanh", name="branch")(trunk)
    return inputs, {
        "a": layers.Dense(1, name="a")(branch),
        "b": layers.Dense(1, name="b")(layers.Concatenate()([branch, trunk])),
        "c": layers.Dense(1, name="c")(trunk),
    }


def branched_model(weighting: Any, optimizer: Any = None, **arguments: Any) -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    model = MultiTaskModel(*branched())
    arguments = {"loss": "mse", "weighting": weighting, "run_eagerly": True, **arguments}
    model.compile(optimizer or keras.optimizers.SGD(0.1), **arguments)
    return model


ONES = (1.0, 1.0, 1.0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32")
Y = {task: RNG.normal(size=(12, 1)).astype("float32") for task in "abc"}


@pytest.mark.parametrize(
    ("dropped", "arguments"),
    [
        ("", {}),
        ("a", {}),
        ("c", {}),
        ("a", {"representation": True}),
        ("", {"representation": True, "update_every": 2}),
    ],
)
def test_partly_shared_variables(dropped: str, arguments: Any) -> None:
    """The branch is weighed where both its tasks run, and has the plain gradient of the one that does otherwise."""
    weights = np.array([2.0, 0.5, -1.0])
    model, plain = branched_model(Fixed(weights=tuple(weights), **arguments)), branched_model("static")
    if dropped:
        model.set_task_weights({dropped: 0})
    running = [task for task in "abc" if task != dropped]
    variables = {v.path: v for v in plain.trainable_variables}
    gradients = {}
    for task in running:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((plain(X)[task] - Y[task]) ** 2)
        found = tape.gradient(loss, [v.value for v in variables.values()])
        gradients[task] = {path: 0.0 if g is None else g.numpy() for path, g in zip(variables, found, strict=True)}
    model.train_on_batch(X, Y)
    for path, variable in variables.items():
        tasks = {"trunk": "abc", "branch": "ab"}.get(path.split("/")[0], path[0])
        reaching = [task for task in tasks if task in running]
        factors = {task: weights["abc".index(task)] if len(reaching) > 1 else 1.0 for task in reaching}
        expected = variable.numpy() - 0.1 * sum(factors[task] * gradients[task][path] for task in reaching)
        found = next(v for v in model.trainable_variables if v.path == path).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=path)


def test_two_halves() -> None:
    """The Gramian is of one half with the other; the step is that of the whole batch, whatever the halves' sizes."""
    for size in (12, 7, 1):
        model, plain = branched_model(FixedHalves(ONES)), branched_model("static")
        before = branched_model("static")
        y = {task: labels[:size] for task, labels in Y.items()}
        model.train_on_batch(X[:size], y)
        plain.train_on_batch(X[:size], y)
        assert_same(model, plain)
    halves = [np.arange(0, 12, 2), np.arange(1, 12, 2)]
    rows = []
    for half in halves:
        row = []
        for task in "abc":
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((before(X[half])[task] - Y[task][half]) ** 2)
            shared = [v.value for v in before.trainable_variables if v.path.startswith(("trunk", "branch"))]
            found = tape.gradient(loss, shared, unconnected_gradients="zero")
            row.append(np.concatenate([np.ravel(g) for g in found]))
        rows.append(np.array(row))
    model = branched_model(FixedHalves(ONES))
    model.train_on_batch(X, Y)
    np.testing.assert_allclose(state(model)["gramian"], rows[0] @ rows[1].T, rtol=1e-4, atol=1e-7)


def test_weights_are_used_again_between_updates() -> None:
    model = branched_model(Fixed(weights=(2.0, 0.5, 1.0), update_every=3), run_eagerly=False)
    for step in range(7):
        model.train_on_batch(X, Y)
        assert state(model)["steps"].tolist() == [1 + step // 3] * 3
    model.set_task_weights({"b": 0})
    model.train_on_batch(X, Y)
    assert state(model)["steps"].tolist() == [4, 4, 4]  # other tasks run: the weights are not for them
    model.train_on_batch(X, Y)
    assert state(model)["steps"].tolist() == [4, 4, 4]
    model.set_task_weights({"a": 2})
    model.train_on_batch(X, Y)
    assert state(model)["steps"].tolist() == [5, 5, 5]  # other task weights are live in the next step
    assert sum(s.traces for s in model.specializations) == 2


def test_compiled_steps_are_those_of_eager_mode() -> None:
    models = branched_model("cagrad", steps_per_execution=2, run_eagerly=False), branched_model("cagrad")
    for model in models:
        model.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
    assert_same(*models, atol=1e-6)


def test_clipping_is_of_the_combined_gradient() -> None:
    model = branched_model(Fixed(weights=(3.0, 3.0, 3.0)), keras.optimizers.SGD(1.0, global_clipnorm=0.01))
    before = [v.numpy() for v in model.trainable_variables]
    model.train_on_batch(X, Y)
    moved = [v.numpy() - old for v, old in zip(model.trainable_variables, before)]
    assert np.sqrt(sum((part**2).sum() for part in moved)) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("weighting", [Fixed(ONES), Fixed(ONES, update_every=4), FixedSum(ONES)])
def test_mixed_precision(weighting: Any) -> None:
    """The Gramian is of unscaled gradients; a step whose gradients overflow changes no state."""
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = branched_model(weighting, "sgd")
        reference = [v.numpy() for v in model.trainable_variables]
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    huge = {task: labels * 1e4 for task, labels in Y.items()}
    model.train_on_batch(X, huge)
    for old, variable in zip(reference, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert all(not value.any() for value in state(model).values())
    exact = branched_model(weighting)
    exact.set_weights(model.get_weights())
    for _ in range(20):
        model.train_on_batch(X, Y)
        if any(value.any() for value in state(model).values()):
            break
    exact.train_on_batch(X, Y)
    for name, value in state(exact).items():
        np.testing.assert_allclose(state(model)[name], value, rtol=0.02, atol=0.005, err_msg=name)


def test_the_state_is_saved(tmp_path: Path) -> None:
    model, whole = (branched_model("nash_mtl(update_every=3)") for _ in range(2))
    for _ in range(4):
        model.train_on_batch(X, Y)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for _ in range(3):
        again.train_on_batch(X, Y)
    for _ in range(7):
        whole.train_on_batch(X, Y)
    assert_same(again, whole, atol=1e-6)


def test_a_frozen_trunk_leaves_nothing_to_weigh() -> None:
    trained = []
    for weighting in ("static", "cagrad", "moco", "cagrad(representation=True)", "cagrad(update_every=2)"):
        keras.utils.set_random_seed(0)
        model = MultiTaskModel(*branched())
        model.get_layer("trunk").trainable = model.get_layer("branch").trainable = False
        model.compile("sgd", loss="mse", weighting=weighting, run_eagerly=True)
        model.train_on_batch(X, Y)
        trained.append(model)
    for model in trained[1:]:
        assert_same(model, trained[0])


def test_masks_of_sequences_reach_the_heads() -> None:
    def model(weighting: Any) -> MultiTaskModel:
        keras.utils.set_random_seed(0)
        words = keras.Input((5,), dtype="int32")
        embedded = layers.Embedding(10, 4, mask_zero=True)(words)
        heads = {task: layers.Dense(1, name=task)(layers.LSTM(3)(embedded)) for task in "ab"}
        built = MultiTaskModel(words, heads)
        built.compile("sgd", loss="mse", weighting=weighting, run_eagerly=True)
        return built

    words = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 0, 0], [6, 7, 8, 9, 1]], "int32")
    y = {task: np.ones((3, 1), "float32") for task in "ab"}
    for weighting in (Fixed(weights=(1.0, 1.0)), Fixed(weights=(1.0, 1.0), update_every=2)):
        found, plain = model(weighting), model("static")
        found.train_on_batch(words, y)
        plain.train_on_batch(words, y)
        assert_same(found, plain, atol=1e-6)


class CountedBackward(layers.Layer):
    """An identity that counts, in eager mode, how often a gradient is taken back through it."""

    count = 0

    def call(self, inputs: Any) -> Any:
        @tf.custom_gradient
        def identity(x: Any) -> Any:
            def backward(gradient: Any) -> Any:
                self.count += 1
                return gradient

            return tf.identity(x), backward

        return identity(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def test_a_gradient_goes_back_through_each_head_once() -> None:
    inputs = keras.Input((4,))
    features = layers.Dense(3)(inputs)
    outputs = {name: CountedBackward()(layers.Dense(2)(features)) for name in ("first", "second", "third")}
    model = MultiTaskModel(inputs, outputs)
    model.compile("sgd", loss="mse", weighting="pcgrad", run_eagerly=True)
    labels = {name: np.ones((8, 2), "float32") for name in outputs}
    model.fit(np.ones((8, 4), "float32"), labels, batch_size=8, verbose=0)
    counts = [layer.count for layer in model.layers if isinstance(layer, CountedBackward)]
    assert counts == [1, 1, 1]
