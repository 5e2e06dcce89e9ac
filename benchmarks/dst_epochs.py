"""What DST saves of an epoch, and what it should: `python benchmarks/dst_epochs.py --data_dir ~/tensorflow_datasets`.

The preset cifar10_5 (class, animal, reconstruction and random labels) under DST with its default settings, beside
equal weights, in `fit`. Should: the steps of the epoch, each at the time of a model that was built with just the tasks
of that step. The first four epochs, in which functions are compiled, are not counted: they have as many steps as the
first epoch of CIFAR-10. Without `--data_dir`, on the drawn look-alike.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import figures, timing
from experiments import presets
from experiments.building import make_optimizer
from models import network
from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import TaskScheduler

CONFIG = presets.get("cifar10_5").config


class Counting(MultiTaskModel):
    """Counts the steps that each set of tasks is trained in."""

    def set_step_weights(self, rows: Any) -> None:
        """Counts, and does what it does."""
        names = self.task_names
        counted: Counter[tuple[str, ...]] = vars(self).setdefault("counted", Counter())
        counted.update(tuple(itertools.compress(names, row > 0)) for row in rows)
        super().set_step_weights(rows)


class Trained:
    """The preset's network for some of its tasks, and data that does not end.

    Args:
        dataset: the data.
        tasks: names of the tasks.
        callbacks: of `fit`.
    """

    def __init__(self, dataset: data.Dataset, tasks: tuple[str, ...], *callbacks: keras.callbacks.Callback) -> None:
        keras.utils.set_random_seed(0)
        chosen = dataset.tasks.subset(tasks)
        self.model = Counting(*network(CONFIG.model, chosen, dataset.image_shape))
        self.model.compile(make_optimizer(CONFIG.optimizer, CONFIG.learning_rate), **chosen.compile_args())
        batches = dataset.batches("train", CONFIG.batch_size, shuffle=True)
        self._batches: tf.data.Dataset = batches.map(lambda x, y: (x, {name: y[name] for name in tasks}))
        self._callbacks = list(callbacks)
        self._epoch = 0

    def epoch(self, steps: int) -> float:
        """Trains for an epoch of so many steps; returns the seconds of one."""
        start = time.perf_counter()
        self.model.fit(
            self._batches,
            initial_epoch=self._epoch,
            epochs=self._epoch + 1,
            steps_per_epoch=steps,
            verbose=0,
            shuffle=False,
            callbacks=self._callbacks,
        )
        self._epoch += 1
        return (time.perf_counter() - start) / steps


def main() -> None:
    """Prints what each epoch took and should have taken."""
    parser = figures.parser(__doc__, rounds=8)
    parser.add_argument("--steps", type=int, default=100, help="of an epoch")
    parser.add_argument("--data_dir", type=Path, help="TFDS directory with CIFAR-10")
    arguments = parser.parse_args()
    steps = arguments.steps
    dataset = data.load("cifar10", tasks=CONFIG.tasks, data_dir=arguments.data_dir, synthetic=not arguments.data_dir)
    names = tuple(dataset.tasks)
    scheduler = TaskScheduler("dst", counts=dataset.label_counts())
    scheduled = Trained(dataset, names, scheduler)
    few = max(2, steps // 5)
    timed: dict[Any, Callable[[], float]] = {
        "DST": partial(scheduled.epoch, steps),
        "equal weights": partial(Trained(dataset, names).epoch, steps),
    }
    for size in range(1, len(names) + 1):
        for chosen in itertools.combinations(names, size):
            timed[chosen] = partial(Trained(dataset, chosen).epoch, few)
    for run in (*timed.values(), *[timed["DST"]] * 3):
        run()
    print(timing.machine(), f"{arguments.rounds} epochs of {steps} steps", sep=", ")
    seconds: dict[str, list[float]] = {"DST": [], "equal weights": [], "foretold": []}
    for _ in range(arguments.rounds):
        vars(scheduled.model)["counted"].clear()
        found = {key: run() for key, run in timed.items()}
        drawn = vars(scheduled.model)["counted"]
        for name in ("DST", "equal weights"):
            seconds[name].append(found[name])
        # Relative to the model of all tasks that was timed in the same way, so that short epochs do not matter.
        foretold = sum(count * found[chosen] for chosen, count in drawn.items()) / (steps * found[names])
        seconds["foretold"].append(foretold * found["equal weights"])
    print(timing.table(seconds))
    print(f"in the last epoch: {dict(drawn)}\ncompiled: {[each.tasks for each in scheduled.model.specializations]}\n")
    results = [
        figures.of_ratio("epoch: DST / equal weights", seconds, "DST", "equal weights"),
        figures.of_ratio("epoch: DST / equal weights, as foretold", seconds, "foretold", "equal weights"),
        figures.of_ratio("epoch under DST: measured / foretold", seconds, "DST", "foretold", "<= 1.1"),
    ]
    figures.report(results, arguments.json)


if __name__ == "__main__":
    main()
