"""`MultiTaskModel.resume_training` within an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import GradientMonitor, StopOnNonFinite, TaskAffinity, TaskScheduler

STEPS, LEFT = 6, 4


class Leave(keras.callbacks.Callback):
    """Saves the model and its state after `LEFT` steps of epoch 1."""

    def __init__(self, path: Path, scheduler: TaskScheduler) -> None:
        super().__init__()
        self.path, self.scheduler = path, scheduler
        self.state: Any = None
        self.draws: Any = None
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if (self._epoch, batch + 1) == (1, LEFT):
            self.model.save(self.path)
            self.state, self.draws = self.model.training_state(), self.scheduler.get_state()


def made(weighting: str, steps: int, **arguments: Any) -> MultiTaskModel:
    inputs = keras.Input((5,))
    hidden = keras.layers.Dropout(0.3)(keras.layers.Dense(8, "relu")(inputs))
    heads = {"a": (1, None), "b": (3, "softmax"), "c": (1, None)}
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(*head, name=name)(hidden) for name, head in heads.items()})
    model.compile(
        "adam",
        loss={"a": "mse", "b": "sparse_categorical_crossentropy", "c": "mae"},
        metrics={"b": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)]},
        weighting=weighting,
        steps_per_execution=steps,
        **arguments,
    )
    return model


def batches(rng: np.random.Generator) -> tf.data.Dataset:
    x = rng.normal(size=(30, 5)).astype("float32")
    y = {"a": x[:, :1], "b": rng.integers(0, 3, 30), "c": x[:, 1:2] - 1}
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(6).repeat()


@pytest.mark.parametrize(
    ("weighting", "steps", "arguments"),
    [("famo", 2, {"max_specializations": 1}), ("pcgrad", 1, {"run_eagerly": True})],
    ids=["famo, compiled", "pcgrad, eager"],
)
def test_a_resumed_epoch_ends_as_if_it_had_not_stopped(
    weighting: str, steps: int, arguments: dict[str, Any], tmp_path: Path
) -> None:
    data = batches(np.random.default_rng(0))

    def fit(model: MultiTaskModel, data: tf.data.Dataset, first: int, *callbacks: Any) -> dict[str, list[Any]]:
        affinity, epochs = TaskAffinity(2), []
        keep = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: epochs.append(str(affinity.epoch_affinity.to_json()))
        )
        all_callbacks = [*callbacks[:1], StopOnNonFinite(), GradientMonitor(3), affinity, keep, *callbacks[1:]]
        found = model.fit(
            data,
            steps_per_epoch=STEPS,
            initial_epoch=first,
            epochs=3,
            verbose=0,
            shuffle=False,
            callbacks=all_callbacks,
        )
        return {key: values[1 - first :] for key, values in {**found.history, "affinity": epochs}.items()}

    whole, scheduler = made(weighting, steps, **arguments), TaskScheduler("dst", seed=1)
    leave = Leave(tmp_path / "model.keras", scheduler)
    expected = fit(whole, data, 0, scheduler, leave)
    again, scheduler = keras.models.load_model(leave.path), TaskScheduler("dst", seed=1)
    scheduler.set_state(leave.draws)
    again.resume_training(leave.state, LEFT)
    found = fit(again, data.skip(STEPS + LEFT), 1, scheduler)
    assert found == expected
    for one, other in zip(whole.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_the_steps_and_the_state_must_fit() -> None:
    model, other = made("static", 4), made("static", 1)
    with pytest.raises(ValueError, match="multiple of steps_per_execution=4"):
        model.resume_training(model.training_state(), 6)
    state = {name: array for name, array in other.training_state().items() if name != "seeds_0"}
    with pytest.raises(ValueError, match="another model: seeds do not fit"):
        other.resume_training(state)
