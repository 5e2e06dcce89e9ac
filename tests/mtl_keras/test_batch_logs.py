"""Logs of single steps are made into numbers for those who look at them, and for nobody else."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel
from mtl_keras.batch_logs import BatchLogs, are_read
from mtl_keras.callbacks import Progress, StopOnNonFinite, TaskScheduler, TensorBoard


class AtTheEnd(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen = dict(logs)


class OldName(keras.callbacks.Callback):
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen = dict(logs)


class AtEpochs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen = dict(logs)


def model_of() -> MultiTaskModel:
    inputs = keras.Input((2,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"})
    model.compile("sgd", loss="mse")
    return model


DATA = np.ones((4, 2), "float32"), {name: np.ones((4, 1), "float32") for name in "ab"}


@pytest.mark.parametrize(
    ("callbacks", "read"),
    [
        (None, False),
        ([AtEpochs(), Progress(), StopOnNonFinite(), TaskScheduler("dst"), TensorBoard()], False),
        ([TensorBoard(update_freq=1)], True),
        ([AtEpochs(), AtTheEnd()], True),
        (OldName(), True),
        ([keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)], True),
        (keras.callbacks.CallbackList([AtTheEnd()]), True),
    ],
)
def test_who_reads(callbacks: Any, read: bool) -> None:
    assert are_read({"callbacks": callbacks, "verbose": 0}) is read
    assert are_read({"callbacks": callbacks})  # a bar is drawn


def test_nothing_is_fetched_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    read = BatchLogs.__getitem__
    monkeypatch.setattr(BatchLogs, "__getitem__", lambda logs, name: fetched.append(1) or read(logs, name))
    model, end = model_of(), AtEpochs()
    model.fit(*DATA, batch_size=1, verbose=0, callbacks=[end], validation_data=DATA)
    assert {"loss", "a_loss", "val_b_loss"} <= end.seen.keys()
    assert len(fetched) == sum(not name.startswith("val_") for name in end.seen) + len(model.get_metrics_result())


@pytest.mark.parametrize("callback", [AtTheEnd(), OldName()])
def test_who_looks_sees_all(callback: Any) -> None:
    model = model_of()
    history = model.fit(*DATA, batch_size=2, verbose=0, callbacks=[callback])
    assert callback.seen == {name: pytest.approx(values[-1]) for name, values in history.history.items()}
    assert model.train_on_batch(*DATA, return_dict=True).keys() == callback.seen.keys()
