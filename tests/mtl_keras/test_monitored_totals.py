"""Total losses cannot be compared once the task weights have changed: monitoring them is warned about."""

from __future__ import annotations

import warnings

import keras
import pytest

from mtl_keras.callbacks import TaskScheduler
from mtl_keras.testing import toy_data, toy_model


class _Halve(keras.callbacks.Callback):
    """Changes a weight after each epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.model.set_task_weights({"kind": 0.5**epoch})


def fit(monitor: str, changes: keras.callbacks.Callback) -> None:
    x, y = toy_data(16)
    stopping = keras.callbacks.EarlyStopping(monitor, mode="min", patience=9)
    toy_model().fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=[changes, stopping])


@pytest.mark.parametrize(
    ("monitor", "changes"), [("val_loss", _Halve()), ("loss", _Halve()), ("loss", TaskScheduler("random_drop"))]
)
def test_a_total_whose_weights_change_is_warned_about_once(monitor: str, changes: keras.callbacks.Callback) -> None:
    with pytest.warns(UserWarning, match=f"monitors '{monitor}'") as caught:
        fit(monitor, changes)
    assert sum("monitors" in str(warning.message) for warning in caught) == 1


@pytest.mark.parametrize(
    ("monitor", "changes"),
    [("val_kind_loss", _Halve()), ("val_loss", keras.callbacks.Callback()), ("val_loss", TaskScheduler("random_drop"))],
)
def test_what_stays_comparable_is_not(monitor: str, changes: keras.callbacks.Callback) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*monitors.*")
        fit(monitor, changes)
