"""Steps per second on a GPU, with and without half precision and XLA: `python benchmarks/gpu.py`.

Two networks on noise: `cnn` for the tasks of Fashion-MNIST, and the network of the preset cifar10_3. Each is trained in
float32 and in half precision (float16 on a GPU, bfloat16 on a CPU), compiled with XLA and not, and each of these ways

- as a stock `keras.Model`, through the function that its `fit` calls;
- as a `MultiTaskModel`, with all tasks;
- as a `MultiTaskModel` whose last task is dropped;
- as a `MultiTaskModel` under PCGrad, which needs the gradients of each task.

It runs on the first GPU that TensorFlow sees, and without one on the CPU. It needs what requirements.txt lists, and for
a GPU `pip install "tensorflow[and-cuda]"` of the same version. Every figure names the device that it was taken on.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import figures, timing
from benchmarks.noise import batches
from experiments import presets
from experiments.building import make_optimizer
from models import network
from mtl_keras import MultiTaskModel, TaskSet

_CIFAR10 = presets.get("cifar10_3").config
_CIFAR10_RECIPE = data.recipes["cifar10"](_CIFAR10.tasks)
_FASHION_RECIPE = data.recipes["fashion_mnist"]()
NETWORKS: dict[str, tuple[str, TaskSet, tuple[int, int, int]]] = {
    "fashion_mnist": ("cnn", _FASHION_RECIPE.tasks, _FASHION_RECIPE.image_shape),
    "cifar10": (_CIFAR10.model, _CIFAR10_RECIPE.tasks, _CIFAR10_RECIPE.image_shape),
}
STOCK, OURS, DROPPED, PCGRAD = KINDS = ("stock", "MultiTaskModel", "one task dropped", "pcgrad")


@dataclass(frozen=True)
class Way:
    """How a network is trained.

    Args:
        mixed: whether in half precision.
        xla: whether compiled with XLA.
    """

    mixed: bool
    xla: bool

    def __str__(self) -> str:
        return f"{half_policy() if self.mixed else 'float32'}, {'XLA' if self.xla else 'no XLA'}"


WAYS = tuple(Way(mixed, xla) for mixed, xla in itertools.product((False, True), repeat=2))


def device() -> str:
    """Returns what training runs on: the name of the first GPU, or `"CPU"`."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU") if found else "CPU"


def half_policy() -> str:
    """Returns the dtype policy that `train.py --mixed_precision` sets here."""
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"


def stepper(name: str, kind: str, way: Way, batch: int, steps: int) -> Callable[[], object]:
    """Returns a function that takes so many training steps, and waits for the last one.

    Args:
        name: one of `NETWORKS`.
        kind: one of `KINDS`.
        way: how it is trained.
        batch: images in a step.
        steps: at a time. As in `fit`, a step is not waited for.
    """
    identifier, tasks, shape = NETWORKS[name]
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(half_policy() if way.mixed else "float32")
    graph = network(identifier, tasks, shape)
    optimizer = make_optimizer(_CIFAR10.optimizer, _CIFAR10.learning_rate)
    if kind == STOCK:
        model = keras.Model(*graph)
        model.compile(optimizer, **tasks.compile_args(), jit_compile=way.xla)
    else:
        model = MultiTaskModel(*graph)
        weighting = "pcgrad" if kind == PCGRAD else "static"
        model.compile(optimizer, **tasks.compile_args(), jit_compile=way.xla, weighting=weighting)
        if kind == DROPPED:
            model.set_task_weights({tasks.names[-1]: 0.0})
    model.make_train_function()
    iterator = iter(batches(tasks, batch, shape))

    def run() -> None:
        for _ in range(steps):
            logs = model.train_function(iterator)
        float(logs["loss"])

    return run


def measure(name: str, ways: Sequence[Way], batch: int, steps: int, rounds: int) -> dict[tuple[Way, str], list[float]]:
    """Returns the seconds of a step, round by round, of each way and kind in turn."""
    policy = keras.config.dtype_policy()
    runs = {(way, kind): stepper(name, kind, way, batch, steps) for way in ways for kind in KINDS}
    keras.config.set_dtype_policy(policy)
    found = timing.interleaved({f"{way}: {kind}": run for (way, kind), run in runs.items()}, rounds=rounds, warm_up=2)
    return {(way, kind): [each / steps for each in found[f"{way}: {kind}"]] for way, kind in runs}


def table(seconds: Mapping[tuple[Way, str], Sequence[float]]) -> str:
    """Returns a Markdown table of steps per second: a row for each way, a column for each kind."""
    lines = [f"| steps/s | {' | '.join(KINDS)} |", "|---" + "|---:" * len(KINDS) + "|"]
    for way in dict.fromkeys(way for way, _ in seconds):
        rates = (1 / timing.quartiles(seconds[way, kind])[1] for kind in KINDS)
        lines.append(f"| {way} | {' | '.join(f'{rate:.1f}' for rate in rates)} |")
    return "\n".join(lines)


def found_on(where: str, name: str, seconds: Mapping[tuple[Way, str], Sequence[float]]) -> list[figures.Figure]:
    """Returns what the other ways do to a step of ours, and what each kind costs.

    Args:
        where: the device.
        name: one of `NETWORKS`.
        seconds: what `measure` found.
    """
    by_name = {f"{way}, {kind}": values for (way, kind), values in seconds.items()}
    first, *others = dict.fromkeys(way for way, _ in seconds)

    def ratio(what: str, one: Any, other: Any) -> figures.Figure:
        return figures.of_ratio(f"{where}, {name}: {what}", by_name, f"{one[0]}, {one[1]}", f"{other[0]}, {other[1]}")

    found = [ratio(f"step, {way} / {first}", (way, OURS), (first, OURS)) for way in others]
    for way in (first, *others):
        found.append(ratio(f"steps/s, {way}: MultiTaskModel / stock", (way, STOCK), (way, OURS)))
        found += [ratio(f"step, {way}: {kind} / all tasks", (way, kind), (way, OURS)) for kind in (DROPPED, PCGRAD)]
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table for each network, and the ratios."""
    parser = figures.parser(__doc__, rounds=20)
    parser.add_argument("--steps", type=int, default=20, help="how many are timed together")
    parser.add_argument("--batch", type=int, default=128, help="images in a step")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS), help="default: both")
    arguments = parser.parse_args(argv)
    where = device()
    print(timing.machine(), where, f"{arguments.rounds} rounds of {arguments.steps} steps", sep=", ")
    found = []
    for name in arguments.networks:
        seconds = measure(name, WAYS, arguments.batch, arguments.steps, arguments.rounds)
        print(f"\n## {name}, batch {arguments.batch}, on {where}\n\n{table(seconds)}", flush=True)
        found += found_on(where, name, seconds)
        keras.backend.clear_session()
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
