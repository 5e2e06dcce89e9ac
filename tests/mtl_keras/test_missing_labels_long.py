"""400 steps in which some labels are missing, compared with the same training in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import StopOnNonFinite

EPOCHS, STEPS, BATCH = 4, 100, 8
FEATURES, HIDDEN, CLASSES = 5, 7, 3
RATE = 0.1
WEIGHTS = {"kind": 1.0, "point": 0.5}
EMPTY_EVERY, HOLE_EVERY = 10, 7


def batches() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs `(steps, batch, features)`, classes `(steps, batch)` and points `(steps, batch, 2)` of all 400 steps.

    Every tenth batch has no class at all, every seventh a NaN in one coordinate of a point, and many samples miss one
    label or both.
    """
    rng = np.random.default_rng(0)
    steps = EPOCHS * STEPS
    x = rng.normal(size=(steps, BATCH, FEATURES)).astype("float32")
    kind = (x[..., :CLASSES].argmax(-1)).astype("int32")
    point = np.tanh(x[..., 1:3] - x[..., 3:5]).astype("float32")
    kind[rng.random(kind.shape) < 0.2] = -1
    point[rng.random(kind.shape) < 0.1] = np.nan
    kind[::EMPTY_EVERY] = -1
    point[::HOLE_EVERY, 3, 1] = np.nan
    return x, kind, point


def network() -> MultiTaskModel:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((FEATURES,))
    hidden = layers.Dense(HIDDEN, activation="tanh", name="trunk")(inputs)
    outputs = {
        "kind": layers.Dense(CLASSES, activation="softmax", name="kind")(hidden),
        "point": layers.Dense(2, name="point")(hidden),
    }
    model = MultiTaskModel(inputs, outputs)
    losses = {"kind": "sparse_categorical_crossentropy", "point": "mse"}
    model.compile(keras.optimizers.SGD(RATE), loss=losses, loss_weights=WEIGHTS)
    return model


@dataclass
class ByHand:
    """The same network and its gradient descent in float64, with NumPy.

    Args:
        weights: kernel and bias of the hidden layer, of the classes and of the points.
    """

    weights: list[np.ndarray]
    logs: list[dict[str, float]] = field(default_factory=list)

    def train(self, x: np.ndarray, kind: np.ndarray, point: np.ndarray) -> None:
        """Goes through one epoch: a step for each entry of the first axis."""
        sums = {"kind": np.zeros(2), "point": np.zeros(2)}
        totals = []
        for batch in zip(x, kind, point, strict=True):
            found = self._step(*batch)
            for task, entry in found.items():
                sums[task] += entry
            totals.append(sum(WEIGHTS[task] * total / max(count, 1) for task, (total, count) in found.items()))
        means = {f"{task}_loss": float(total / count) for task, (total, count) in sums.items()}
        self.logs.append({"loss": float(np.mean(totals)), **means})

    def _step(self, x: np.ndarray, kind: np.ndarray, point: np.ndarray) -> dict[str, tuple[float, int]]:
        """Moves the weights; returns the summed loss and the labelled samples of each task."""
        trunk, trunk_bias, head, head_bias, points, points_bias = self.weights
        hidden = np.tanh(x @ trunk + trunk_bias)
        logits = hidden @ head + head_bias
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        has_kind, has_point = kind >= 0, ~np.isnan(point).any(-1)
        error = np.where(has_point[:, None], hidden @ points + points_bias - point, 0.0)
        losses = np.where(has_kind, -np.log(shares[np.arange(len(kind)), kind]), 0.0)

        # d loss / d logits, and d loss / d points: the mean over the labelled samples, times the task's weight.
        to_logits = np.where(has_kind[:, None], shares - np.eye(CLASSES)[kind], 0.0)
        to_logits *= WEIGHTS["kind"] / max(has_kind.sum(), 1)
        to_points = error * WEIGHTS["point"] / max(has_point.sum(), 1)  # 2 / 2: a mean over two coordinates
        to_hidden = (to_logits @ head.T + to_points @ points.T) * (1 - hidden**2)
        gradients = [x.T @ to_hidden, to_hidden.sum(0)]
        gradients += [hidden.T @ to_logits, to_logits.sum(0), hidden.T @ to_points, to_points.sum(0)]
        self.weights = [weight - RATE * gradient for weight, gradient in zip(self.weights, gradients, strict=True)]
        return {"kind": (losses.sum(), has_kind.sum()), "point": ((error**2).mean(-1).sum(), has_point.sum())}


def test_400_steps_are_those_of_numpy() -> None:
    x, kind, point = batches()
    assert (kind[::EMPTY_EVERY] == -1).all()
    assert np.isnan(point[::HOLE_EVERY]).any(axis=(1, 2)).all()
    model = network()
    model.steps_per_execution = 25
    hand = ByHand([weight.astype("float64") for weight in model.get_weights()])
    start = hand.weights
    dataset = tf.data.Dataset.from_tensor_slices((x, {"kind": kind, "point": point})).repeat()
    history = model.fit(
        dataset, steps_per_epoch=STEPS, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[StopOnNonFinite(every=1)]
    ).history
    for epoch in range(EPOCHS):
        part = slice(epoch * STEPS, (epoch + 1) * STEPS)
        hand.train(x[part].astype("float64"), kind[part], point[part].astype("float64"))
    assert not model.nonfinite_losses
    assert int(model.optimizer.iterations) == EPOCHS * STEPS
    for name in ("loss", "kind_loss", "point_loss"):
        expected = [logs[name] for logs in hand.logs]
        np.testing.assert_allclose(history[name], expected, rtol=1e-4, err_msg=name)
        assert expected[-1] < 0.7 * expected[0]  # it learned, or there would be little to compare
    for found, expected, before in zip(model.get_weights(), hand.weights, start, strict=True):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert abs(expected - before).max() > 0.005
