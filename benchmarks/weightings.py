"""What weightings cost, here and in TorchJD: `taskset -c 0,1 python benchmarks/weightings.py --torch_python PATH`.

The step time of each method relative to that of equal weights, batch 128, noise images, on two networks of three tasks:

- `cifar10`, that of the preset cifar10_3 (class, animal, reconstruction), most of whose work is in the heads;
- `trunk`, the convolutions of `cnn` with three classifiers of one layer, nearly all of whose work is shared.

With `--torch_python`, the Python of an environment with PyTorch and TorchJD (see `benchmarks/torch_worker.py`), the
same networks are trained there too, in turn with ours. Methods are measured in groups; each group has steps of equal
weights of its own (`--group` methods), for its ratios. `--methods` and `--network` select some; by default, all.

Run nothing else on these cores: PyTorch's threads spin while they wait for each other, and one that has to share its
core slows all others down, tenfold and more.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import CIFAR10, step
from benchmarks.torch_process import EQUAL, WARM_UP, TorchProcess
from models import network
from mtl_keras import Task, TaskSet, weightings
from mtl_keras.weightings import WEIGHTINGS

CLASSIFIERS = TaskSet([Task.classification("ten", 10), Task.classification("five", 5), Task.classification("two", 2)])
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

OURS, TORCHJD = "ours", "TorchJD"
Seconds = Mapping[tuple[str, str], Sequence[float]]  # (method, `OURS` or `TORCHJD`) -> seconds per step of each round


def variants(names: Iterable[str]) -> list[str]:
    """Returns the methods, each followed by its cheaper form if there is one."""
    methods = []
    for name in names:
        methods.append(name)
        needs = WEIGHTINGS.get(name).needs
        if "gramian" in needs and "two_halves" not in needs:
            methods.append(f"{name}(representation=True)")
        if "losses_after" in needs:
            methods.append(f"{name}(same_batch=False)")
    return methods


def limit(method: str, network: str) -> float | None:
    """Returns the target of a method's step time relative to equal weights, `None` if there is none."""
    weighting = WEIGHTINGS.get(method)
    if not weighting.needs & {"gramian", "jacobian"}:
        return LOSS_LIMIT
    if weightings.serialize(weighting)["name"] not in LIMITED:
        return None
    return REPRESENTATION_LIMIT if getattr(weighting, "representation", False) else LIMITS[network]


def measure_group(name: str, methods: Sequence[str], torch: TorchProcess | None, rounds: int, steps: int) -> Seconds:
    """Times methods, and equal weights with them, in turn."""
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
        sides[method, OURS] = harness.clock(lambda train=train: [train() for _ in range(steps)], steps)
        if torch and method in known:
            sides[method, TORCHJD] = partial(torch.seconds, method, steps)
    return harness.interleave(sides, rounds, pause=PAUSE)


def figures_of(seconds: Seconds, network: str) -> list[harness.Figure]:
    """Returns the figures of methods that were measured together."""
    figures = []
    for (method, side), times in seconds.items():
        what = f"{network}, {method}, {side}"
        figures.append(harness.figure(f"{what}: steps/s", [1 / each for each in times]))
        if method != EQUAL:
            most = limit(method, network) if side == OURS else None
            target = f"<= {most:.2f}" if most else ""
            figures.append(harness.ratio(f"{what}: step / equal weights", times, seconds[EQUAL, side], target))
        if side == TORCHJD:
            what = f"{network}, {method}: steps/s, {OURS} / {TORCHJD}"
            figures.append(harness.ratio(what, times, seconds[method, OURS], ">= 1"))
    return figures


def measure(
    rounds: int = 20,
    steps: int = 5,
    group: int = 4,
    network: Sequence[str] = tuple(NETWORKS),
    methods: Sequence[str] = tuple(WEIGHTINGS.names),
    torch_python: Path | None = None,
) -> list[harness.Figure]:
    tf.config.set_visible_devices([], "GPU")
    chosen = variants(name for name in methods if name != EQUAL)
    figures = []
    for name in network:
        torch = TorchProcess.fastest(torch_python, name, "mgda") if torch_python else None
        if torch:
            print(f"TorchJD: {torch.machine}")
        for start in range(0, len(chosen), group):
            seconds = measure_group(name, chosen[start : start + group], torch, rounds, steps)
            figures += figures_of(seconds, name)
            print(f"\n{harness.times_table({', '.join(key): times for key, times in seconds.items()})}", flush=True)
        if torch:
            torch.close()
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}")
    return figures


if __name__ == "__main__":
    harness.run(measure, network=NETWORKS, methods=WEIGHTINGS.names)
