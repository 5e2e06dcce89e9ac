"""What looking at the tasks' gradients costs: `python benchmarks/gradient_monitor.py`.

A training step of the network of the preset cifar10_3 (class, animal and reconstruction) on noise, batch 128: a plain
one, and one that `GradientMonitor` looks at. With r the ratio of the two, looking in every n-th step makes training
take 1 + (r - 1) / n times as long. `--weighting` measures the same under another weighting.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import figures, timing
from benchmarks.noise import SHAPE, batches
from experiments import presets
from experiments.building import make_optimizer
from models import network
from mtl_keras import MultiTaskModel
from mtl_keras.tasks import TaskSet

CONFIG = presets.get("cifar10_3").config
EVERY = (1, 10, 50, 100)


def step_of(tasks: TaskSet, weighting: str, every: int) -> Callable[[], object]:
    """Returns a function that takes a training step, in every `every`-th of which the gradients are looked at."""
    keras.utils.set_random_seed(0)
    model = MultiTaskModel(*network(CONFIG.model, tasks, SHAPE))
    optimizer = make_optimizer(CONFIG.optimizer, CONFIG.learning_rate)
    model.compile(optimizer, **tasks.compile_args(), weighting=weighting)
    model.set_task_weights(CONFIG.task_weights)
    model.make_train_function()
    model.gradients.every = every
    iterator = iter(batches(tasks, CONFIG.batch_size))
    return lambda: float(model.train_function(iterator)["loss"])


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the timings and what they come to."""
    parser = figures.parser(__doc__, rounds=60)
    parser.add_argument("--weighting", default="static")
    arguments = parser.parse_args(argv)
    tasks = data.recipes[CONFIG.dataset](CONFIG.tasks).tasks
    steps = {
        "plain step": step_of(tasks, arguments.weighting, 0),
        "step that is looked at": step_of(tasks, arguments.weighting, 1),
    }
    seconds = timing.interleaved(steps, rounds=arguments.rounds)
    looked_at = figures.of_ratio("step that is looked at / plain step", seconds, "step that is looked at", "plain step")
    print(timing.machine(), f"{arguments.rounds} rounds, weighting {arguments.weighting}", sep=", ")
    print(timing.table(seconds))
    figures.report([looked_at], arguments.json)
    for every in EVERY:
        print(f"training with every={every}: {100 * (looked_at.value - 1) / every:+.1f}%")


if __name__ == "__main__":
    main()
