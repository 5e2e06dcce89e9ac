"""Start-up and steps with many tasks: `python benchmarks/many_heads.py`.

The same Functional graph (a small trunk, all binary tasks in one fused layer, named at the edges) as a stock
`keras.Model` and as a `MultiTaskModel`, on drawn faces (40 attributes and landmarks) or noise (binary heads alone).
What is saved is a fixed time a step: the larger the trunk and the batch, the smaller its share.

Start-up is the time of building, compiling and the first epoch, minus its number of steps times the steady step.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import figures, timing
from models import hard_sharing, trunks
from mtl_keras import MultiTaskModel, Task, TaskSet

BATCH = 32
STEPS = 8
TRUNK = "cnn(filters=8)"
KINDS: dict[str, type[keras.Model]] = {"stock": keras.Model, "MultiTaskModel": MultiTaskModel}

Shape = tuple[int, int, int]


def faces() -> tuple[TaskSet, Shape, tf.data.Dataset]:
    """40 attributes and landmarks of drawn faces."""
    sizes = {"train": BATCH * STEPS, "validation": 8, "test": 8}
    dataset = data.load("celeb_a", synthetic=True, sizes=sizes)
    return dataset.tasks, dataset.image_shape, dataset.batches("train", BATCH)


def noise(heads: int, side: int = 32, batch: int = BATCH) -> tuple[TaskSet, Shape, tf.data.Dataset]:
    """Binary labels of noise, an epoch of `STEPS` batches."""
    rng = np.random.default_rng(0)
    tasks = TaskSet(Task.binary(f"task_{i}") for i in range(heads))
    images = rng.random((batch * STEPS, side, side, 3), "float32")
    labels = {name: rng.integers(0, 2, len(images)).astype("float32") for name in tasks}
    return tasks, (side, side, 3), tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch)


def ready(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the same batches, held in memory: what makes them is not what is measured."""
    held = batches.cache().prefetch(2)
    for _ in held:
        pass
    return held


def started(
    kind: str, tasks: TaskSet, shape: Shape, batches: tf.data.Dataset, trunk: str | trunks.Trunk | None = None
) -> tuple[keras.Model, float]:
    """Returns a model that has been trained for an epoch, and the seconds since before it was built.

    Args:
        kind: one of `KINDS`.
        tasks: its tasks.
        shape: `(height, width, channels)` of the images.
        batches: an epoch.
        trunk: what `hard_sharing` takes; `None` for `TRUNK`.
    """
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    model = KINDS[kind](*hard_sharing(trunk or TRUNK, tasks, shape))
    model.compile("adam", **tasks.compile_args())
    model.fit(batches, epochs=1, verbose=0, shuffle=False)
    return model, time.perf_counter() - start


def stepper(model: keras.Model, batches: tf.data.Dataset) -> Callable[[], object]:
    """Returns a function that runs one training step through the function that `fit` calls, and reads its logs."""
    iterator = iter(batches.repeat())
    return lambda: {name: float(value) for name, value in model.train_function(iterator).items()}


def warm_up() -> None:
    """Lets TensorFlow set up what the first model of a process pays for; none of the measured ones should."""
    started("stock", *noise(2))


def compare(
    name: str,
    tasks: TaskSet,
    shape: Shape,
    batches: tf.data.Dataset,
    rounds: int,
    starts: int,
    targets: tuple[str, str],
) -> list[figures.Figure]:
    """Prints start-up and step time of both models; returns their ratios.

    Args:
        name: what is trained.
        tasks: its tasks.
        shape: `(height, width, channels)` of the images.
        batches: an epoch of `STEPS` batches.
        rounds: how often a step is timed.
        starts: how often a start is timed.
        targets: what is aimed at in start-up and in images a second.
    """
    batches = ready(batches)
    models: dict[str, keras.Model] = {}
    epochs: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(starts):
        for kind in KINDS:
            models[kind], seconds = started(kind, tasks, shape, batches)
            epochs[kind].append(seconds)
    steps = timing.interleaved({kind: stepper(model, batches) for kind, model in models.items()}, rounds=rounds)
    starting = {kind: [each - STEPS * statistics.median(steps[kind]) for each in epochs[kind]] for kind in KINDS}
    print(f"\n## {name}\n")
    print(timing.table({f"step, {kind}": values for kind, values in steps.items()}))
    print()
    print(timing.table({f"start-up, {kind}": values for kind, values in starting.items()}, "s"))
    return [
        figures.of_ratio(f"start-up, {name}: MultiTaskModel / stock", starting, "MultiTaskModel", "stock", targets[0]),
        figures.of_ratio(f"images/s, {name}: MultiTaskModel / stock", steps, "stock", "MultiTaskModel", targets[1]),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints all comparisons."""
    parser = figures.parser(__doc__, rounds=60)
    parser.add_argument("--starts", type=int, default=2, help="how often each start-up is timed")
    arguments = parser.parse_args(argv)
    warm_up()
    print(timing.machine(), f"{arguments.rounds} rounds, {arguments.starts} starts, batch {BATCH}, {TRUNK}", sep=", ")
    times = (arguments.rounds, arguments.starts)
    few, many = ("<= 0.25", ">= 1.25"), ("<= 0.125", ">= 1.7")
    found = compare("40 attributes and landmarks, drawn faces (128x128x3)", *faces(), *times, few)
    found += compare("40 binary heads, noise (32x32x3)", *noise(40), *times, few)
    found += compare("100 binary heads, noise (32x32x3)", *noise(100), *times, many)
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
