"""What `Progress` costs: `taskset -c 0,1 python benchmarks/progress.py`.

Epochs of `fit`, with it and without any callback, in turn, on two networks: Fashion-MNIST's default one of
`benchmarks/two_networks.py`, and the worst case, 41 tasks on a network whose steps are as short as they get. The
display is drawn for a terminal of 200 columns and written to nowhere: what a terminal does with it is another program's
time. On a noisy machine the share of the time that is spent in the callback says more than the ratio of two epochs.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import figures, many_heads, noise, timing
from benchmarks.two_networks import NETWORKS
from models import hard_sharing
from mtl_keras import MultiTaskModel
from mtl_keras.callbacks import Progress

WITH, WITHOUT = "with Progress", "without"
TASKS = 41
EVENTS = [name for name in vars(Progress) if name.startswith("on_")]


def small() -> tuple[MultiTaskModel, Any]:
    """Returns the small network and its batches."""
    tasks, shape, _ = many_heads.noise(TASKS)
    model = MultiTaskModel(*hard_sharing("mlp(dense=8)", tasks, shape))
    model.compile("sgd", **tasks.compile_args())
    return model, noise.batches(tasks, 8, shape)


def epoch(model: MultiTaskModel, batches: Any, steps: int, callbacks: list[keras.callbacks.Callback]) -> float:
    """Returns the seconds of an epoch of so many steps."""
    start = time.perf_counter()
    model.fit(batches, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=callbacks)
    return time.perf_counter() - start


def steps_in(seconds: float, model: MultiTaskModel, batches: Any) -> int:
    """Returns how many steps take so long, once the model is compiled."""
    epoch(model, batches, 10, [])
    return max(1, round(10 * seconds / epoch(model, batches, 10, [])))


def timed(callback: Progress, spent: list[float]) -> Progress:
    """Returns the callback, which notes the seconds of each of its calls from now on."""

    def noting(event: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(event)
        def call(*arguments: Any, **named: Any) -> None:
            start = time.perf_counter()
            event(*arguments, **named)
            spent.append(time.perf_counter() - start)

        return call

    for name in EVENTS:
        setattr(callback, name, noting(getattr(callback, name)))
    return callback


def measure(
    model: MultiTaskModel, batches: Any, rounds: int, steps: int, console: Console
) -> tuple[dict[str, list[float]], list[float]]:
    """Returns the seconds of a step, with and without, by round, and the share of the former spent in the callback.

    Which of the two is first changes from round to round.
    """
    seconds: dict[str, list[float]] = {WITH: [], WITHOUT: []}
    shares = []
    for number in range(rounds):
        for name in sorted(seconds, reverse=bool(number % 2)):
            spent: list[float] = []
            callbacks = [timed(Progress(console), spent)] if name == WITH else []
            took = epoch(model, batches, steps, callbacks)
            seconds[name].append(took / steps)
            if name == WITH:
                shares.append(sum(spent) / took)
    return seconds, shares


def main() -> None:
    """Prints the times of a step, and their ratios."""
    parser = figures.parser(__doc__, rounds=20)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long an epoch is")
    arguments = parser.parse_args()
    usual = NETWORKS[0]
    cases = {
        f"small network, {TASKS} tasks": small(),
        usual.title: (usual.compiled(MultiTaskModel), usual.batches()),
    }
    print(timing.machine(), f"{arguments.rounds} rounds of {arguments.seconds:g} s", sep=", ")
    found = []
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, width=200, height=50, force_terminal=True, color_system="standard")
        for title, (model, batches) in cases.items():
            steps = steps_in(arguments.seconds, model, batches)
            seconds, shares = measure(model, batches, arguments.rounds, steps, console)
            print(f"\n{title}\n\n{timing.table(seconds)}")
            found.append(figures.of_ratio(f"{title}: a step, {WITH} / {WITHOUT}", seconds, WITH, WITHOUT, "<= 1.01"))
            found.append(figures.of_values(f"{title}: share of the time spent in Progress", shares, "<= 0.01"))
    print()
    figures.report(found, arguments.json)


if __name__ == "__main__":
    main()
