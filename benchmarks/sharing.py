"""What one shared network costs against single-task networks, and what dropping saves: `python benchmarks/sharing.py`.

A training step of the network of the preset cifar10_5 (class, animal, reconstruction and a task of random labels) on
noise, batch 128: with all tasks, with the tasks that DST draws in its first epoch, and of each task's own network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import figures, timing
from benchmarks.noise import SHAPE, batches
from experiments import presets
from experiments.building import make_optimizer
from models import network
from mtl_keras import MultiTaskModel
from mtl_keras.schedules import DST, Records
from mtl_keras.schedules.sampling import draw, epoch_generator
from mtl_keras.tasks import TaskSet

CONFIG = presets.get("cifar10_5").config
DRAWS = 12  # steps of DST that are timed together, so that each round sees the same sets


def compiled(tasks: TaskSet) -> MultiTaskModel:
    """Returns the preset's network for some of its tasks, ready for its first step."""
    model = MultiTaskModel(*network(CONFIG.model, tasks, SHAPE))
    model.compile(
        make_optimizer(CONFIG.optimizer, CONFIG.learning_rate), **tasks.compile_args(), max_specializations=16
    )
    model.make_train_function()
    return model


def plain(tasks: TaskSet, steps: int) -> Callable[[], object]:
    """Returns a function that takes so many steps with all of `tasks`."""
    model, iterator = compiled(tasks), iter(batches(tasks, CONFIG.batch_size))

    def run() -> None:
        for _ in range(steps):
            float(model.train_function(iterator)["loss"])

    return run


def scheduled(tasks: TaskSet) -> Callable[[], object]:
    """Returns a function that takes `DRAWS` steps with the tasks that DST draws when nothing is known of the losses."""
    model, iterator = compiled(tasks), iter(batches(tasks, CONFIG.batch_size))
    records = Records(
        tasks.names, model.task_depths(), dict.fromkeys(tasks, 45000) | {"animal": 27000, "random": 22500}
    )
    probabilities = np.array([DST()(0, records)[name] for name in tasks])
    rows = draw(probabilities, DRAWS, epoch_generator(0, 0)).astype("float32")

    def run() -> None:
        for row in rows:
            model.set_step_weights(row[None])
            float(model.train_function(iterator)["loss"])

    return run


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the timings and the ratios."""
    arguments = figures.parser(__doc__, rounds=20).parse_args(argv)
    keras.utils.set_random_seed(0)
    tasks = data.recipes[CONFIG.dataset](CONFIG.tasks).tasks
    alone = {f"{name} alone": plain(tasks.subset([name]), DRAWS) for name in tasks}
    seconds = timing.interleaved(
        {"all tasks": plain(tasks, DRAWS), "DST": scheduled(tasks), **alone}, rounds=arguments.rounds, warm_up=2
    )
    seconds["single-task networks together"] = [sum(each) for each in zip(*(seconds[name] for name in alone))]
    print(timing.machine(), f"{arguments.rounds} rounds of {DRAWS} steps", sep=", ")
    print(timing.table(seconds))
    others = ("DST", "single-task networks together")
    found = [figures.of_ratio(f"step, {name} / all tasks", seconds, name, "all tasks") for name in others]
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
