"""Frozen layers do not change, the others train as before, and nothing is compiled again."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import FreezeLayers, GradientMonitor
from mtl_keras.training.dropped import slots

TRUNK = ("trunk_low", "trunk_norm", "trunk_high")
X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = {"a": X[:, :1], "b": X[:, 1:2]}
Arrays = list[np.ndarray]


def small_model(optimizer: Any = "adam", **compile_args: Any) -> MultiTaskModel:
    """Two tasks; the trunk has a BatchNorm layer and a regularizer, one head has dropout. Eager by default."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, name="trunk_low", kernel_regularizer="l2")(inputs)
    x = keras.layers.BatchNormalization(name="trunk_norm")(x)
    x = keras.layers.Dense(3, activation="tanh", name="trunk_high")(x)
    b = keras.layers.Dropout(0.5, seed=1)(x)
    model = MultiTaskModel(inputs, {"a": keras.layers.Dense(1, name="a")(x), "b": keras.layers.Dense(1, name="b")(b)})
    model.compile(optimizer, loss="mse", **{"run_eagerly": True, **compile_args})
    model.optimizer.build(model.trainable_variables)
    return model


def state(model: MultiTaskModel, *names: str) -> Arrays:
    """The weights of layers with all that the optimizer keeps of them."""
    by_variable = slots(model.optimizer)
    return [
        variable.numpy().copy()
        for name in names
        for weight in model.get_layer(name).weights
        for variable in (weight, *by_variable.get(id(weight), ()))
    ]


def everything(model: MultiTaskModel) -> Arrays:
    return [variable.numpy().copy() for variable in (*model.variables, *model.optimizer.variables)]


def same(one: Arrays, other: Arrays) -> list[bool]:
    return [bool((a == b).all()) for a, b in zip(one, other, strict=True)]


class States(keras.callbacks.Callback):
    """The state of some layers before each epoch and after the last."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names
        self.seen: list[Arrays] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.seen.append(state(self.model, *self.names))

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.seen.append(state(self.model, *self.names))


def fit(model: MultiTaskModel, epochs: int, *callbacks: keras.callbacks.Callback, **kwargs: Any) -> None:
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False, callbacks=list(callbacks), **kwargs)


def test_a_frozen_layer_changes_only_before_and_after_and_is_compiled_once() -> None:
    model = small_model(keras.optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True), run_eagerly=False)
    trunk, head = States(*TRUNK), States("a", "b")
    fit(model, 4, FreezeLayers({"trunk_*": (1, 3)}), trunk, head)
    moved = [same(before, after) for before, after in zip(trunk.seen, trunk.seen[1:])]
    assert [any(epoch) for epoch in moved] == [False, True, True, False]
    assert [all(epoch) for epoch in moved] == [False, True, True, False]
    assert not any(any(same(before, after)) for before, after in zip(head.seen, head.seen[1:]))
    assert all(layer.trainable for layer in model.layers)
    fit(model, 2, FreezeLayers({"trunk_*": (1, None)}))
    assert model.frozen_layers == {}
    assert [(entry.frozen, entry.traces) for entry in model.specializations] == [(0, 1), (3, 1)]


def test_frozen_layers_train_like_layers_that_are_not_trainable() -> None:
    ours, theirs = small_model(), small_model()
    ours.set_frozen_layers("trunk_*")
    for name in TRUNK:
        theirs.get_layer(name).trainable = False
    theirs.compile("adam", loss="mse", run_eagerly=True)
    for model in (ours, theirs):
        fit(model, 1)
    assert all(same(ours.get_weights(), _in_order(theirs, ours)))


def _in_order(model: MultiTaskModel, like: MultiTaskModel) -> Arrays:
    """Weights that are not trainable come last in `get_weights`."""
    values = {weight.path: weight.numpy().copy() for weight in model.weights}
    return [values[weight.path] for weight in like.weights]


def test_resumed_training_is_the_same(tmp_path: Path) -> None:
    whole, broken = small_model(), small_model()
    freezing = FreezeLayers({"trunk_*": 1})
    fit(whole, 2, freezing)
    fit(broken, 1, freezing)
    broken.save(tmp_path / "model.keras")
    arrays = broken.training_state()
    broken = keras.models.load_model(tmp_path / "model.keras")
    broken.resume_training(arrays)
    fit(broken, 2, freezing, initial_epoch=1)
    assert all(same(everything(whole), everything(broken)))


@functools.cache
def with_a_frozen_trunk() -> Arrays:
    model = small_model()
    model.set_frozen_layers(TRUNK)
    fit(model, 1)
    return [value.copy() for value in model.get_weights()]


@pytest.mark.parametrize("name", ["db_mtl", "graddrop"])
def test_a_frozen_trunk_has_no_gradients_to_weigh(name: str) -> None:
    model = small_model(weighting=name)
    at_first = {key: value.numpy().copy() for key, value in model.training_setup.weighting.state().items()}
    model.set_frozen_layers(TRUNK)
    fit(model, 1)
    for key, value in model.training_setup.weighting.state().items():
        np.testing.assert_array_equal(value.numpy(), at_first[key])
    for ours, theirs in zip(model.get_weights(), with_a_frozen_trunk(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    before = state(model, "trunk_low", "trunk_norm")
    model.set_frozen_layers(["trunk_low", "trunk_norm"])
    fit(model, 1)
    assert all(same(before, state(model, "trunk_low", "trunk_norm")))
    assert np.isfinite(np.concatenate([value.ravel() for value in state(model, *TRUNK)])).all()


def test_one_compiled_function_gives_what_many_give() -> None:
    still = ("trunk_norm", "trunk_low", "a")
    results = []
    for limit in (1, 100):
        model = small_model(keras.optimizers.AdamW(0.01), max_specializations=limit, run_eagerly=False)
        model.set_frozen_layers(still)
        before = state(model, *still)
        for row in [(1, 0), (1, 1), (1, 0)]:
            model.set_step_weights([row])
            model.train_on_batch(X, Y)
        assert all(same(before, state(model, *still)))
        results.append(everything(model))
        assert len(model.specializations) == (1 if limit == 1 else 2)
    for few, many in zip(*results, strict=True):
        np.testing.assert_allclose(few, many, atol=1e-6)


def test_the_gradient_monitor_has_no_values_for_a_frozen_trunk() -> None:
    monitor = GradientMonitor(1)
    fit(small_model(), 1, FreezeLayers({"trunk_*": 1}), monitor)
    assert np.isnan(monitor.summary.mean_cosine)


def nested() -> MultiTaskModel:
    images = keras.Input((4,))
    inner = keras.Sequential([keras.layers.Dense(3, name="low"), keras.layers.BatchNormalization(name="norm")])
    backbone = keras.Model(images, inner(images), name="backbone")
    x = keras.layers.Dense(3, name="neck")(backbone(images))
    model = MultiTaskModel(images, {name: keras.layers.Dense(1, name=name)(x) for name in ("a", "b")})
    model.compile("adam", loss="mse", run_eagerly=True)
    return model


@pytest.mark.parametrize(
    ("patterns", "still"),
    [
        ("backbone", ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]),
        (["backbone/*/norm"], ["gamma", "beta", "moving_mean", "moving_variance"]),
        (["backbone/*/l?w"], ["kernel", "bias"]),
    ],
)
def test_layers_within_a_layer(patterns: Any, still: list[str]) -> None:
    model = nested()
    model.set_frozen_layers(patterns)
    backbone = model.get_layer("backbone")
    before = [weight.numpy().copy() for weight in backbone.weights]
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    model.fit(x, {"a": x[:, :1], "b": x[:, 1:2]}, verbose=0)
    unmoved = same(before, [weight.numpy().copy() for weight in backbone.weights])
    assert [weight.name for weight, same_ in zip(backbone.weights, unmoved) if same_] == still
    assert len(backbone.trainable_weights) == 4


def test_a_layer_with_those_within_it_is_one_set() -> None:
    model = nested()
    found = []
    for patterns in (["backbone"], ["backbone/*/norm", "backbone"], ["backbone/*"]):
        model.set_frozen_layers(patterns)
        found.append([path.rpartition("/")[2] for path in model.frozen_layers])
    assert found == [["low", "norm"]] * 3


def test_names_and_epochs_are_checked() -> None:
    model = small_model()
    with pytest.raises(ValueError, match=r"Unknown layer to freeze. Did you mean 'trunk_norm'\? Received: 'trunk_nrm'"):
        fit(model, 1, FreezeLayers({"trunk_*": 1, "trunk_nrm": (5, 6)}))
    assert model.specializations == []
    with pytest.raises(ValueError, match=r"Nothing would be left to train. Received: frozen layers .*trunk_low, "):
        fit(model, 1, FreezeLayers({"*": 1}))
    for wrong in (-1, None, 1.5, (1,), ("a", None), True):
        with pytest.raises(ValueError, match=r"epochs of 'trunk' must be .* Received: "):
            FreezeLayers({"trunk": wrong})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="must be a dict from layer to epochs"):
        FreezeLayers("trunk")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"needs a mtl_keras.MultiTaskModel. Received: model=Functional"):
        FreezeLayers({"trunk": 1}).set_model(keras.Model(model.inputs, model.output))


def test_gradient_accumulation_refuses_freezing() -> None:
    model = small_model(keras.optimizers.Adam(gradient_accumulation_steps=2))
    model.set_frozen_layers("trunk_*")
    with pytest.raises(ValueError, match=r"nor layers frozen.*gradient_accumulation_steps=2"):
        model.train_on_batch(X, Y)
