"""The logs of single steps are fetched only if they are read, and monitored totals are warned about."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import Progress, StopOnNonFinite, TaskScheduler, TensorBoard
from mtl_keras.training.batch_logs import BatchLogs, batch_logs_are_read


class AtTheEnd(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen = dict(logs)


class OldName(keras.callbacks.Callback):
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen = dict(logs)


class AtEpochs(keras.callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen = dict(logs)


def model_of(**arguments: Any) -> MultiTaskModel:
    inputs = keras.Input((2,))
    model = MultiTaskModel(inputs, {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"})
    model.compile("sgd", loss="mse", **arguments)
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
    assert batch_logs_are_read({"callbacks": callbacks, "verbose": 0}) is read
    assert batch_logs_are_read({"callbacks": callbacks})  # a bar is drawn


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


class Halve(keras.callbacks.Callback):
    """Changes a weight after each epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.model.set_task_weights({"a": 0.5**epoch})


def fit(monitor: str, changes: keras.callbacks.Callback | str) -> None:
    """Trains with a callback that changes task weights, or with a weighting."""
    stopping = keras.callbacks.EarlyStopping(monitor, mode="min", patience=9)
    callbacks, weighting = ([stopping], changes) if isinstance(changes, str) else ([changes, stopping], "static")
    model = model_of(run_eagerly=True, weighting=weighting)
    model.fit(*DATA, validation_data=DATA, epochs=2, verbose=0, callbacks=callbacks)


@pytest.mark.parametrize(
    ("monitor", "changes"),
    [("val_loss", Halve()), ("loss", Halve()), ("loss", TaskScheduler("random_drop")), ("loss", "gls")],
)
def test_a_total_whose_weights_change_is_warned_about_once(monitor: str, changes: Any) -> None:
    with pytest.warns(UserWarning, match=f"monitors '{monitor}'") as caught:
        fit(monitor, changes)
    assert sum("monitors" in str(warning.message) for warning in caught) == 1


@pytest.mark.parametrize(
    ("monitor", "changes"),
    [("val_a_loss", Halve()), ("val_loss", TaskScheduler("random_drop")), ("val_loss", "gls"), ("loss", "static")],
)
def test_what_stays_comparable_is_not(monitor: str, changes: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*monitors.*")
        fit(monitor, changes)
