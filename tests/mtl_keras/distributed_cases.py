"""What `test_distribution.py` trains alone, on two devices and on two workers: a program of its own process.

`python distributed_cases.py mirrored|multi_worker OUTPUT.npz [on]`: with `on` it trains on until it is stopped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import keras
import numpy as np
import tensorflow as tf

from mtl_keras import MultiTaskModel, TaskSplit, dense_metrics, distribution
from mtl_keras.callbacks import TaskAffinity, TaskScheduler
from mtl_keras.losses import DepthLoss, NormalLoss

SAMPLES, BATCH = 36, 8  # the last batch has four samples: one replica may get none of them
LOSSES = {"one": "binary_crossentropy", "two": "binary_crossentropy", "kind": "sparse_categorical_crossentropy"}
Found = dict[str, np.ndarray]
METRICS = {"one": ["accuracy"], "two": ["accuracy"], "kind": ["accuracy"], "size": ["mae"]}


def data() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Inputs `(samples, 6)` and labels by task, of which more are missing in the first half of a batch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, 6)).astype("float32")
    missing = rng.random((SAMPLES, 3)) < np.where(np.arange(SAMPLES) % BATCH < BATCH // 2, 0.8, 0.1)[:, None]
    return x, {
        "one": np.where(missing[:, 0], np.nan, x[:, 0] > 0).astype("float32"),
        "two": np.where(missing[:, 1], np.nan, x[:, 1] > x[:, 2]).astype("float32"),
        "kind": np.where(missing[:, 2], -1, np.digitize(x[:, 3], [-0.5, 0.5])).astype("int32"),
        "size": (x[:, 4:5] + x[:, 0:1] ** 2).astype("float32"),
    }


def compiled(optimizer: str = "adam", norm: bool = False, auc: bool = False, **compile_args: Any) -> MultiTaskModel:
    """A model of four tasks, two of them fused, one with a regularizer; `norm` gives the trunk a BatchNorm layer."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(12, activation="tanh", kernel_regularizer="l2")(inputs)
    if norm:
        features = keras.layers.Dropout(0.2)(keras.layers.BatchNormalization()(features))
    one, two = TaskSplit(2)(keras.layers.Dense(2, activation="sigmoid")(features))
    kind = keras.layers.Dense(3, activation="softmax")(features)
    size = keras.layers.Dense(1, kernel_regularizer="l2")(features)
    model = MultiTaskModel(inputs, {"one": one, "two": two, "kind": kind, "size": size})
    metrics = {**METRICS, "one": [keras.metrics.AUC(name="auc", num_thresholds=20)]} if auc else METRICS
    made = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimizer](0.01, global_clipnorm=1.0)
    compile_args = {"max_specializations": 2, **compile_args}
    model.compile(made, loss={**LOSSES, "size": "mse"}, metrics=metrics, loss_weights={"size": 0.5}, **compile_args)
    return model


def trained(
    model: MultiTaskModel, epochs: int, schedule: str | None = None, own: bool = False, callbacks: Any = ()
) -> Found:
    """Trains, and returns the logs of all epochs and the state of the model.

    Args:
        model: compiled.
        epochs: of five steps each.
        schedule: which tasks run.
        callbacks: further callbacks.
        own: whether each worker is given its part of the batches; else TensorFlow cuts them up.
    """
    strategy = model.distribute_strategy
    batches = tf.data.Dataset.from_tensor_slices(data()).batch(BATCH)
    if own:
        index, count = distribution.workers(strategy)
        start, end = index * BATCH // count, (index + 1) * BATCH // count
        parts = batches.map(lambda *batch: tf.nest.map_structure(lambda part: part[start:end], batch))
        batches = distribution.per_worker_dataset(strategy, parts)
    callbacks = [*callbacks, *([TaskScheduler(schedule, seed=3)] if schedule else [])]
    logs = model.fit(batches, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks).history
    found = {f"weight {place}": variable.numpy() for place, variable in enumerate(model.weights)}
    found |= {f"optimizer {place}": variable.numpy() for place, variable in enumerate(model.optimizer.variables)}
    return found | {f"log {name}": np.array(values) for name, values in logs.items()}


def used(folder: Path) -> Found:
    """Trains with executions of several steps, then evaluates, predicts, saves and loads."""
    model = compiled(steps_per_execution=3, auc=True, weighting="famo")
    found = trained(model, 2)
    x, y = data()
    values = model.evaluate(x, y, BATCH, verbose=0, return_dict=True)
    found |= {f"val {name}": np.array(value) for name, value in values.items()}
    found |= {f"prediction {name}": value for name, value in model.predict(x[:-1], BATCH, verbose=0).items()}
    path = folder / f"{os.getpid()}.keras"
    model.save(path)
    again = keras.models.load_model(path)
    return found | {f"loaded {place}": variable.numpy() for place, variable in enumerate(again.weights)}


def affinity(folder: Path) -> Found:
    """Trains, and returns how a step on each task affects the others in the batches of an epoch."""
    monitor = TaskAffinity(every=2, sources=3)
    found = trained(compiled("adam"), 1, "random_drop(keep=0.7)", callbacks=[monitor])
    return found | {"mean": monitor.affinity.mean, "error": monitor.affinity.error, "count": monitor.affinity.count}


def dense(folder: Path) -> Found:
    """Evaluates dense tasks with pixels without labels, of which one replica has more than the other."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(10, 4, 5, 3)).astype("float32")
    classes = rng.integers(-1, 3, (10, 4, 5)).astype("int32")
    classes[::4] = -1
    labels = {
        "classes": classes,
        "depth": np.maximum(images[..., :1], 0),
        "normals": np.where(classes[..., None] < 0, 0, images / np.linalg.norm(images, axis=-1, keepdims=True)),
    }
    inputs = keras.Input((4, 5, 3))
    model = MultiTaskModel(inputs, {name: keras.layers.Conv2D(2 * (name != "depth") + 1, 1)(inputs) for name in labels})
    model.compile(
        loss={
            "classes": keras.losses.SparseCategoricalCrossentropy(True, ignore_class=-1),
            "depth": DepthLoss(),
            "normals": NormalLoss(),
        },
        metrics={
            "classes": [dense_metrics.MeanIoU(3), dense_metrics.PixelAccuracy()],
            "depth": [dense_metrics.DepthError("rmse"), dense_metrics.DepthAccuracy()],
            "normals": [dense_metrics.AngularError(), dense_metrics.MedianAngularError()],
        },
    )
    values = model.evaluate(images, labels, batch_size=4, verbose=0, return_dict=True)
    # Keras' losses are means over the pixels of each replica; metrics are of all pixels.
    return {name: np.array(value) for name, value in values.items() if not name.endswith("loss")}


# Epochs have five steps; from the third on, DST uses all of its metrics.
CASES: dict[str, dict[str, Callable[[Path], Found]]] = {
    "multi_worker": {
        "dst": lambda folder: trained(compiled(weighting="pcgrad", max_specializations=1), 3, "dst", own=True),
        "mgda": lambda folder: trained(compiled("sgd", weighting="mgda(representation=True, update_every=2)"), 1),
        "used": used,
    },
    "mirrored": {
        "dst and pcgrad": lambda folder: trained(compiled(weighting="pcgrad(update_every=2)"), 3, "dst"),
        "affinity": affinity,
        "dense": dense,
    },
}


def results(name: str, folder: Path) -> Found:
    """Returns everything that the cases of a strategy end with."""
    return {f"{case}: {key}": value for case, run in CASES[name].items() for key, value in run(folder).items()}


def main(name: str, output: str, *then: str) -> None:
    """Runs the cases of a strategy under it and writes what they end with; `then` trains until it is stopped."""
    if name == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = distribution.strategy(name)
    with strategy.scope(), distribution.detect_lost_workers(strategy):
        found = results(name, Path(output).parent)
        model = compiled(norm=True)
        trained(model, 1)
        for place, variable in enumerate(model.variables):
            copies = strategy.experimental_local_results(variable.value)
            found[f"norm: variable {place}"] = np.stack([np.asarray(copy) for copy in copies])
        np.savez(output, **found, workers=distribution.workers(strategy), chief=distribution.is_chief(strategy))
        if then:
            print("waiting", flush=True)
            trained(model, 10**6)


if __name__ == "__main__":
    main(*sys.argv[1:])
