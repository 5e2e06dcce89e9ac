"""`TaskScheduler` with a model that only records the weights that it is given, and with a real one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks.task_scheduler import TaskScheduler
from mtl_keras.schedules import Records, Schedule

NAN = math.nan
STEPS = 24


class RecordingModel:
    """The part of a model that `TaskScheduler` uses.

    Args:
        weights: each task's own weight.
        steps_per_execution: how many steps one call of the train function takes.
    """

    def __init__(self, weights: Mapping[str, float] | None = None, steps_per_execution: int = 1) -> None:
        self.task_weights = {"item": 1.0, "group": 2.0, "sketch": 0.5} if weights is None else dict(weights)
        self.task_names = tuple(self.task_weights)
        self.steps_per_execution = steps_per_execution
        self.rows: list[list[float]] = []

    def task_depths(self) -> dict[str, int]:
        return {task: 2 + index for index, task in enumerate(self.task_names)}

    def set_step_weights(self, rows: np.ndarray) -> None:
        assert rows.shape == (self.steps_per_execution, len(self.task_names))
        self.rows.extend(rows.tolist())


class Outside(Schedule):
    """Gives a number that is no probability."""

    kind = "probability"

    def __call__(self, epoch: int, records: Records) -> dict[str, float]:
        return dict.fromkeys(records.tasks, 1.5)


def fit(
    scheduler: TaskScheduler,
    model: RecordingModel,
    losses: Sequence[tuple[float, ...]],
    initial_epoch: int = 0,
    steps: int = STEPS,
) -> list[dict[str, float]]:
    """Calls the callback as `keras.Model.fit` does; returns the logs of each epoch."""
    scheduler.set_model(model)
    scheduler.on_train_begin()
    history = []
    for epoch in range(initial_epoch, len(losses)):
        scheduler.on_epoch_begin(epoch)
        for step in range(0, steps, model.steps_per_execution):
            scheduler.on_train_batch_begin(step)
        names = [f"{task}_loss" for task in model.task_names]
        logs = dict(zip(names, losses[epoch], strict=True))
        scheduler.on_epoch_end(epoch, logs)
        history.append(logs)
    scheduler.on_train_end()
    return history


LOSSES = [(2.0, 1.0, 3.0), (1.0, 0.9, NAN), (0.9, 0.9, 2.0), (0.8, 0.8, 1.0)]


def test_active_tasks_keep_their_weight_and_the_others_have_none() -> None:
    model = RecordingModel()
    fit(TaskScheduler("random_drop(0.5)"), model, LOSSES)
    rows = np.array(model.rows)
    assert rows.shape == (4 * STEPS, 3)
    assert [sorted(set(column)) for column in rows.T.tolist()] == [[0, 1], [0, 2], [0, 0.5]]
    assert (rows > 0).any(axis=1).all()


@pytest.mark.parametrize("every", [1, 5, 12, "epoch"])
@pytest.mark.parametrize("steps_per_execution", [3, 8])
def test_draws_do_not_depend_on_steps_per_execution(every: int | Literal["epoch"], steps_per_execution: int) -> None:
    one, several = RecordingModel(), RecordingModel(steps_per_execution=steps_per_execution)
    for model in (one, several):
        fit(TaskScheduler("random_drop", seed=7, every=every), model, LOSSES)
    assert several.rows == one.rows


def test_same_seed_same_draws() -> None:
    def rows(seed: int) -> list[list[float]]:
        model = RecordingModel()
        fit(TaskScheduler("dst", seed=seed), model, LOSSES)
        return model.rows

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


@pytest.mark.parametrize(("every", "length"), [(1, 1), (6, 6), ("epoch", STEPS)])
def test_a_draw_holds_for_every_n_steps(every: int | Literal["epoch"], length: int) -> None:
    model = RecordingModel()
    fit(TaskScheduler("random_drop", every=every), model, [LOSSES[0]] * 12)
    blocks = np.array(model.rows).reshape(-1, length, 3)
    assert (blocks == blocks[:, :1]).all()
    assert (blocks[1:, 0] != blocks[:-1, 0]).any()


def test_tasks_of_weight_zero_never_run_and_one_of_the_others_always_does() -> None:
    model = RecordingModel({"item": 0.0, "group": 1.0, "sketch": 1.0})
    fit(TaskScheduler("random_drop({'group': 0, 'sketch': 0})"), model, LOSSES)
    assert model.rows == [[0, 1, 0]] * (4 * STEPS)


def test_weights_changed_during_an_epoch_count_from_the_next_step() -> None:
    model = RecordingModel()
    scheduler = TaskScheduler("random_drop(1.0)")
    scheduler.set_model(model)
    scheduler.on_train_begin()
    scheduler.on_epoch_begin(0)
    scheduler.on_train_batch_begin(0)
    model.task_weights["group"] = 0.0
    scheduler.on_train_batch_begin(1)
    assert model.rows == [[1, 2, 0.5], [1, 0, 0.5]]


@pytest.mark.parametrize("keep", [0.5, 0.2, 0.0])
def test_unbiased_weights_have_the_expected_gradient_of_no_dropping(keep: float) -> None:
    # None is drawn with (1 - keep)^3, and then the first task runs.
    chances = np.array([keep + (1 - keep) ** 3, keep, keep])
    own = np.array([1.0, 2.0, 0.5])
    model = RecordingModel()
    fit(TaskScheduler(f"random_drop({keep})", unbiased=True), model, LOSSES[:1], steps=4000)
    rows = np.array(model.rows)
    for column, weight, chance in zip(rows.T, own, chances, strict=True):
        assert set(column) == ({0.0, weight / chance} if 0 < chance < 1 else {weight * chance})
        deviation = weight * math.sqrt((1 - chance) / chance / len(rows)) if chance else 0.0
        assert abs(column.mean() - weight * (chance > 0)) <= 4 * deviation


def test_the_schedule_sees_depths_counts_and_losses_carried_forward() -> None:
    scheduler = TaskScheduler("dst", counts={"item": 60, "group": 60, "sketch": 6, "unused": 1})
    history = fit(scheduler, RecordingModel(), LOSSES)
    assert scheduler.records is not None
    assert scheduler.records.depths == {"item": 2, "group": 3, "sketch": 4}
    assert [entry["sketch"] for entry in scheduler.records.losses] == [3, 3, 2, 1]
    # Depths 2, 3, 4 and counts 60, 60, 6; epoch 2: I = 0.5, 0.9, 1 (mean 0.8), R = 0.5, 0.1, 0 (mean 0.2).
    assert history[0]["item_probability"] == pytest.approx(0.2 * (0.5 + 1 + 1 + 1 + 1))
    assert history[2]["item_probability"] == pytest.approx(0.2 * (0.5 + 1 + 0.625 + 0.4 + 1))
    assert history[2]["group_probability"] == pytest.approx(0.2 * (0.75 + 1 + 1 + 1 + 1))
    assert history[2]["sketch_probability"] == pytest.approx(0.2 * (1 + 0.1 + 1 + 1 + 1))


def test_without_counts_all_are_equal() -> None:
    history = fit(TaskScheduler("dst(count=1)"), RecordingModel(), LOSSES[:1])
    assert [history[0][f"{task}_probability"] for task in ("item", "group", "sketch")] == [1, 1, 1]


def test_weight_schedules_multiply_the_tasks_own_weights() -> None:
    model = RecordingModel(steps_per_execution=2)
    scheduler = TaskScheduler("weight_curves({'group': linear(1, 0, 2), 'item': constant(3)})")
    history = fit(scheduler, model, LOSSES, steps=2)
    assert model.rows == [[3, 2, 0.5]] * 2 + [[3, 1, 0.5]] * 2 + [[3, 0, 0.5]] * 4
    assert not any(name.endswith("_probability") for name in history[0])


def test_no_task_left_to_run_is_refused() -> None:
    with pytest.raises(ValueError, match="At least one task must have a weight above 0"):
        fit(TaskScheduler("static({'item': 0})"), RecordingModel({"item": 1.0, "group": 0.0}), [(1.0, 1.0)])
    with pytest.raises(ValueError, match="At least one task must have a weight above 0"):
        fit(TaskScheduler("dst"), RecordingModel({"item": 0.0, "group": 0.0}), [(1.0, 1.0)])


@pytest.mark.parametrize("schedule", ["dst", "random_drop", "static({'group': 0})"])
def test_a_resumed_run_is_the_same(schedule: str) -> None:
    through, first, second = RecordingModel(), RecordingModel(), RecordingModel(steps_per_execution=4)
    whole = TaskScheduler(schedule, seed=5, counts={"item": 3, "group": 2, "sketch": 1})
    history = fit(whole, through, LOSSES)
    before = TaskScheduler(schedule, seed=5, counts={"item": 3, "group": 2, "sketch": 1})
    fit(before, first, LOSSES[:2])
    after = TaskScheduler(schedule)
    after.set_state(json.loads(json.dumps(before.get_state(), allow_nan=False)))
    resumed = fit(after, second, LOSSES, initial_epoch=2)
    assert first.rows + second.rows == through.rows
    assert resumed == history[2:]
    assert after.get_state() == whole.get_state()


def test_the_state_of_a_task_that_never_ran_is_json() -> None:
    scheduler = TaskScheduler("dst")
    assert TaskScheduler("dst").get_state() == {"seed": 0, "records": None}
    fit(scheduler, RecordingModel(), [(1.0, 2.0, NAN)])
    state = json.loads(json.dumps(scheduler.get_state(), allow_nan=False))
    assert state["records"]["losses"] == [{"item": 1.0, "group": 2.0, "sketch": None}]
    scheduler.set_state(state)
    assert scheduler.records is not None
    assert math.isnan(scheduler.records.losses[0]["sketch"])


def test_fitting_again_from_the_first_epoch_resets_the_scheduler() -> None:
    scheduler, model = TaskScheduler("dst"), RecordingModel()
    first = fit(scheduler, model, LOSSES)
    second = fit(scheduler, model, LOSSES)
    assert second == first
    assert model.rows[: 4 * STEPS] == model.rows[4 * STEPS :]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"schedule": "dts"}, "Unknown schedule. Did you mean 'dst'"),
        ({"seed": -1}, "seed must be an integer >= 0. Received: seed=-1"),
        ({"every": 0}, "every must be a number of steps >= 1 or 'epoch'. Received: every=0"),
        ({"every": "step"}, "Received: every='step'"),
        ({"schedule": "static({'item': 1})", "unbiased": True}, "unbiased=True needs a schedule of probabilities"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskScheduler(**arguments)


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        (TaskScheduler("static({'gruop': 0})"), "Did you mean 'group'"),
        (TaskScheduler("dst", counts={"item": 1, "gruop": 1, "sketch": 1}), r"counts must name every task.*'group'"),
        (TaskScheduler(Outside()), "must give each task a probability from 0 to 1"),
    ],
)
def test_schedules_that_do_not_fit_the_model_are_refused_before_training(
    scheduler: TaskScheduler, message: str
) -> None:
    scheduler.set_model(RecordingModel())
    with pytest.raises(ValueError, match=message):
        scheduler.on_train_begin()


def test_records_of_other_tasks_are_refused() -> None:
    scheduler = TaskScheduler("dst")
    fit(scheduler, RecordingModel(), LOSSES)
    with pytest.raises(ValueError, match="cannot continue with a model of other tasks"):
        fit(scheduler, RecordingModel({"item": 1.0, "hat": 1.0}), LOSSES)


def small_model() -> MultiTaskModel:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = keras.layers.Dense(8, activation="relu")(inputs)
    item = keras.layers.Dense(3, activation="softmax")(features)
    size = keras.layers.Dense(1)(keras.layers.Dense(8)(features))
    model = MultiTaskModel(inputs, {"item": item, "size": size})
    losses = {"item": "sparse_categorical_crossentropy", "size": "mse"}
    model.compile("sgd", loss=losses, run_eagerly=True)
    return model


def small_data() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    labels = {"item": rng.integers(0, 3, 80), "size": rng.normal(size=(80, 1)).astype("float32")}
    return rng.normal(size=(80, 4)).astype("float32"), labels


def test_a_real_model_runs_the_tasks_that_were_drawn() -> None:
    scheduler = TaskScheduler("random_drop({'item': 0.9, 'size': 0.4})", seed=3)
    history = small_model().fit(*small_data(), batch_size=16, epochs=3, verbose=0, callbacks=[scheduler]).history
    recording = RecordingModel({"item": 1.0, "size": 1.0})
    fit(TaskScheduler("random_drop({'item': 0.9, 'size': 0.4})", seed=3), recording, [(1.0, 1.0)] * 3, steps=5)
    active = np.array(recording.rows).reshape(3, 5, 2).mean(axis=1)
    assert history["item_active"] == pytest.approx(active[:, 0])
    assert history["size_active"] == pytest.approx(active[:, 1])
    assert history["size_probability"] == [0.4] * 3


def test_a_real_model_tells_dst_its_depths_and_losses() -> None:
    scheduler = TaskScheduler("dst(floor=0.3)", counts={"item": 80, "size": 40})
    history = small_model().fit(*small_data(), batch_size=40, epochs=4, verbose=0, callbacks=[scheduler]).history
    assert scheduler.records is not None
    assert scheduler.records.depths == {"item": 2, "size": 3}
    assert [entry["item"] for entry in scheduler.records.losses] == pytest.approx(history["item_loss"])
    expected = [scheduler.schedule(epoch, scheduler.records.before(epoch)) for epoch in range(4)]
    for task in ("item", "size"):
        assert history[f"{task}_probability"] == pytest.approx([values[task] for values in expected])


def test_two_schedulers_in_one_fit_are_refused() -> None:
    model = RecordingModel()
    schedulers = [TaskScheduler("dst"), TaskScheduler("random_drop(keep=0.3)", every="epoch")]
    for scheduler in schedulers:
        scheduler.set_model(model)
    with pytest.raises(
        ValueError, match=r"one TaskScheduler\. Received: TaskScheduler\(DST\(\).* and TaskScheduler\(Ra"
    ):
        schedulers[0].on_train_begin()
    # After a `fit` that failed, another scheduler can be used.
    schedulers[0].set_model(model)
    schedulers[0].on_train_begin()
