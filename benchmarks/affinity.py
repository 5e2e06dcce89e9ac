"""What measuring the tasks' affinities costs: `python benchmarks/affinity.py`.

A training step of the network of the preset cifar10_5 (four tasks) on noise, batch 128: a plain one, one in which
`TaskAffinity` measures the effect of one task, and one in which it measures the effect of all four. With r the ratio to
the plain step, measuring every n-th step makes training take 1 + (r - 1) / n times as long. `--weighting` measures the
same under another weighting.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks import harness
from benchmarks.networks import preset, step

CIFAR10 = preset("cifar10_5")  # class, animal, reconstruction and random labels
PLAIN, ONE, ALL = "plain step", "step with one source", "step with all sources"
EVERY = 10


def measure(rounds: int = 60, weighting: str = "static") -> list[harness.Figure]:
    def step_of(sources: int) -> Callable[[], float]:
        model = CIFAR10.compiled(weighting=weighting)
        model.affinity.every, model.affinity.sources = min(sources, 1), sources
        return harness.clock(step(model, CIFAR10.batches()))

    sides = {PLAIN: step_of(0), ONE: step_of(1), ALL: step_of(len(CIFAR10.tasks))}
    seconds = harness.interleave(sides, rounds, warm_up=3)
    print(harness.times_table(seconds))
    figures = []
    for side, target in ((ONE, "<= 15"), (ALL, "")):
        ratios = harness.ratios(seconds[side], seconds[PLAIN])
        low, middle, high = harness.quartiles(ratios)
        print(f"{side} / {PLAIN}: median {middle:.2f}, quartiles {low:.2f} - {high:.2f}")
        costs = [100 * (ratio - 1) / EVERY for ratio in ratios]
        figures.append(harness.figure(f"cost in % of training with every={EVERY}, {side}", costs, target))
    return figures


if __name__ == "__main__":
    harness.run(measure)
