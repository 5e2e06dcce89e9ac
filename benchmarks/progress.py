"""What the callback `Progress` costs: `taskset -c 0,1 python benchmarks/progress.py`.

Epochs of `fit` with it and without any callback, in turn, on the network that `train.py` trains on Fashion-MNIST, and
on the worst case: 41 tasks on a network with very short steps. `--seconds` is the length of an epoch. The display is
drawn for a terminal of 200 columns and written to the null device, so the time of a terminal is not included. On a
noisy machine, the share of the time spent in the callback is more precise than the ratio of two epochs.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import BATCH, FASHION_MNIST, Network, binary_heads
from mtl_keras.callbacks import Progress

WITH, WITHOUT = "with Progress", "without"


def timed_progress(console: Console, spent: list[float]) -> Progress:
    """Returns a `Progress` that adds the seconds of each of its calls to `spent`."""
    callback = Progress(console)

    def timed(event: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(event)
        def call(*arguments: Any, **named: Any) -> None:
            spent.append(harness.clock(lambda: event(*arguments, **named))())

        return call

    for name in vars(Progress):
        if name.startswith("on_"):
            setattr(callback, name, timed(getattr(callback, name)))
    return callback


def measure_network(net: Network, batch: int, rounds: int, seconds: float, console: Console) -> list[harness.Figure]:
    """Prints the times of a step with and without `Progress`; returns their ratio and the share of the callback."""
    model, batches = net.compiled(), net.batches(batch)

    def epoch(steps: int, *callbacks: keras.callbacks.Callback) -> float:
        settings = {"steps_per_epoch": steps, "verbose": 0, "shuffle": False, "callbacks": list(callbacks)}
        return harness.clock(lambda: model.fit(batches, **settings), steps)()

    epoch(10)  # compiles
    steps = max(1, round(seconds / epoch(10)))
    shares: list[float] = []

    def with_progress() -> float:
        spent: list[float] = []
        taken = epoch(steps, timed_progress(console, spent))
        shares.append(sum(spent) / (steps * taken))
        return taken

    found = harness.interleave({WITH: with_progress, WITHOUT: lambda: epoch(steps)}, rounds)
    print(f"\n{net.title}\n\n{harness.times_table(found)}")
    return [
        harness.ratio(f"{net.title}: step, {WITH} / {WITHOUT}", found[WITH], found[WITHOUT], "<= 1.01"),
        harness.figure(f"{net.title}: share of the time spent in Progress", shares[-rounds:], "<= 0.01"),
    ]


def measure(rounds: int = 20, seconds: float = 5.0) -> list[harness.Figure]:
    with Path(os.devnull).open("w", encoding="utf-8") as null:
        console = Console(file=null, width=200, height=50, force_terminal=True, color_system="standard")
        shortest = measure_network(binary_heads(41, "mlp(dense=8)"), 8, rounds, seconds, console)
        return [*shortest, *measure_network(FASHION_MNIST, BATCH, rounds, seconds, console)]


if __name__ == "__main__":
    harness.run(measure)
