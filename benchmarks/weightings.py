"""What weightings cost, here and in TorchJD: `taskset -c 0,1 python benchmarks/weightings.py --torch_python PATH`.

The step time of each method over that of equal weights, batch 128, noise images, on two networks of three tasks:

- `cifar10`, that of the preset cifar10_3 (class, animal, reconstruction), most of whose work is in the heads;
- `trunk`, the convolutions of `cnn` with three classifiers of one layer, nearly all of whose work is shared.

With `--torch_python`, the Python of an environment with PyTorch and TorchJD (see `benchmarks/weightings_torch.py`), the
same networks are trained there too, in turn with ours: ours, theirs, ours, theirs, while the other side waits. Methods
go in groups, each with steps of equal weights of its own, which each ratio is taken with.

Let nothing else run on these cores: PyTorch's threads wait for each other by spinning, and one that has to share its
core holds up all others, tenfold and more. The way of waiting that is faster is found out first.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data
from benchmarks import timing
from benchmarks.noise import SHAPE, batches
from benchmarks.torch_side import TorchSide, quickest
from experiments import presets
from experiments.building import make_optimizer
from models import network
from mtl_keras import MultiTaskModel, Task, TaskSet, weightings
from mtl_keras.weightings import WEIGHTINGS

CONFIG = presets.get("cifar10_3").config
CLASSIFIERS = TaskSet([Task.classification("ten", 10), Task.classification("five", 5), Task.classification("two", 2)])
NETWORKS = {
    "cifar10": (CONFIG.model, data.recipes[CONFIG.dataset](CONFIG.tasks).tasks),
    "trunk": ("cnn", CLASSIFIERS),
}
EQUAL = "static"
WARM_UP = 3  # steps
SETTLE = 0.02  # seconds until idle threads have stopped spinning

# Step time over that of equal weights: what is aimed at. K backward passes of two thirds of a step each, and a forward
# pass of one third, are (1 + 2K) / 3 steps.
LIMITED = ("cagrad", "mgda", "pcgrad", "upgrad")
LIMITS = {"cifar10": 1.4, "trunk": (1 + 2 * len(CLASSIFIERS)) / 3 * 1.15}
REPRESENTATION_LIMIT = 1.35
LOSS_LIMIT = 1.02

Seconds = dict[str, dict[str, list[float]]]


class Side(Protocol):
    """Who trains."""

    def prepare(self, specs: Sequence[str]) -> list[str]:
        """Compiles a network for each method, and forgets those before; returns the methods that it has."""

    def seconds(self, spec: str, steps: int) -> float:
        """Returns what so many training steps with a method take."""


class Ours:
    """Trains with this library.

    Args:
        name: one of `NETWORKS`.
    """

    def __init__(self, name: str) -> None:
        self._identifier, self._tasks = NETWORKS[name]
        self._trainings: dict[str, tuple[MultiTaskModel, Any]] = {}

    def prepare(self, specs: Sequence[str]) -> list[str]:
        self._trainings.clear()
        keras.backend.clear_session()
        gc.collect()
        self._trainings.update(
            {spec: (self._compiled(spec), iter(batches(self._tasks, CONFIG.batch_size))) for spec in specs}
        )
        return list(specs)

    def seconds(self, spec: str, steps: int) -> float:
        model, iterator = self._trainings[spec]
        start = time.perf_counter()
        for _ in range(steps):
            float(model.train_function(iterator)["loss"])
        taken = time.perf_counter() - start
        time.sleep(SETTLE)
        return taken

    def _compiled(self, spec: str) -> MultiTaskModel:
        keras.utils.set_random_seed(0)
        model = MultiTaskModel(*network(self._identifier, self._tasks, SHAPE))
        optimizer = make_optimizer(CONFIG.optimizer, CONFIG.learning_rate)
        # Without metrics, as on the other side.
        model.compile(optimizer, **{**self._tasks.compile_args(), "metrics": None}, weighting=spec)
        model.make_train_function()
        return model


def variants(names: Iterable[str]) -> list[str]:
    """Returns what is measured of each method: the method, and where there is one its cheaper form.

    Args:
        names: of `WEIGHTINGS`.
    """
    specs = []
    for name in names:
        specs.append(name)
        needs = WEIGHTINGS.get(name).needs
        if "gramian" in needs and "two_halves" not in needs:
            specs.append(f"{name}(representation=True)")
        if "losses_after" in needs:
            specs.append(f"{name}(same_batch=False)")
    return specs


def limit(spec: str, name: str) -> float | None:
    """Returns what the step time of a method over that of equal weights should not exceed, None if nothing is set.

    Args:
        spec: the method.
        name: one of `NETWORKS`.
    """
    weighting = WEIGHTINGS.get(spec)
    if not weighting.needs & {"gramian", "jacobian"}:
        return LOSS_LIMIT
    if weightings.serialize(weighting)["name"] not in LIMITED:
        return None
    return REPRESENTATION_LIMIT if getattr(weighting, "representation", False) else LIMITS[name]


def measure(sides: Mapping[str, Side], specs: Sequence[str], rounds: int, steps: int) -> Seconds:
    """Times methods, and equal weights with them, in turn.

    Args:
        sides: name -> who trains.
        specs: the methods.
        rounds: how often each is timed.
        steps: how many steps at a time.

    Returns:
        side -> method -> seconds a step, of each round.
    """
    chosen = [EQUAL, *specs]
    known = {who: side.prepare(chosen) for who, side in sides.items()}
    turns = [(who, spec) for spec in chosen for who in sides if spec in known[who]]
    for who, spec in turns:
        sides[who].seconds(spec, WARM_UP)
    found: Seconds = {who: {spec: [] for spec in known[who]} for who in sides}
    for _ in range(rounds):
        for who, spec in turns:
            found[who][spec].append(sides[who].seconds(spec, steps) / steps)
    return found


def header(sides: Sequence[str]) -> list[str]:
    """Returns the first lines of the table, whose rows `rows` makes."""
    columns = ["method", *(f"{who} {what}" for who in sides for what in ("(ms)", "(steps/s)", "/ equal")), "limit"]
    columns += [f"steps/s, {sides[0]} / {other}" for other in sides[1:]]
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def rows(found: Seconds, name: str) -> list[str]:
    """Returns the lines of a Markdown table: medians, and medians of the ratios of each round.

    Args:
        found: from `measure`; the first side is ours.
        name: one of `NETWORKS`.
    """
    first, *others = found
    return [_row(found, first, others, spec, None if spec == EQUAL else limit(spec, name)) for spec in found[first]]


def _row(found: Seconds, first: str, others: Sequence[str], spec: str, most: float | None) -> str:
    cells = ["equal weights" if spec == EQUAL else f"`{spec}`"]
    for seconds in found.values():
        if spec in seconds:
            middle = statistics.median(seconds[spec])
            cells += [f"{1e3 * middle:.1f}", f"{1 / middle:.1f}", f"{timing.ratio(seconds, spec, EQUAL):.3f}"]
        else:
            cells += ["-"] * 3
    if most is None:
        cells.append("-")
    else:
        cells.append(f"{most:.2f} {'met' if timing.ratio(found[first], spec, EQUAL) <= most else '**missed**'}")
    for other in others:
        if spec in found[other]:
            ahead = timing.ratio({first: found[first][spec], other: found[other][spec]}, other, first)
            cells.append(f"{ahead:.2f} {'ahead' if ahead > 1 else '**behind**'}")
        else:
            cells.append("-")
    return f"| {' | '.join(cells)} |"


def report(name: str, sides: Mapping[str, Side], specs: Sequence[str], arguments: argparse.Namespace) -> None:
    """Prints the table of a network, group by group."""
    print(f"\n## {name}\n")
    print("\n".join(header(list(sides))))
    for start in range(0, len(specs), arguments.group):
        group = specs[start : start + arguments.group]
        print("\n".join(rows(measure(sides, group, arguments.rounds, arguments.steps), name)), flush=True)
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5, help="how many are timed together")
    parser.add_argument("--group", type=int, default=4, help="how many methods share the steps of equal weights")
    parser.add_argument("--network", choices=sorted(NETWORKS), help="one of them; default: both")
    parser.add_argument("--methods", nargs="+", metavar="NAME", choices=WEIGHTINGS.names, help="default: all")
    parser.add_argument("--torch_python", type=Path, help="Python of an environment with PyTorch and TorchJD")
    arguments = parser.parse_args()
    if arguments.torch_python and not arguments.torch_python.is_file():
        parser.error(f"--torch_python must be a Python interpreter. Received: {str(arguments.torch_python)!r}")
    tf.config.set_visible_devices([], "GPU")
    specs = variants(name for name in arguments.methods or WEIGHTINGS.names if name != EQUAL)
    print(timing.machine(), f"{arguments.rounds} rounds of {arguments.steps} steps", sep=", ")
    for name in [arguments.network] if arguments.network else NETWORKS:
        if not arguments.torch_python:
            report(name, {"ours": Ours(name)}, specs, arguments)
            continue
        theirs = quickest(TorchSide.command(arguments.torch_python, name), "mgda")
        print(f"TorchJD's side: {theirs.machine}")
        report(name, {"ours": Ours(name), "TorchJD": theirs}, specs, arguments)
        theirs.close()


if __name__ == "__main__":
    main()
