"""What a dropped task costs: `python benchmarks/dropping.py`.

Three heads on 32x32x3 images, batch 128: a class, a binary label and a reconstruction, which is the expensive one.
Two cheap baselines: the same graph as a stock `keras.Model`, and a model that was built without the reconstruction.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, timing
from benchmarks.noise import batches
from mtl_keras import MultiTaskModel, Task, TaskSet

TASKS = TaskSet(
    [
        Task.classification("class", 10),
        Task.binary("animal"),
        Task.reconstruction("reconstruction", (32, 32, 3)),
    ]
)
BATCH = 128


def graph(tasks: TaskSet) -> tuple[Any, dict[str, Any]]:
    """A convolutional trunk with a head for each task; the decoder is most of the work."""
    inputs = keras.Input((32, 32, 3))
    features = inputs
    for filters in (32, 64, 128):
        features = keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(features)
        features = keras.layers.BatchNormalization()(features)
    latent = keras.layers.Dense(128, activation="relu")(keras.layers.Flatten()(features))
    outputs = {}
    for name, task in tasks.items():
        if task.head == "reconstruction":
            image = keras.layers.Reshape((4, 4, 128))(keras.layers.Dense(2048, activation="relu")(latent))
            for filters in (128, 64, 32):
                image = keras.layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(image)
                image = keras.layers.BatchNormalization()(image)
            outputs[name] = keras.layers.Conv2D(3, 3, padding="same", activation="sigmoid")(image)
        else:
            hidden = keras.layers.Dense(256, activation="relu")(latent)
            outputs[name] = keras.layers.Dense(
                task.shape[0], activation="sigmoid" if task.shape == (1,) else "softmax"
            )(hidden)
    return inputs, outputs


def stepper(model: keras.Model, tasks: TaskSet) -> Callable[[], object]:
    """Returns a function that runs one training step through the function that `fit` calls."""
    iterator = iter(batches(tasks, BATCH))
    model.compile("adam", **tasks.compile_args())
    model.make_train_function()
    return lambda: float(model.train_function(iterator)["loss"])


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the timings and the ratios."""
    arguments = figures.parser(__doc__, rounds=60).parse_args(argv)
    cheap = TASKS.subset(["class", "animal"])
    dropped = MultiTaskModel(*graph(TASKS))
    dropped_step = stepper(dropped, TASKS)
    dropped.set_task_weights({"reconstruction": 0.0})
    seconds = timing.interleaved(
        {
            "stock keras.Model, all heads": stepper(keras.Model(*graph(TASKS)), TASKS),
            "MultiTaskModel, all heads": stepper(MultiTaskModel(*graph(TASKS)), TASKS),
            "MultiTaskModel, reconstruction at weight 0": dropped_step,
            "MultiTaskModel built without reconstruction": stepper(MultiTaskModel(*graph(cheap)), cheap),
            "stock keras.Model built without reconstruction": stepper(keras.Model(*graph(cheap)), cheap),
        },
        rounds=arguments.rounds,
    )
    print(timing.machine(), f"{arguments.rounds} rounds", sep=", ")
    print(timing.table(seconds))
    stock, whole, zero, without, stock_without = seconds
    found = [
        figures.of_ratio("step, all heads: MultiTaskModel / stock", seconds, whole, stock, "<= 1.03"),
        figures.of_ratio("step, reconstruction dropped / built without it", seconds, zero, without, "<= 1.1"),
        figures.of_ratio("step, reconstruction dropped / stock built without it", seconds, zero, stock_without),
    ]
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
