"""A network of your own, compared with its single-task networks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mtl_keras import MultiTaskModel
from mtl_keras.analysis import compare_with_single_task

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
LABELS = {"sum": X.sum(axis=1, keepdims=True), "sign": (X[:, :1] > 0).astype("float32")}


def build(tasks: list[str]) -> MultiTaskModel:
    inputs = keras.Input((4,))
    features = keras.layers.Dense(3, activation="tanh")(inputs)
    heads = {"sum": None, "sign": "sigmoid"}
    model = MultiTaskModel(inputs, {task: keras.layers.Dense(1, heads[task])(features) for task in tasks})
    losses = {"sum": "mse", "sign": "binary_crossentropy"}
    metrics = {"sign": ["accuracy"]} if "sign" in tasks else None
    sgd = keras.optimizers.SGD(0.1)
    model.compile(sgd, loss={task: losses[task] for task in tasks}, metrics=metrics, run_eagerly=True)
    return model


@pytest.mark.parametrize(("kind", "seeds"), [("arrays", (3, 5)), ("datasets", (3,))])
def test_both_sides_are_trained_and_judged_alike(kind: str, seeds: tuple[int, ...]) -> None:
    train, test = (X[:8], {task: y[:8] for task, y in LABELS.items()}), (X[8:], {t: y[8:] for t, y in LABELS.items()})
    data: Any = (train, test)
    if kind == "datasets":
        data = tuple(tf.data.Dataset.from_tensor_slices(part).batch(4) for part in data)
    trained: list[list[str]] = []

    def counted(tasks: list[str]) -> list[keras.callbacks.Callback]:
        trained.append(tasks)
        return []

    fit = {"epochs": 2, **({"batch_size": 4, "shuffle": False} if kind == "arrays" else {})}
    found = compare_with_single_task(build, data, seeds=seeds, callbacks=counted, **fit)
    assert trained == len(seeds) * [["sum", "sign"], ["sum"], ["sign"]]
    assert found.seeds == seeds
    described = [(task.task, task.metric, task.higher_is_better) for task in found.tasks]
    assert described == [("sum", "loss", False), ("sign", "accuracy", True)]
    # By hand, one of the networks.
    expected = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build(["sum"])
        model.fit(X[:8], {"sum": LABELS["sum"][:8]}, batch_size=4, epochs=2, shuffle=False, verbose=0)
        expected.append(model.evaluate(X[8:], {"sum": LABELS["sum"][8:]}, verbose=0))
    assert found.tasks[0].baseline.mean == pytest.approx(np.mean(expected), rel=1e-5)
    title, *rows = str(found).splitlines()
    assert title.split() == [
        *("task", "metric", "together", "alone", "difference", "verdict"),
        *["p", "(Holm)"] * (len(seeds) > 1),
    ]
    assert rows[0].startswith("sum   loss ↓")
    assert rows[2].startswith("delta_m = delta_p: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, r"`seeds` must be one or more different numbers, as \(0, 1, 2\). Received: \(\)"),
        ({"seeds": 3}, r"`seeds` must be .* Received: 3"),
        ({"data": (X, LABELS)}, r"`data` must be two parts, .* Received: \['ndarray', 'dict'\]"),
        ({"epoch": 3}, r"Did you mean 'epochs'.*Received: 'epoch'"),
        ({"tasks": ["sum"]}, "two or more different tasks. Received: sum"),
        ({"tasks": ["sum", "price"]}, "no labels of task 'price'. Received: sum, sign"),
        (
            {"build": lambda tasks: build(["sum", "sign"])},
            "`build` must return .* outputs sum. Received: .* with sum, sign",
        ),
        ({"build": keras.Sequential()}, "`build` must be a function that takes .* Received: <Sequential"),
        ({"build": lambda: build(["sum"])}, r"`build` must be a function .* Received: .* the arguments \(\)"),
        ({"data": ((X, X), (X, X))}, "labels by task, as a dict. Received: ndarray"),
    ],
)
def test_mistakes_are_found_before_training(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"build": build, "data": ((X, LABELS), (X, LABELS)), **changes}
    with pytest.raises(ValueError, match=message):
        compare_with_single_task(**arguments, epochs=1, callbacks=lambda tasks: pytest.fail("it was trained"))
