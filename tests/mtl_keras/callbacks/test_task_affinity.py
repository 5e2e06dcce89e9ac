"""`TaskAffinity`: against its definition with plain Keras, and that training is the same with it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import FreezeLayers, GradientMonitor, TaskAffinity, TaskScheduler
from mtl_keras.callbacks.tensorboard_run import heat_map
from tests.mtl_keras.callbacks.tiny import tiny_model

TASKS = ("a", "b", "c")
BATCH, STEPS = 8, 4
X = np.random.default_rng(0).normal(size=(BATCH * STEPS, 4)).astype("float32")
Y = {"a": X[:, :1] + 2, "b": (X[:, 1:2] > X[:, :1]).astype("float32"), "c": 3 * X[:, 2:3]}
Optimizer = Callable[[], keras.optimizers.Optimizer]
ADAM: Optimizer = lambda: keras.optimizers.Adam(0.01)  # noqa: E731
MOMENTUM: Optimizer = lambda: keras.optimizers.SGD(0.02, momentum=0.9)  # noqa: E731


def network(kind: type[keras.Model], noise: bool = True) -> Any:
    """Three tasks on a trunk, two of them on a branch; with `noise` there are BatchNorm and dropout in each part."""
    keras.utils.set_random_seed(0)
    drop, norm = (
        each if noise else lambda *_, **__: keras.layers.Identity()
        for each in (keras.layers.Dropout, keras.layers.BatchNormalization)
    )
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, activation="tanh", name="trunk")(inputs)
    x = drop(0.2, seed=1)(norm(name="norm")(x))
    branch = norm(name="branch_norm")(keras.layers.Dense(5, use_bias=False, name="branch")(x))
    a = keras.layers.Dense(1, name="head_a")(drop(0.3, seed=2)(x))
    b = keras.layers.Dense(1, "sigmoid", name="head_b")(branch)
    return kind(inputs, {"a": a, "b": b, "c": keras.layers.Dense(1, name="head_c")(branch)})


def model_of(optimizer: Optimizer = ADAM, noise: bool = True, **arguments: Any) -> MultiTaskModel:
    model = network(MultiTaskModel, noise)
    losses = {"a": "mse", "b": "binary_crossentropy", "c": "mae"}
    model.compile(optimizer(), losses, **{"run_eagerly": True, **arguments})
    return model


def fit(
    model: MultiTaskModel, *callbacks: keras.callbacks.Callback, epochs: int = 1, labels: Any = None
) -> Mapping[str, list[float]]:
    history = model.fit(X, labels or Y, BATCH, epochs=epochs, shuffle=False, verbose=0, callbacks=[*callbacks]).history
    return dict(history)


def by_hand(optimizer: Optimizer, steps: int = STEPS, noise: bool = True) -> tuple[np.ndarray, keras.Model]:
    """Trains with plain Keras; returns the affinities `(steps, tasks, tasks)` by equation 1 of TAG, and the model."""
    model, real = network(keras.Model, noise), optimizer()
    real.build(model.trainable_variables)
    shared = [variable for variable in model.trainable_variables if not variable.path.startswith("head")]
    state = [*model.variables, *real.variables]
    tables = []
    for start in range(0, steps * BATCH, BATCH):
        rows = slice(start, start + BATCH)

        def losses() -> list[Any]:
            found = model(X[rows], training=True)  # noqa: B023
            return [
                tf.reduce_mean((found["a"] - Y["a"][rows]) ** 2),  # noqa: B023
                tf.reduce_mean(keras.losses.binary_crossentropy(Y["b"][rows], found["b"])),  # noqa: B023
                tf.reduce_mean(tf.abs(found["c"] - Y["c"][rows])),  # noqa: B023
            ]

        before = [variable.numpy() for variable in state]
        table = np.zeros((3, 3))
        for source in range(3):
            with tf.GradientTape() as tape:
                first = losses()
            gradients = tape.gradient(first[source], [variable.value for variable in shared])
            real.apply([g for g in gradients if g is not None], [v for g, v in zip(gradients, shared) if g is not None])
            moved = [variable.numpy() for variable in shared]
            for variable, value in zip(state, before):
                variable.assign(value)
            for variable, value in zip(shared, moved):
                variable.assign(value)
            table[source] = 1 - np.array(losses()) / np.array(first)
            for variable, value in zip(state, before):
                variable.assign(value)
        with tf.GradientTape() as tape:
            total = tf.add_n(losses())
        real.apply(tape.gradient(total, [v.value for v in model.trainable_variables]), model.trainable_variables)
        tables.append(table)
    return np.array(tables), model


@pytest.mark.parametrize(
    ("optimizer", "eager"),
    [(ADAM, True), (MOMENTUM, True), (MOMENTUM, False)],
    ids=["adam", "momentum", "momentum, compiled"],
)
def test_it_is_the_definition(optimizer: Optimizer, eager: bool) -> None:
    expected, plain = by_hand(optimizer)
    model, monitor = model_of(optimizer, run_eagerly=eager), TaskAffinity(1, sources=None)
    fit(model, monitor)
    assert np.abs(expected).mean() > 1e-3
    np.testing.assert_allclose(monitor.affinity.mean, expected.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(monitor.affinity.error, expected.std(axis=0, ddof=1) / STEPS**0.5, atol=1e-5)
    assert (monitor.affinity.count == STEPS).all()
    for one, other in zip(model.variables, plain.variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "arguments", "callbacks"),
    [
        (MOMENTUM, {"run_eagerly": False, "steps_per_execution": 3}, []),
        (
            lambda: keras.optimizers.AdamW(weight_decay=0.1, use_ema=True, ema_overwrite_frequency=2, clipnorm=0.1),
            {},
            [TaskScheduler("static(weights={'b': 0})"), FreezeLayers({"trunk": 1})],
        ),
        (ADAM, {"weighting": "famo"}, [TaskScheduler("random_drop(keep=0.5)")]),
        (ADAM, {"weighting": "cagrad", "max_specializations": 1}, [TaskScheduler("random_drop(keep=0.5)")]),
        (ADAM, {"weighting": "moco"}, []),
    ],
    ids=["several steps", "ema, decay, dropped, frozen", "famo, drawn", "cagrad, drawn", "moco"],
)
def test_training_is_the_same_bit_for_bit(
    optimizer: Optimizer, arguments: dict[str, Any], callbacks: list[Any]
) -> None:
    def trained(*monitors: keras.callbacks.Callback) -> tuple[MultiTaskModel, Mapping[str, list[float]]]:
        model = model_of(optimizer, **arguments)
        return model, fit(model, *copy.deepcopy(callbacks), *monitors)

    monitor = TaskAffinity(2, sources=2)
    (plain, expected), (watched, found) = trained(), trained(GradientMonitor(3), monitor)
    assert np.isfinite(monitor.affinity.mean[0]).any()
    for first, second in zip(
        [*plain.variables, *plain.optimizer.variables], [*watched.variables, *watched.optimizer.variables], strict=True
    ):
        np.testing.assert_array_equal(first.numpy(), second.numpy(), err_msg=first.path)
    for key, values in expected.items():
        np.testing.assert_array_equal(values, found[key])


@pytest.mark.parametrize(("weighting", "noise"), [("cagrad", True), ("sdmgrad", False)])
def test_a_weighting_does_not_change_what_a_step_on_one_task_does(weighting: str, noise: bool) -> None:
    # In the first step: the weights of later ones differ. Without noise two halves of a batch give the same gradients.
    expected, _ = by_hand(MOMENTUM, 1, noise)
    monitor = TaskAffinity(STEPS, sources=None)
    fit(model_of(MOMENTUM, noise, weighting=weighting), monitor)
    np.testing.assert_allclose(monitor.affinity.mean, expected[0], atol=1e-5)


def test_under_xla_too_the_dropout_masks_are_the_same() -> None:
    # The variables do not move, so that the losses change only with the masks.
    monitor = TaskAffinity(1, sources=None)
    fit(model_of(lambda: keras.optimizers.SGD(0.0), run_eagerly=False, jit_compile=True), monitor)
    assert (monitor.affinity.count == STEPS).all()
    assert (monitor.affinity.mean == 0).all()


def test_tasks_take_turns_as_sources_also_from_epoch_to_epoch() -> None:
    monitor = TaskAffinity(3)  # the first and the fourth step
    fit(model_of(), monitor, epochs=3)
    assert monitor.affinity.count.tolist() == [[2] * 3] * 3
    assert monitor.epoch_affinity.count.tolist() == [[0] * 3, [1] * 3, [1] * 3]


def test_tasks_that_are_dropped_or_have_no_labels_are_neither_source_nor_affected() -> None:
    for labels, weights in (({**Y, "b": np.full_like(Y["b"], np.nan)}, {}), (Y, {"b": 0.0})):
        model, monitor = model_of(), TaskAffinity(1)
        model.set_task_weights(weights)
        fit(model, monitor, labels=labels)
        assert monitor.affinity.count.tolist() == [[2, 0, 2], [0, 0, 0], [2, 0, 2]]
        assert np.isnan(monitor.affinity.mean).tolist() == [[False, True, False], [True] * 3, [False, True, False]]


def test_tasks_that_share_nothing_are_not_measured() -> None:
    inputs = keras.Input((4,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1)(inputs) for name in "ab"})
    model.compile("sgd", loss="mse", run_eagerly=True)
    monitor = TaskAffinity(1)
    model.fit(X, {name: Y[name] for name in "ab"}, verbose=0, callbacks=[monitor])
    assert not monitor.affinity.count.any()


def test_identical_tasks_have_equal_affinities() -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.BatchNormalization()(keras.layers.Dense(8, "relu")(inputs))
    heads = {task: keras.layers.Dense(1, kernel_initializer="ones")(features) for task in TASKS}
    model = MultiTaskModel(inputs, heads)
    model.compile(ADAM(), loss="mse", run_eagerly=True)
    monitor = TaskAffinity(1, sources=None)
    fit(model, monitor, labels=dict.fromkeys(TASKS, Y["a"]))
    assert monitor.affinity.mean.min() > 0.001
    np.testing.assert_allclose(monitor.affinity.mean, monitor.affinity.mean[0, 0], rtol=1e-3)


def loss_scaled(scale: float) -> Optimizer:
    return lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=scale)


def test_the_loss_scale_is_not_in_the_affinity_and_steps_that_overflow_are_not_counted() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    plain, scaled, overflowing = TaskAffinity(1, None), TaskAffinity(1, None), TaskAffinity(STEPS, None)
    for scale, monitor in ((1.0, plain), (1024.0, scaled), (2.0**60, overflowing)):
        fit(model_of(loss_scaled(scale), noise=False), monitor)
    assert np.abs(plain.affinity.mean).max() > 0.01
    np.testing.assert_allclose(plain.affinity.mean, scaled.affinity.mean, atol=2e-3)
    assert not overflowing.affinity.count.any()


def test_tensorboard_has_the_pairs_and_a_heat_map(tmp_path: Path) -> None:
    monitor = TaskAffinity(1, None, tmp_path)
    fit(model_of(), monitor, epochs=2)
    found = EventAccumulator(str(tmp_path / "affinity"), {"tensors": 0}).Reload()
    pairs = {f"affinity/{source}->{task}" for source in TASKS for task in TASKS}
    assert set(found.PluginTagToContent("scalars")) == {"affinity/scale", *pairs}
    scale, pair = (
        [float(make_ndarray(event.tensor_proto)) for event in found.Tensors(tag)]
        for tag in ("affinity/scale", "affinity/a->b")
    )
    assert pair[-1] == pytest.approx(monitor.affinity.on("b", of="a").mean)
    assert scale[-1] == pytest.approx(np.abs(monitor.affinity.mean).max())
    png = make_ndarray(found.Tensors("affinity/table")[-1].tensor_proto)[2]
    np.testing.assert_array_equal(tf.io.decode_png(png).numpy(), heat_map(monitor.affinity.mean / scale[-1]))


def test_what_cannot_be_measured_is_refused() -> None:
    for name, value in (("every", 0), ("every", 1.5), ("sources", 0)):
        with pytest.raises(ValueError, match=rf"{name} must be .*Received: {name}={value}"):
            TaskAffinity(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"TaskAffinity needs a mtl_keras.MultiTaskModel. Received: model=TinyModel"):
        TaskAffinity().set_model(tiny_model())
    model = model_of(lambda: keras.optimizers.SGD(gradient_accumulation_steps=2))
    with pytest.raises(ValueError, match=r"while gradients are accumulated .*gradient_accumulation_steps=2"):
        fit(model, TaskAffinity())
