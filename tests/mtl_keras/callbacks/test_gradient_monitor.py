"""`GradientMonitor`: what it sees, where it writes it, and that training does not notice."""

from __future__ import annotations

import itertools
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

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import GradientMonitor, TaskScheduler, TensorBoard
from mtl_keras.callbacks.gradient_monitor import heat_map
from mtl_keras.testing import toy_data, toy_model
from tests.mtl_keras.callbacks.tiny import tiny_model

TASKS = ("kind", "bright", "round", "copy")
LOGS = ("gradient_cosine", "conflict_rate", "gradient_norm_ratio")
BATCH, STEPS = 16, 6


@dataclass
class Trained:
    """A model after `fit`, with what was seen on the way."""

    model: MultiTaskModel
    history: Mapping[str, list[float]]
    monitor: GradientMonitor | None


class Seen(keras.callbacks.Callback):
    """Keeps the monitor's summary of each epoch."""

    def __init__(self, monitor: GradientMonitor) -> None:
        super().__init__()
        self.monitor = monitor
        self.summaries: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.summaries.append(self.monitor.summary)


def train(
    every: int | None = 2, *, epochs: int = 1, weights: Any = None, callbacks: Any = (), **arguments: Any
) -> Trained:
    """Trains the toy model for some epochs of `STEPS` steps, eagerly; without a monitor if `every` is None."""
    optimizer = arguments.pop("optimizer", lambda: "adam")()
    model = toy_model(optimizer, **{"run_eagerly": True, **arguments})
    if weights:
        model.set_task_weights(weights)
    monitor = None if every is None else GradientMonitor(every)
    x, y = toy_data(BATCH * STEPS)
    history = model.fit(
        x, y, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0,
        callbacks=[*callbacks, *([monitor] if monitor else [])],
    ).history  # fmt: skip
    return Trained(model, history, monitor)


def by_tape(model: MultiTaskModel, x: Any, y: Any) -> np.ndarray:
    """The gradients `(tasks, coordinates)` of the tasks' losses in the trunk, taken one by one; changes the model."""
    trunk = [v for layer in model.layers if layer.name.startswith("trunk") for v in layer.trainable_variables]
    losses = {
        "kind": keras.losses.SparseCategoricalCrossentropy(),
        "bright": keras.losses.BinaryCrossentropy(),
        "round": keras.losses.BinaryCrossentropy(),
        "copy": keras.losses.MeanSquaredError(),
    }
    with tf.GradientTape(persistent=True) as tape:
        predicted = model(x, training=True)
        # As a column each, which is what a binary cross-entropy of one label a sample is a mean over.
        columns = {task: (-1, 1) if task in ("bright", "round") else (-1, *predicted[task].shape[1:]) for task in TASKS}
        found = {task: tf.reshape(predicted[task], columns[task]) for task in TASKS}
        labels = {task: y[task].reshape(columns[task]) if task != "kind" else y[task] for task in TASKS}
        values = [losses[task](labels[task], found[task]) for task in TASKS]
    rows = []
    for value in values:
        gradients = tape.gradient(value, [v.value for v in trunk])
        rows.append(np.concatenate([np.reshape(gradient, -1) for gradient in gradients]))
    return np.array(rows)


@pytest.mark.parametrize("weighting", ["static", "cagrad"])
def test_a_step_is_what_a_tape_says(weighting: str) -> None:
    x, y = toy_data(BATCH)
    rows = by_tape(toy_model(), x, y)
    norms = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / norms[:, None] / norms
    pairs = cosines[np.triu_indices(4, 1)]
    model, monitor = toy_model(weighting=weighting), GradientMonitor(1)
    history = model.fit(x, y, batch_size=BATCH, verbose=0, shuffle=False, callbacks=[monitor]).history
    assert monitor.summary is not None
    np.testing.assert_allclose(monitor.summary.cosine, cosines, atol=2e-5)
    np.testing.assert_allclose(monitor.summary.norm, norms, rtol=2e-5)
    np.testing.assert_array_equal(monitor.summary.conflict, cosines < 0)
    assert history["gradient_cosine"] == [pytest.approx(pairs.mean(), abs=2e-5)]
    assert history["conflict_rate"] == [pytest.approx((pairs < 0).mean())]
    assert history["gradient_norm_ratio"] == [pytest.approx(norms.max() / norms.min(), rel=1e-4)]


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
        {"run_eagerly": False},
        {"weights": {"bright": 0.0}, "optimizer": lambda: keras.optimizers.AdamW(weight_decay=0.1, use_ema=True)},
        {"weighting": "cagrad"},
    ],
    ids=["compiled", "dropped with ema", "cagrad"],
)
def test_training_is_the_same_bit_for_bit(arguments: dict[str, Any]) -> None:
    assert_equal_training(train(None, **dict(arguments)), train(2, **dict(arguments)))


def test_training_with_drawn_tasks_is_the_same_bit_for_bit() -> None:
    plain, watched = (
        train(every, callbacks=[TaskScheduler("random_drop(keep=0.5)")], max_specializations=3) for every in (None, 2)
    )
    assert_equal_training(plain, watched)


def test_every_nth_step_is_looked_at() -> None:
    # The first and the fourth of six, in executions of two.
    assert train(3, steps_per_execution=2).monitor.summary.steps == 2


def test_executions_see_what_single_steps_see() -> None:
    one, several = train(2), train(2, steps_per_execution=3, run_eagerly=False)
    for key in LOGS:
        assert one.history[key] == pytest.approx(several.history[key], rel=1e-5, abs=1e-6)


def test_an_epoch_has_only_its_own_steps() -> None:
    first, both = train(1, epochs=1), train(1, epochs=2)
    for key in LOGS:
        assert both.history[key][0] == first.history[key][0]
    assert both.monitor.summary.steps == STEPS
    assert both.history["gradient_cosine"][1] != first.history["gradient_cosine"][0]


def test_a_dropped_task_is_not_counted() -> None:
    summary = train(1, weights={"bright": 0.0}).monitor.summary
    unknown = np.isnan(summary.cosine)
    assert unknown[1].all()
    assert unknown[:, 1].all()
    assert not np.delete(np.delete(unknown, 1, 0), 1, 1).any()
    assert np.isnan(summary.norm).tolist() == [False, True, False, False]


def test_drawn_tasks_are_counted_when_they_run_together() -> None:
    watched = train(1, callbacks=[TaskScheduler("random_drop(keep=0.5)")])
    assert watched.monitor.summary.steps == STEPS
    assert not np.isnan([watched.history[key] for key in LOGS]).any()


def test_a_task_without_labels_is_not_counted() -> None:
    x, y = toy_data(BATCH)
    y["bright"][:] = np.nan
    monitor = GradientMonitor(1)
    toy_model().fit(x, y, batch_size=BATCH, verbose=0, callbacks=[monitor])
    assert np.isnan(monitor.summary.cosine[1]).all()
    assert not np.isnan(monitor.summary.mean_cosine)


@pytest.mark.parametrize("weighting", ["cagrad(update_every=2)", "moco"])
def test_any_weighting(weighting: str) -> None:
    watched = train(2, weighting=weighting)
    assert watched.monitor.summary.steps == STEPS / 2
    assert not np.isnan([watched.history[key] for key in LOGS]).any()


def single_task_model() -> MultiTaskModel:
    inputs = keras.Input((4,))
    model = MultiTaskModel(inputs, {"only": keras.layers.Dense(1, name="only")(inputs)})
    model.compile("sgd", loss="mse")
    return model


def test_one_task_costs_nothing_and_is_nan(tmp_path: Path) -> None:
    model, monitor = single_task_model(), GradientMonitor(1, tmp_path)
    history = model.fit(
        np.ones((8, 4)), {"only": np.ones((8, 1))}, batch_size=4, verbose=0, callbacks=[monitor]
    ).history
    assert np.isnan([history[key] for key in LOGS]).all()
    assert not any(function.monitored for function in model.specializations)
    assert events(tmp_path / "gradients").Tags()["tensors"] == []


def test_tasks_that_share_nothing_are_nan() -> None:
    inputs = keras.Input((4,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"})
    model.compile("sgd", loss="mse")
    labels = {name: np.ones((8, 1)) for name in "ab"}
    history = model.fit(np.ones((8, 4)), labels, batch_size=4, verbose=0, callbacks=[GradientMonitor(1)]).history
    assert np.isnan([history[key] for key in LOGS]).all()


@pytest.mark.parametrize("weighting", ["static", "cagrad"])
def test_steps_that_overflow_are_not_counted(weighting: str) -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**60)
    model, monitor = toy_model(optimizer, weighting=weighting), GradientMonitor(1)
    before = model.get_layer("trunk_dense").get_weights()
    x, y = toy_data(BATCH)
    history = model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[monitor]).history
    for old, new in zip(before, model.get_layer("trunk_dense").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert monitor.summary.steps == 0
    assert np.isnan([history[key] for key in LOGS]).all()


def test_the_loss_scale_is_not_in_what_is_seen() -> None:
    keras.mixed_precision.set_global_policy("mixed_float16")
    summaries = []
    for scale in (1.0, 1024.0):
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=scale)
        model, monitor = toy_model(optimizer, weighting="cagrad"), GradientMonitor(1)
        model.fit(*toy_data(BATCH), batch_size=BATCH, verbose=0, callbacks=[monitor])
        summaries.append(monitor.summary)
    assert [summary.steps for summary in summaries] == [1, 1]
    np.testing.assert_allclose(summaries[0].norm, summaries[1].norm, rtol=0.02)
    np.testing.assert_allclose(summaries[0].cosine, summaries[1].cosine, atol=0.02)


def test_after_training_nothing_is_looked_at() -> None:
    watched = train(2)
    assert watched.model.gradients.every == 0
    history = watched.model.fit(*toy_data(BATCH), verbose=0).history
    assert not set(LOGS) & set(history)
    assert watched.model.gradients.summary().steps == 0


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), {"tensors": 0}).Reload()


def test_tensorboard_has_the_means_the_pairs_and_a_heat_map(tmp_path: Path) -> None:
    monitor = GradientMonitor(1, tmp_path)
    seen = Seen(monitor)
    model = toy_model()
    model.set_task_weights({"bright": 0.0})
    callbacks = [monitor, seen, TensorBoard(tmp_path, write_graph=False)]
    history = model.fit(*toy_data(BATCH), batch_size=BATCH, epochs=2, verbose=0, callbacks=callbacks).history
    found = events(tmp_path / "gradients")
    running = [task for task in TASKS if task != "bright"]
    pairs = [f"{one}~{other}" for one, other in itertools.combinations(running, 2)]
    assert set(found.PluginTagToContent("scalars")) == {
        "gradients/cosine", "gradients/conflict_rate", "gradients/norm_ratio",
        *(f"gradient_{kind}/{pair}" for kind in ("cosine", "conflict") for pair in pairs),
        *(f"gradient_norm/{task}" for task in running),
    }  # fmt: skip
    for tag, key in zip(("gradients/cosine", "gradients/conflict_rate", "gradients/norm_ratio"), LOGS, strict=True):
        written = [(event.step, float(make_ndarray(event.tensor_proto))) for event in found.Tensors(tag)]
        assert written == [(epoch, pytest.approx(value)) for epoch, value in enumerate(history[key])]
    cosines = [float(make_ndarray(event.tensor_proto)) for event in found.Tensors("gradient_cosine/kind~copy")]
    assert cosines == pytest.approx([summary.cosine[0, 3] for summary in seen.summaries])
    (tag,) = found.PluginTagToContent("images")
    assert tag == "gradients/cosines"
    width, height, png = make_ndarray(found.Tensors(tag)[1].tensor_proto)
    image = tf.io.decode_png(png).numpy()
    assert image.shape == (int(height), int(width), 3)
    np.testing.assert_array_equal(image, heat_map(seen.summaries[1].cosine))
    assert {f"summary/{key}" for key in LOGS} <= set(events(tmp_path / "train").PluginTagToContent("scalars"))


def test_what_is_written_does_not_depend_on_how_often_batches_are(tmp_path: Path) -> None:
    # With it Keras records nothing at all outside of every thousandth step.
    other = TensorBoard(tmp_path, update_freq=1000, write_graph=False)
    toy_model().fit(*toy_data(BATCH), verbose=0, callbacks=[GradientMonitor(1, tmp_path), other])
    assert events(tmp_path / "gradients").PluginTagToContent("images")


def test_training_goes_on_in_the_same_folder(tmp_path: Path) -> None:
    model, monitor = toy_model(), GradientMonitor(1, str(tmp_path))
    for epoch in range(2):
        model.fit(*toy_data(BATCH), initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[monitor])
    assert [event.step for event in events(tmp_path / "gradients").Tensors("gradients/cosine")] == [0, 1]


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy_model().fit(*toy_data(BATCH), verbose=0, callbacks=[GradientMonitor()])
    assert list(tmp_path.iterdir()) == []


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
