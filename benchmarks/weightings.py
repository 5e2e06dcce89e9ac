"""What weightings cost, here and in TorchJD: `taskset -c 0,1 python benchmarks/weightings.py --torch_python PATH`.

The step time of each method relative to that of equal weights, batch 128, noise images, on two networks of three tasks:

- `cifar10`, that of the preset cifar10_3 (class, animal, reconstruction), most of whose work is in the heads;
- `trunk`, the convolutions of `cnn` with three classifiers of one layer, nearly all of whose work is shared.

With `--torch_python`, the Python of an environment with PyTorch and TorchJD (see `benchmarks/torch_worker.py`), the
same networks are trained there too, in turn with ours. Methods are measured in groups; each group has steps of equal
weights of its own, for its ratios.

Run nothing else on these cores: PyTorch's threads spin while they wait for each other, and one that has to share its
core slows all others down, tenfold and more.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import preset, step
from benchmarks.torch_process import EQUAL, WARM_UP, TorchProcess
from models import network
from mtl_keras import Task, TaskSet, weightings
from mtl_keras.weightings import WEIGHTINGS

CLASSIFIERS = TaskSet([Task.classification("ten", 10), Task.classification("five", 5), Task.classification("two", 2)])
CIFAR10 = preset("cifar10_3")
NETWORKS = {
    "cifar10": CIFAR10,
    "trunk": dataclasses.replace(CIFAR10, tasks=CLASSIFIERS, graph=partial(network, "cnn")),
}
PAUSE = 0.02  # seconds until idle threads have stopped spinning

# Targets of step times relative to equal weights. K backward passes of two thirds of a step each, and a forward pass of
# one third, are (1 + 2K) / 3 steps.
LIMITED = ("cagrad", "mgda", "pcgrad", "upgrad")
LIMITS = {"cifar10": 1.4, "trunk": (1 + 2 * len(CLASSIFIERS)) / 3 * 1.15}
REPRESENTATION_LIMIT = 1.35
LOSS_LIMIT = 1.02

Seconds = Mapping[tuple[str, str], Sequence[float]]  # (method, "ours" or "TorchJD") -> seconds per step of each round


def variants(names: Iterable[str]) -> list[str]:
    """Returns the methods, each followed by its cheaper form if there is one.

    Args:
        names: of `WEIGHTINGS`.
    """
    methods = []
    for name in names:
        methods.append(name)
        needs = WEIGHTINGS.get(name).needs
        if "gramian" in needs and "two_halves" not in needs:
            methods.append(f"{name}(representation=True)")
        if "losses_after" in needs:
            methods.append(f"{name}(same_batch=False)")
    return methods


def limit(method: str, name: str) -> float | None:
    """Returns the target of a method's step time relative to equal weights, `None` if there is none.

    Args:
        method: the method.
        name: one of `NETWORKS`.
    """
    weighting = WEIGHTINGS.get(method)
    if not weighting.needs & {"gramian", "jacobian"}:
        return LOSS_LIMIT
    if weightings.serialize(weighting)["name"] not in LIMITED:
        return None
    return REPRESENTATION_LIMIT if getattr(weighting, "representation", False) else LIMITS[name]


def measure(name: str, methods: Sequence[str], torch: TorchProcess | None, rounds: int, steps: int) -> Seconds:
    """Times methods, and equal weights with them, in turn.

    Args:
        name: one of `NETWORKS`.
        methods: the methods.
        torch: the process that trains with TorchJD.
        rounds: number of measurements of each.
        steps: number of steps that are timed together.
    """
    keras.backend.clear_session()
    gc.collect()
    chosen = [EQUAL, *methods]
    known = torch.prepare(chosen) if torch else []
    sides: dict[tuple[str, str], Callable[[], float]] = {}
    for method in chosen:
        model = NETWORKS[name].compiled(weighting=method, metrics=None)  # PyTorch computes no metrics either
        train = step(model, NETWORKS[name].batches())
        for _ in range(WARM_UP):
            train()
        sides[method, "ours"] = harness.clock(lambda train=train: [train() for _ in range(steps)], steps)
        if torch and method in known:
            sides[method, "TorchJD"] = partial(torch.seconds, method, steps)
    return harness.interleave(sides, rounds, pause=PAUSE)


def rows(seconds: Seconds, sides: Sequence[str], name: str) -> list[str]:
    """Returns the lines of the table: medians, and medians of the ratios of each round.

    Args:
        seconds: from `measure`.
        sides: `"ours"`, and `"TorchJD"` if it has columns.
        name: one of `NETWORKS`.
    """
    lines = []
    for method in dict.fromkeys(method for method, _ in seconds):
        most = None if method == EQUAL else limit(method, name)
        cells = ["equal weights" if method == EQUAL else f"`{method}`"]
        for side in sides:
            if times := seconds.get((method, side)):
                relative = median(harness.ratios(times, seconds[EQUAL, side]))
                cells += [f"{1e3 * median(times):.1f}", f"{1 / median(times):.1f}", f"{relative:.3f}"]
            else:
                cells += ["-"] * 3
        relative = median(harness.ratios(seconds[method, "ours"], seconds[EQUAL, "ours"]))
        cells.append("-" if most is None else f"{most:.2f} {'met' if relative <= most else '**missed**'}")
        for side in sides[1:]:
            theirs = seconds.get((method, side))
            ahead = median(harness.ratios(theirs, seconds[method, "ours"])) if theirs else 0.0
            cells.append(f"{ahead:.2f} {'ahead' if ahead > 1 else '**behind**'}" if theirs else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def print_table(name: str, methods: Sequence[str], torch: TorchProcess | None, arguments: argparse.Namespace) -> None:
    """Measures a network, and prints its table group by group."""
    sides = ["ours", "TorchJD"][: 1 + bool(torch)]
    columns = ["method", *(f"{side} {what}" for side in sides for what in ("(ms)", "(steps/s)", "/ equal")), "limit"]
    columns += [f"steps/s, ours / {side}" for side in sides[1:]]
    print(f"\n## {name}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for start in range(0, len(methods), arguments.group):
        group = methods[start : start + arguments.group]
        seconds = measure(name, group, torch, arguments.rounds, arguments.steps)
        print("\n".join(rows(seconds, sides, name)), flush=True)
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="number of measurements of each method")
    parser.add_argument("--steps", type=int, default=5, help="number of steps that are timed together")
    parser.add_argument("--group", type=int, default=4, help="number of methods that share the steps of equal weights")
    parser.add_argument("--network", choices=sorted(NETWORKS), help="one of them; default: both")
    parser.add_argument("--methods", nargs="+", metavar="NAME", choices=WEIGHTINGS.names, help="default: all")
    TorchProcess.add_flag(parser)
    arguments = parser.parse_args()
    tf.config.set_visible_devices([], "GPU")
    methods = variants(name for name in arguments.methods or WEIGHTINGS.names if name != EQUAL)
    print(harness.machine(), f"{arguments.rounds} rounds of {arguments.steps} steps", sep=", ")
    for name in [arguments.network] if arguments.network else NETWORKS:
        torch = TorchProcess.fastest(arguments.torch_python, name, "mgda") if arguments.torch_python else None
        if torch:
            print(f"TorchJD: {torch.machine}")
        print_table(name, methods, torch, arguments)
        if torch:
            torch.close()


if __name__ == "__main__":
    main()
