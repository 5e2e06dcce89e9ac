"""Losses and metrics of a regression do not depend on the unit of its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models import heads
from mtl_keras import MultiTaskModel, Task, TaskSet
from mtl_keras.losses import ScaledLoss
from mtl_keras.metrics import ScaledError

MEAN, DEVIATION = 250_000.0, 90_000.0


def test_by_hand() -> None:
    true, predicted = np.array([[100.0], [300.0]]), np.array([[150.0], [300.0]])
    assert float(ScaledLoss("mse", 100.0)(true, predicted)) == pytest.approx(0.125)
    assert float(ScaledLoss("mae", 100.0)(true, predicted)) == pytest.approx(0.25)
    metric = ScaledError(100.0)
    metric.update_state(true, predicted)
    assert float(metric.result()) == pytest.approx(0.25)


def fitted(task: Task, labels: np.ndarray) -> tuple[MultiTaskModel, dict[str, Any]]:
    keras.utils.set_random_seed(0)
    x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    inputs = keras.Input((1,))
    model = MultiTaskModel(inputs, {"price": heads.regression(task, inputs, hidden=8)})
    np.testing.assert_allclose(model.predict(x, verbose=0)["price"], task.mean)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **TaskSet([task]).compile_args())
    history = model.fit(x, {"price": labels}, batch_size=8, epochs=3, verbose=0, shuffle=False).history
    return model, history


def test_training_does_not_depend_on_the_unit(tmp_path: Path) -> None:
    standardised = np.linspace(-2, 2, 32, dtype="float32")[:, None] ** 2 - 1
    standardised[::5] = np.nan
    _, expected = fitted(Task.regression("price", mean=0.0, deviation=1.0), standardised)
    labels = standardised * DEVIATION + MEAN
    model, history = fitted(Task.regression("price", mean=MEAN, deviation=DEVIATION), labels)
    assert np.isfinite(history["price_loss"]).all()
    for name in ("price_loss", "price_scaled_mae"):
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-3)
    np.testing.assert_allclose(history["price_mae"], np.array(expected["price_mae"]) * DEVIATION, rtol=1e-3)
    np.testing.assert_allclose(history["mtl_score"], -np.array(history["price_scaled_mae"]), rtol=1e-6)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    x = np.zeros((1, 1), "float32")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0)["price"], model.predict(x, verbose=0)["price"])
    assert loaded.evaluate(x, {"price": x + MEAN}, return_dict=True, verbose=0)["price_scaled_mae"] < 5


@pytest.mark.parametrize(
    ("mean", "deviation"), [(1.0, None), (None, 1.0), (1.0, 0.0), (1.0, -1.0), (float("nan"), 1.0), (1.0, float("inf"))]
)
def test_mean_and_deviation_belong_together(mean: float | None, deviation: float | None) -> None:
    with pytest.raises(ValueError, match=r"Task 'price' needs both a finite mean and a finite deviation > 0. Received"):
        Task.regression("price", mean=mean, deviation=deviation)
