"""Start-up and steps with many tasks: `python benchmarks/many_heads.py`.

The same Functional graph (a small trunk, all binary tasks in one fused layer, named at the edges) as a stock
`keras.Model` and as a `MultiTaskModel`, on drawn faces (40 attributes and landmarks) or noise (binary heads alone).
What is saved is a fixed time a step: the larger the trunk and the batch, the smaller its share.

Start-up is the time of the first epoch minus its number of steps times the steady step.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import timing
from models import hard_sharing
from mtl_keras import MultiTaskModel, Task, TaskSet

BATCH = 32
STEPS = 8
TRUNK = "cnn(filters=8)"


def faces() -> tuple[TaskSet, tuple[int, int, int], tf.data.Dataset]:
    """40 attributes and landmarks of drawn faces."""
    sizes = {"train": BATCH * STEPS, "validation": 8, "test": 8}
    dataset = data.load("celeb_a", synthetic=True, sizes=sizes)
    return dataset.tasks, dataset.image_shape, dataset.batches("train", BATCH)


def noise(heads: int, side: int = 32) -> tuple[TaskSet, tuple[int, int, int], tf.data.Dataset]:
    """Binary labels of noise."""
    rng = np.random.default_rng(0)
    tasks = TaskSet(Task.binary(f"task_{i}") for i in range(heads))
    images = rng.random((BATCH * STEPS, side, side, 3), "float32")
    labels = {name: rng.integers(0, 2, len(images)).astype("float32") for name in tasks}
    return tasks, (side, side, 3), tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)


def first_epoch(model: keras.Model, batches: tf.data.Dataset) -> float:
    """Returns the seconds that the first `fit` of one epoch takes."""
    start = time.perf_counter()
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    return time.perf_counter() - start


def stepper(model: keras.Model, batches: tf.data.Dataset) -> Callable[[], object]:
    """Returns a function that runs one training step through the function that `fit` calls, and reads its logs."""
    iterator = iter(batches.repeat())
    return lambda: {name: float(value) for name, value in model.train_function(iterator).items()}


def compare(name: str, tasks: TaskSet, shape: tuple[int, int, int], batches: tf.data.Dataset, rounds: int) -> None:
    """Prints start-up and step time of both models."""
    batches = batches.cache().prefetch(2)
    for _ in batches:
        pass
    models: dict[str, Any] = {}
    started = {}
    for kind, cls in {"stock": keras.Model, "MultiTaskModel": MultiTaskModel}.items():
        keras.utils.set_random_seed(0)
        models[kind] = cls(*hard_sharing(TRUNK, tasks, shape))
        models[kind].compile("adam", **tasks.compile_args())
        started[kind] = first_epoch(models[kind], batches)
    seconds = timing.interleaved({kind: stepper(model, batches) for kind, model in models.items()}, rounds=rounds)
    print(f"\n## {name}\n")
    print(timing.table(seconds))
    startup = {kind: started[kind] - STEPS * statistics.median(seconds[kind]) for kind in models}
    print(f"start-up (s): stock {startup['stock']:.2f}, MultiTaskModel {startup['MultiTaskModel']:.2f}")
    print(f"start-up, MultiTaskModel / stock: {startup['MultiTaskModel'] / startup['stock']:.3f}")
    print(f"step, MultiTaskModel / stock: {timing.ratio(seconds, 'MultiTaskModel', 'stock'):.3f}")


def main() -> None:
    """Prints all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    # The first model of a process pays for what TensorFlow sets up once; neither of the compared ones should.
    tasks, shape, batches = noise(2)
    warm = keras.Model(*hard_sharing(TRUNK, tasks, shape))
    warm.compile("adam", **tasks.compile_args())
    warm.fit(batches, verbose=0, shuffle=False)
    print(timing.machine(), f"{rounds} rounds, batch {BATCH}, {TRUNK}", sep=", ")
    compare("40 attributes and landmarks, drawn faces (128x128x3)", *faces(), rounds)
    compare("40 binary heads, noise (32x32x3)", *noise(40), rounds)
    compare("100 binary heads, noise (32x32x3)", *noise(100), rounds)


if __name__ == "__main__":
    main()
