"""`GradientMonitor`: its values, its log directory, and that training is the same with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from mtl_keras import MultiTaskModel, TaskSplit
from mtl_keras.callbacks import GradientMonitor, TaskScheduler, TensorBoard
from mtl_keras.callbacks.tensorboard_run import heat_map
from tests.mtl_keras.callbacks.tiny import tiny_model

TASKS = ("a", "b", "c")
LOGS = ("gradient_cosine", "conflict_rate", "gradient_norm_ratio")
BATCH, STEPS = 4, 6
X = np.random.default_rng(0).normal(size=(BATCH * STEPS, 4)).astype("float32")
Y = {"a": X[:, :1], "b": X[:, 1:2] - X[:, :1], "c": 5 * X[:, 2:3]}


def model_of(optimizer: Any = "adam", **arguments: Any) -> MultiTaskModel:
    """Three tasks, two of them fused, with BatchNorm in the trunk and dropout in a head; eager by default."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, activation="tanh", name="trunk_dense")(inputs)
    x = keras.layers.BatchNormalization(name="trunk_norm")(x)
    b, c = TaskSplit(2)(keras.layers.Dense(2)(x))
    model = MultiTaskModel(inputs, {"a": keras.layers.Dense(1)(keras.layers.Dropout(0.3, seed=1)(x)), "b": b, "c": c})
    model.compile(optimizer, loss="mse", **{"run_eagerly": True, **arguments})
    return model


@dataclass
class Trained:
    """A model after `fit`."""

    model: MultiTaskModel
    history: Mapping[str, list[float]]
    monitor: GradientMonitor


def train(
    every: int | None = 2,
    *,
    epochs: int = 1,
    steps: int = STEPS,
    weights: Any = None,
    callbacks: Any = (),
    folder: Path | None = None,
    **arguments: Any,
) -> Trained:
    """Trains for some epochs of `steps` steps; without a monitor if `every` is None."""
    optimizer = arguments.pop("optimizer", lambda: "adam")()
    model, monitor = model_of(optimizer, **arguments), GradientMonitor(every or 1, folder)
    model.set_task_weights(weights or {})
    data = X[: BATCH * steps], {task: labels[: BATCH * steps] for task, labels in Y.items()}
    called = [*callbacks] if every is None else [*callbacks, monitor]
    history = model.fit(*data, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0, callbacks=called).history
    return Trained(model, history, monitor)


def by_tape(model: MultiTaskModel) -> np.ndarray:
    """The gradients `(tasks, coordinates)` of the tasks' losses in the trunk for the first batch; changes the model."""
    trunk = [v.value for layer in model.layers if layer.name.startswith("trunk") for v in layer.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        predicted = model(X[:BATCH], training=True)
        losses = [tf.reduce_mean((tf.reshape(predicted[task], (-1, 1)) - Y[task][:BATCH]) ** 2) for task in TASKS]
    return np.array([np.concatenate([np.ravel(g) for g in tape.gradient(loss, trunk)]) for loss in losses])


@pytest.mark.parametrize("weighting", ["static", "cagrad"])
def test_a_step_gives_the_gradients_of_a_tape(weighting: str) -> None:
    rows = by_tape(model_of())
    norms = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / norms[:, None] / norms
    pairs = cosines[np.triu_indices(3, 1)]
    found = train(1, steps=1, weighting=weighting)
    np.testing.assert_allclose(found.monitor.summary.cosine, cosines, atol=2e-5)
    np.testing.assert_allclose(found.monitor.summary.norm, norms, rtol=2e-5)
    np.testing.assert_array_equal(found.monitor.summary.conflict, cosines < 0)
    assert found.history["gradient_cosine"] == [pytest.approx(pairs.mean(), abs=2e-5)]
    assert found.history["conflict_rate"] == [pytest.approx((pairs < 0).mean())]
    assert found.history["gradient_norm_ratio"] == [pytest.approx(norms.max() / norms.min(), rel=1e-4)]


def assert_equal_training(one: Trained, other: Trained) -> None:
    for first, second in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    for first, second in zip(one.model.optimizer.variables, other.model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())
    for key in one.history:
        np.testing.assert_array_equal(one.history[key], other.history[key])


@pytest.mark.parametrize(
    "arguments",
    [
        {
            "steps": 3,
            "weights": {"b": 0.0},
            "optimizer": lambda: keras.optimizers.AdamW(weight_decay=0.1, use_ema=True),
        },
        {"steps": 3, "weighting": "cagrad"},
    ],
    ids=["dropped with ema", "cagrad"],
)
def test_training_is_the_same_bit_for_bit(arguments: dict[str, Any]) -> None:
    assert_equal_training(train(None, **dict(arguments)), train(2, **dict(arguments)))


def test_compiled_executions_of_several_steps_measure_and_train_the_same() -> None:
    plain, watched = (train(every, steps_per_execution=3, run_eagerly=False) for every in (None, 2))
    assert_equal_training(plain, watched)
    eager = train(2)
    for key in LOGS:
        assert eager.history[key] == pytest.approx(watched.history[key], rel=1e-5, abs=1e-6)


def test_with_drawn_tasks_every_step_is_measured_and_training_is_the_same() -> None:
    plain, watched = (
        train(every, callbacks=[TaskScheduler("random_drop(keep=0.5)")], max_specializations=3) for every in (None, 1)
    )
    assert_equal_training(plain, watched)
    assert watched.monitor.summary.steps == STEPS
    assert not np.isnan([watched.history[key] for key in LOGS]).any()


def test_every_nth_step_is_measured() -> None:
    # The first and the fourth of six, in executions of two.
    assert train(3, steps_per_execution=2).monitor.summary.steps == 2


def test_an_epoch_has_only_its_own_steps() -> None:
    first, both = train(1, epochs=1, steps=2), train(1, epochs=2, steps=2)
    for key in LOGS:
        assert both.history[key][0] == first.history[key][0]
    assert both.monitor.summary.steps == 2
    assert both.history["gradient_cosine"][1] != first.history["gradient_cosine"][0]


def test_a_dropped_task_is_not_counted() -> None:
    summary = train(1, steps=2, weights={"b": 0.0}).monitor.summary
    assert np.isnan(summary.cosine).tolist() == [[False, True, False], [True, True, True], [False, True, False]]
    assert np.isnan(summary.norm).tolist() == [False, True, False]


def test_a_task_without_labels_is_not_counted() -> None:
    monitor = GradientMonitor(1)
    labels = {**Y, "b": np.full_like(Y["b"], np.nan)}
    model_of().fit(X, labels, verbose=0, callbacks=[monitor])
    assert np.isnan(monitor.summary.cosine[1]).all()
    assert not np.isnan(monitor.summary.mean_cosine)


@pytest.mark.parametrize("weighting", ["cagrad(update_every=2)", "moco"])
def test_any_weighting(weighting: str) -> None:
    watched = train(2, steps=4, weighting=weighting)
    assert watched.monitor.summary.steps == 2
    assert not np.isnan([watched.history[key] for key in LOGS]).any()


def fit_heads_alone(tasks: str, monitor: GradientMonitor) -> MultiTaskModel:
    """Trains a model whose tasks share nothing, and asserts that there is nothing to measure."""
    inputs = keras.Input((4,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1, name=name)(inputs) for name in tasks})
    model.compile("sgd", loss="mse", run_eagerly=True)
    history = model.fit(X, {name: Y[name] for name in tasks}, verbose=0, callbacks=[monitor]).history
    assert np.isnan([history[key] for key in LOGS]).all()
    return model


def test_tasks_that_share_nothing_are_nan() -> None:
    fit_heads_alone("ab", GradientMonitor(1))


def test_one_task_is_nan_and_not_measured(tmp_path: Path) -> None:
    model = fit_heads_alone("a", GradientMonitor(1, tmp_path))
    assert not any(function.monitored for function in model.specializations)
    assert events(tmp_path / "gradients").Tags()["tensors"] == []


def loss_scaled(scale: float) -> keras.optimizers.Optimizer:
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=scale)


@pytest.mark.parametrize("weighting", ["static", "cagrad"])
def test_steps_that_overflow_are_not_counted(weighting: str) -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    before = model_of().get_layer("trunk_dense").get_weights()
    found = train(1, steps=1, optimizer=lambda: loss_scaled(2.0**60), weighting=weighting)
    for old, new in zip(before, found.model.get_layer("trunk_dense").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert found.monitor.summary.steps == 0
    assert np.isnan([found.history[key] for key in LOGS]).all()


def test_the_loss_scale_is_not_in_the_gradients() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    plain, scaled = (
        train(1, steps=1, optimizer=lambda: loss_scaled(scale), weighting="cagrad").monitor.summary  # noqa: B023
        for scale in (1.0, 1024.0)
    )
    assert plain.steps == scaled.steps == 1
    np.testing.assert_allclose(plain.norm, scaled.norm, rtol=0.02)
    np.testing.assert_allclose(plain.cosine, scaled.cosine, atol=0.02)


def test_after_training_nothing_is_measured_and_without_a_folder_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    watched = train(steps=1)
    assert list(tmp_path.iterdir()) == []
    assert watched.model.gradients.every == 0
    history = watched.model.fit(X, Y, verbose=0).history
    assert not set(LOGS) & set(history)
    assert watched.model.gradients.summary().steps == 0


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), {"tensors": 0}).Reload()


def test_tensorboard_has_the_means_the_pairs_and_a_heat_map(tmp_path: Path) -> None:
    monitor, cosines = GradientMonitor(1, tmp_path), []
    model = model_of()
    model.set_task_weights({"b": 0.0})
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: cosines.append(monitor.summary.cosine))
    callbacks = [monitor, keep, TensorBoard(tmp_path, write_graph=False)]
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks).history
    found = events(tmp_path / "gradients")
    assert set(found.PluginTagToContent("scalars")) == {
        "gradients/cosine", "gradients/conflict_rate", "gradients/norm_ratio", "gradient_cosine/a~c",
        "gradient_conflict/a~c", "gradient_norm/a", "gradient_norm/c",
    }  # fmt: skip
    for tag, key in zip(("gradients/cosine", "gradients/conflict_rate", "gradients/norm_ratio"), LOGS, strict=True):
        written = [(event.step, float(make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]
        assert written == [(epoch, pytest.approx(value)) for epoch, value in enumerate(history[key])]
    written = [float(make_ndarray(event.tensor_proto)) for event in found.Tensors("gradient_cosine/a~c")]
    assert written == pytest.approx([matrix[0, 2] for matrix in cosines])
    (tag,) = found.PluginTagToContent("images")
    assert tag == "gradients/cosines"
    width, height, png = make_ndarray(found.Tensors(tag)[1].tensor_proto)
    image = tf.io.decode_png(png).numpy()
    assert image.shape == (int(height), int(width), 3)
    np.testing.assert_array_equal(image, heat_map(cosines[1]))
    assert {f"summary/{key}" for key in LOGS} <= set(events(tmp_path / "train").PluginTagToContent("scalars"))


def test_update_freq_of_tensorboard_does_not_matter(tmp_path: Path) -> None:
    # With it Keras records nothing at all outside of every thousandth step.
    other = TensorBoard(tmp_path, update_freq=1000, write_graph=False)
    train(1, steps=1, folder=tmp_path, callbacks=[other])
    assert events(tmp_path / "gradients").PluginTagToContent("images")


def test_resumed_training_writes_to_the_same_folder(tmp_path: Path) -> None:
    model, monitor = model_of(), GradientMonitor(1, str(tmp_path))
    for epoch in range(2):
        model.fit(X, Y, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[monitor])
    steps = [event.step for event in events(tmp_path / "gradients").Tensors("gradients/cosine")]
    assert sorted(steps) == [0, 1]  # two files of the same second are read in any order


def test_the_heat_map_is_blue_white_red_and_grey() -> None:
    image = heat_map(np.array([[1, -1, 0], [-1, 1, np.nan], [0.5, np.nan, -0.5]], "float32"))
    side = len(image) // 3
    assert image.shape == (3 * side, 3 * side, 3)
    squares = image[side // 2 :: side, side // 2 :: side].astype(int)
    np.testing.assert_array_equal(image, squares.astype("uint8").repeat(side, 0).repeat(side, 1))
    assert squares[0, 0].tolist() == squares[1, 1].tolist() == [178, 24, 43]
    assert squares[0, 1].tolist() == squares[1, 0].tolist() == [33, 102, 172]
    assert squares[0, 2].tolist() == [255, 255, 255]
    assert squares[1, 2].tolist() == squares[2, 1].tolist() == [128, 128, 128]
    assert np.abs(squares[2, 0] - (255 + np.array([178, 24, 43])) / 2).max() <= 1
    assert np.abs(squares[2, 2] - (255 + np.array([33, 102, 172])) / 2).max() <= 1


@pytest.mark.parametrize("tasks", [1, 2, 40, 500])
def test_the_heat_map_has_room_for_many_tasks(tasks: int) -> None:
    height, width, _ = heat_map(np.eye(tasks)).shape
    assert height == width
    assert height % tasks == 0
    assert height >= min(4 * tasks, 300)


@pytest.mark.parametrize("every", [0, -1, 1.5, "2", None, True])
def test_bad_steps_are_refused(every: Any) -> None:
    with pytest.raises(ValueError, match=f"every must be .* >= 1. Received: every={every!r}"):
        GradientMonitor(every)


def test_a_bad_folder_is_refused() -> None:
    with pytest.raises(TypeError, match=r"log_dir must be a path or None. Received: log_dir=3"):
        GradientMonitor(log_dir=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [tiny_model, keras.Sequential])
def test_another_model_is_refused_at_once(model: Any) -> None:
    with pytest.raises(TypeError, match=r"MultiTaskModel. Received: model="):
        GradientMonitor().set_model(model())
