"""A small model of two tasks, and data for it."""

from __future__ import annotations

import keras
import numpy as np


class TinyModel(keras.Model):
    """Tasks "a" and "a_b" on `(batch, 4)`."""

    task_names = ("a", "a_b")


def tiny_model() -> TinyModel:
    inputs = keras.Input((4,))
    trunk = keras.layers.Dense(3, activation="relu", name="trunk")(inputs)
    outputs = {name: keras.layers.Dense(1, name=f"{name}_head")(trunk) for name in TinyModel.task_names}
    model = TinyModel(inputs, outputs)
    model.compile(
        "sgd", loss=dict.fromkeys(TinyModel.task_names, "mse"), metrics={name: ["mae"] for name in TinyModel.task_names}
    )
    return model


def tiny_data(samples: int = 8) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    x = np.random.default_rng(0).normal(size=(samples, 4)).astype("float32")
    return x, {"a": x[:, :1], "a_b": x[:, 1:2]}
